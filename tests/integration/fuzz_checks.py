"""What is wrong with an answer, and how much of the schema was reached by those that were right."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    ObjectValueNode,
    SelectionSetNode,
    get_named_type,
    get_operation_ast,
    is_composite_type,
    parse,
)

import strike_app
import strike_domain
from tests.integration.fuzz_requests import Sent
from tests.integration.fuzz_world import ACCOUNT, AREAS, ID, MARK, PHONE, World

PROBLEMS = {"Rejected", "InvalidTransition", "NotFound", "Forbidden", "Conflict"}

INSIDES = re.compile(
    r"Traceback \(most recent|File \"/|site-packages|psycopg|\bSELECT \w+.* FROM |asyncpg|"
    r"/strike_(app|domain|adapters)/|strike_events|0x[0-9a-f]{8,}|object at 0x|eventsourcing\.",
)
"""What nobody may hear of: source files, statements, tables, objects."""


@dataclass(frozen=True)
class Answered:
    """An answer as it came, with the request as it was sent."""

    status: int
    content_type: str
    body: bytes
    sent_head: str
    sent_body: str
    """After symbols were resolved."""

    @property
    def sent(self) -> str:
        """All that the request says: what it names is no news to it."""
        return f"{self.sent_head}\n{self.sent_body}"

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Checks:
    """Each method yields what is wrong, in words."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._later: list[tuple[set[UUID], Sent]] = []

    def of(self, sent: Sent, answered: Answered) -> Iterator[str]:
        """Everything that can be seen of one answer."""
        if answered.status >= 500:
            yield f"status {answered.status}"
        if found := INSIDES.search(answered.text):
            yield f"it tells of our insides: {found[0]!r}"
        yield from self._foreign(sent, answered)
        if answered.content_type == "text/event-stream":
            for told in results_in(sent, answered):
                yield from _wrong_in_result(told)
        elif sent.path == "/graphql" and sent.method == "POST":
            yield from _ill_formed(answered)

    def _foreign(self, sent: Sent, answered: Answered) -> Iterator[str]:
        reader = sent.reader
        text, named = answered.text, answered.sent.lower()
        for mark in MARK.finditer(text):
            if mark[0].lower() not in named and not self._world.may_see(reader, mark):
                yield f"{reader} was shown {mark[0]}"
        for pattern in (PHONE, ACCOUNT):
            for number in pattern.finditer(text):
                owner = AREAS.get(number[1], reader)
                if owner != reader and number[0].lower() not in named:
                    yield f"{reader} was shown {number[0]}"
        ids = {UUID(one[0]) for one in ID.finditer(text) if one[0].lower() not in named}
        known = {one for one in ids if one in self._world.seers}
        yield from self._of_ids(known, sent)
        if unknown := ids - known:
            self._later.append((unknown, sent))

    def _of_ids(self, ids: set[UUID], sent: Sent) -> Iterator[str]:
        reader = sent.reader
        for one in ids:
            if reader not in self._world.seers[one]:
                yield f"{reader} was shown the id {one}"

    def of_what_is_known_now(self) -> Iterator[tuple[Sent, str]]:
        """Of ids that were new when they were shown."""
        for ids, sent in self._later:
            for said in self._of_ids({one for one in ids if one in self._world.seers}, sent):
                yield sent, said
        self._later.clear()


def _ill_formed(answered: Answered) -> Iterator[str]:
    if answered.status == 417:  # Said before any handler is asked.
        return
    if answered.content_type != "application/json":
        yield f"no JSON: {answered.content_type}"
        return
    try:
        told = orjson.loads(answered.body)
    except orjson.JSONDecodeError as error:
        yield f"ill-formed JSON: {error}"
        return
    if answered.status != 200:
        if not isinstance(told, dict) or {"code", "message"} - set(told):
            yield "a refusal without a code"
        elif told["code"] == "INTERNAL":
            yield "INTERNAL"
        return
    yield from _wrong_in_result(told)


def _wrong_in_result(told: Any) -> Iterator[str]:
    if not isinstance(told, dict) or not {"data"} <= set(told) <= {"data", "errors", "extensions"}:
        yield "no GraphQL result"
        return
    if "errors" in told and not (isinstance(told["errors"], list) and told["errors"]):
        yield "errors without an error"
    if not isinstance(told["data"], dict | None) or (told["data"] is None and "errors" not in told):
        yield "neither data nor errors"
    for one in told.get("errors") or ():
        code = (one.get("extensions") or {}).get("code")
        if not isinstance(one.get("message"), str) or not isinstance(code, str):
            yield f"an error without a code: {one}"
        elif code == "INTERNAL":
            yield f"INTERNAL at {one.get('path')}"


def results_in(sent: Sent, answered: Answered) -> list[dict[str, Any]]:
    """The GraphQL results of an answer: one, or those of a stream."""
    if answered.status != 200 or sent.path.partition("?")[0] != "/graphql":
        return []
    if answered.content_type == "text/event-stream":
        lines = answered.text.split("\n")
        data = [one.removeprefix("data: ") for one in lines if one.startswith("data: {")]
    else:
        data = [answered.text]
    found = []
    for one in data:
        try:
            told = json.loads(one)
        except ValueError:
            continue
        if isinstance(told, dict):
            found.append(told)
    return found


