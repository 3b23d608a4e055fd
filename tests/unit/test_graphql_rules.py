"""Rules of the schema: names, descriptions, deprecations, and what may change between releases."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)
from graphql.utilities import find_breaking_changes

from strike_app.graphql import schema

ROOT = Path(__file__).parents[2]

BUILT = build_schema(schema.as_str())

RELEASED = sorted((ROOT / "tests" / "unit" / "golden").glob("schema-*.graphql"))[-1]

STANDARD = ("String", "Int", "Boolean", "Float", "ID")

DEPRECATED = re.compile(r"Use `[\w.]+`; this goes on (\d{4}-\d\d-\d\d)\.")


def elements(built: GraphQLSchema) -> Iterator[tuple[str, str | None, str | None]]:
    """Everything that has a name: its path, its description, why it is deprecated."""
    for name, kind in built.type_map.items():
        if name.startswith("__") or name in STANDARD:
            continue
        yield name, kind.description, None
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for key, field in kind.fields.items():
                yield f"{name}.{key}", field.description, field.deprecation_reason
                for argument, one in field.args.items():
                    yield f"{name}.{key}({argument})", one.description, one.deprecation_reason
        elif isinstance(kind, GraphQLInputObjectType):
            for key, given in kind.fields.items():
                yield f"{name}.{key}", given.description, given.deprecation_reason
        elif isinstance(kind, GraphQLEnumType):
            for key, value in kind.values.items():
                yield f"{name}.{key}!", value.description, value.deprecation_reason


def undescribed(built: GraphQLSchema) -> list[str]:
    return [path for path, description, _ in elements(built) if not (description or "").strip()]


def badly_named(built: GraphQLSchema) -> list[str]:
    """Types like `PagerList`, fields and arguments like `jobNumber`, values like `NO_LIST`."""
    forms = {
        "type": re.compile(r"[A-Z][A-Za-z0-9]*"),
        "field": re.compile(r"[a-z][A-Za-z0-9]*"),
        "value": re.compile(r"[A-Z][A-Z0-9_]*"),
    }
    wrong = []
    for path, _, _ in elements(built):
        last = re.split(r"[.(]", path.rstrip(")!"))[-1]
        kind = "value" if path.endswith("!") else "field" if "." in path else "type"
        wrong += [] if forms[kind].fullmatch(last) else [path]
    return wrong


def badly_deprecated(built: GraphQLSchema, today: date) -> list[str]:
    """What is deprecated without a replacement and a day, or should be gone by now."""
    wrong = []
    for path, _, reason in elements(built):
        if reason is None:
            continue
        told = DEPRECATED.fullmatch(reason)
        if told is None or date.fromisoformat(told[1]) <= today:
            wrong.append(path)
    return wrong


def unnoted(old: GraphQLSchema, new: GraphQLSchema, page: str) -> list[str]:
    """Breaking changes that the page does not name, each as `Type.field` or what it is about."""
    noted = set(re.findall(r"`([^`]+)`", " ".join(re.findall(r"(?m)^.*breaking.*$", page))))
    changes = [one.description for one in find_breaking_changes(old, new)]
    return [one for one in changes if not any(name in one for name in noted)]


def test_everything_says_what_it_is() -> None:
    assert undescribed(BUILT) == []


def test_names_have_the_forms_that_people_expect() -> None:
    assert badly_named(BUILT) == []


def test_what_is_deprecated_says_what_replaces_it_and_when_it_goes() -> None:
    assert badly_deprecated(BUILT, date.today()) == []  # noqa: DTZ011 - a day is enough


def test_what_would_break_a_client_of_the_last_release_is_written_down() -> None:
    page = (ROOT / "docs" / "graphql-changes.md").read_text("utf-8")
    released = build_schema(RELEASED.read_text("utf-8"))
    assert unnoted(released, BUILT, page) == [], "Name it in docs/graphql-changes.md as breaking."


SAMPLE = """
"A" type Query { "b" fieldOne("c" first: Int): Kind  "d" old: Int @deprecated(reason: "%s") }
"e" enum Kind { "f" ONE "g" TWO }
"""


def sample(reason: str = "Use `fieldOne`; this goes on 2099-01-01.", **changed: str) -> str:
    text = SAMPLE % reason
    for old, new in changed.items():
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (undescribed(build_schema(sample().replace('"c" ', ""))), ["Query.fieldOne(first)"]),
        (undescribed(build_schema(sample().replace('"g" ', ""))), ["Kind.TWO!"]),
        (undescribed(build_schema(sample().replace('"e" ', ""))), ["Kind"]),
        (badly_named(build_schema(sample(fieldOne="field_one"))), ["Query.field_one"]),
        (badly_named(build_schema(sample(TWO="two"))), ["Kind.two!"]),
        (badly_deprecated(build_schema(sample("Old.")), date(2026, 1, 1)), ["Query.old"]),
        (badly_deprecated(build_schema(sample()), date(2099, 1, 1)), ["Query.old"]),
        (badly_deprecated(build_schema(sample()), date(2026, 1, 1)), []),
    ],
)
def test_the_rules_can_fail(found: list[str], wanted: list[str]) -> None:
    assert found == wanted


def test_a_breaking_change_must_be_named_on_a_line_that_says_so() -> None:
    old, new = build_schema(sample()), build_schema(sample(old="newer"))
    assert unnoted(old, new, "") == ["Field Query.old was removed."]
    assert unnoted(old, new, "- `Query.old` is gone.") != []
    assert unnoted(old, new, "- *breaking*: `Query.old` is gone; use `newer`.") == []
    assert unnoted(old, build_schema(sample()), "") == []