def codes_in(told: Any) -> Iterator[str]:
    """Every code that an answer has, wherever."""
    if isinstance(told, list):
        for one in told:
            yield from codes_in(one)
    elif isinstance(told, dict):
        code = told.get("code")
        if isinstance(code, str) and ("message" in told or "path" in told):
            yield code
        for one in told.values():
            yield from codes_in(one)


CODE = re.compile(
    r"\b(?:Rejected|Forbidden|Unauthenticated|TooMany|StrikeError|_refused|_rejected)\(\s*"
    r"(?:[^()\"]*\"[^\"]*\",\s*)?\"([A-Z][A-Z_]+)\""
)


def known_codes() -> set[tuple[str, ...]]:
    """Codes that the source gives to refusals, those of the command line among them."""
    return {
        (code,)
        for package in (strike_domain, strike_app)
        for file in Path(str(package.__file__)).parent.rglob("*.py")
        for code in CODE.findall(file.read_text("utf-8"))
    }


@dataclass
class Reached:
    """Of the schema: fields that were answered, arguments that were taken, commands done."""

    schema: GraphQLSchema
    fields: set[tuple[str, ...]] = field(default_factory=set)
    arguments: set[tuple[str, ...]] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def take(self, query: str, results: list[dict[str, Any]]) -> None:
        """Note what these results of a query show."""
        if not results:
            return
        document = parse(query, no_location=True)
        operation = get_operation_ast(document)
        assert operation is not None
        root = self.schema.get_root_type(operation.operation)
        for told in results:
            if isinstance(told.get("data"), dict):
                self._walk(told["data"], operation.selection_set, root, document)
                self._note_roots(told["data"], operation.selection_set, root)

    def _note_roots(self, data: dict[str, Any], asked: SelectionSetNode, root: Any) -> None:
        for node in asked.selections:
            if not isinstance(node, FieldNode):
                continue
            value = data.get(node.alias.value if node.alias else node.name.value)
            name = node.name.value
            if value is None or (isinstance(value, dict) and value.get("__typename") in PROBLEMS):
                self.refused[name] += 1
                continue
            self.done[name] += 1
            for argument in node.arguments or ():
                self.arguments.add((name, argument.name.value))
                kind = get_named_type(root.fields[name].args[argument.name.value].type)
                self._note_input(argument.value, kind)

    def _note_input(self, value: Any, kind: Any) -> None:
        if not isinstance(kind, GraphQLInputObjectType) or not isinstance(value, ObjectValueNode):
            return
        for one in value.fields:
            self.arguments.add((kind.name, one.name.value))
            self._note_input(one.value, get_named_type(kind.fields[one.name.value].type))

    def _walk(self, data: Any, asked: SelectionSetNode, kind: Any, document: DocumentNode) -> None:
        if isinstance(data, list):
            for one in data:
                self._walk(one, asked, kind, document)
            return
        if not isinstance(data, dict):
            return
        if not isinstance(kind, GraphQLObjectType):
            kind = self.schema.get_type(data.get("__typename", ""))
        for node in asked.selections:
            if isinstance(node, FieldNode):
                self._walk_field(data, node, kind, document)
            else:
                self._walk_fragment(data, node, kind, document)

    def _walk_field(
        self, data: dict[str, Any], node: FieldNode, kind: Any, document: DocumentNode
    ) -> None:
        name, key = node.name.value, node.alias.value if node.alias else node.name.value
        if key not in data or kind is None or name not in kind.fields:
            return
        self.fields.add((kind.name, name))
        named = get_named_type(kind.fields[name].type)
        if node.selection_set is not None and is_composite_type(named):
            self._walk(data[key], node.selection_set, named, document)

    def _walk_fragment(
        self, data: dict[str, Any], node: Any, kind: Any, document: DocumentNode
    ) -> None:
        if isinstance(node, FragmentSpreadNode):
            node = next(
                one
                for one in document.definitions
                if isinstance(one, FragmentDefinitionNode) and one.name.value == node.name.value
            )
        assert isinstance(node, InlineFragmentNode | FragmentDefinitionNode)
        condition = node.type_condition.name.value if node.type_condition else None
        wider = {one.name for one in getattr(kind, "interfaces", ())} | {getattr(kind, "name", "")}
        is_union = condition is not None and not isinstance(
            self.schema.get_type(condition), GraphQLObjectType
        )
        if condition is None or condition in wider or is_union:
            self._walk(data, node.selection_set, kind, document)


def all_fields(schema: GraphQLSchema) -> set[tuple[str, ...]]:
    """Of every object type of ours."""
    return {
        (kind.name, name)
        for kind in schema.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__")
        for name in kind.fields
    }


def all_arguments(schema: GraphQLSchema) -> set[tuple[str, ...]]:
    """Of the root fields, and the fields of input types."""
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    given = {
        (name, argument)
        for root in roots
        if root is not None
        for name, one in root.fields.items()
        for argument in one.args
    }
    return given | {
        (kind.name, name)
        for kind in schema.type_map.values()
        if isinstance(kind, GraphQLInputObjectType)
        for name in kind.fields
    }
