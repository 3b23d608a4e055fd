"""Every refusal that a page can show is said in the reader's language, by its code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import strike_app
import strike_domain
from strike_adapters import geojson_files
from strike_app import claims, limits, posted
from strike_app.graphql import response_times, settings_mutation
from strike_app.web import words
from strike_app.web.asking import Refused
from strike_app.web.refusals import CONTEXT, said
from strike_app.web.words import LANGUAGES
from strike_domain.errors import Rejected, StrikeError
from strike_domain.geometry import parse_location

DOMAIN = Path(strike_domain.__file__).parent
WEB = Path(strike_app.__file__).parent / "web"
BESIDE = [
    Path(str(one.__file__))
    for one in (geojson_files, claims, limits, posted, settings_mutation, response_times)
]

CODE = re.compile(r"[A-Z][A-Z_]{3,}")

TEXTS = ("description", "text", "reason")
"""What `checked_text` is asked about; its codes begin with it."""

OF_THE_COMMAND_LINE = {"FILE_UNREADABLE"}
"""Only where a file is named by its path, as on the command line."""

RAISED = {"Rejected", "Refused", "StrikeError", "Forbidden", "Unavailable", "TooMany"}
OTHER_CODES = {
    "FILE_TOO_LARGE",
    "FORM_TOO_LARGE",
    "DATABASE_UNAVAILABLE",
    "SEARCH_EMPTY",
    "TOO_MANY_GROUPS",
}
"""Given to a function that raises them, or raised where a page asks the database."""


def codes() -> set[str]:
    """Of everything that the domain, the pages and what they ask can raise."""
    files = [*DOMAIN.rglob("*.py"), *WEB.rglob("*.py"), *BESIDE]
    return {code for file in files for code in _raised(ast.parse(file.read_text()))} | OTHER_CODES


def _raised(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in RAISED | {"__init__"}:
            for one in node.args:
                yield from _codes_of(one)
        if isinstance(node, ast.arguments):
            for default in node.defaults:
                yield from _codes_of(default)


def _name(function: ast.expr) -> str:
    return str(getattr(function, "id", getattr(function, "attr", "")))


def _codes_of(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        if CODE.fullmatch(value.value):
            yield value.value
    elif isinstance(value, ast.JoinedStr) and isinstance(value.values[-1], ast.Constant):
        ending = str(value.values[-1].value)
        if CODE.fullmatch("X" + ending):
            yield from (f"{name.upper()}{ending}" for name in TEXTS)


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_code_has_a_line_and_none_is_left_over(language: str) -> None:
    with (Path(words.__file__).parent / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    known = {str(one.id) for one in catalog if one.context == CONTEXT and one.string}
    # Of what else GraphQL can answer to a page: it is not raised in the files that are read here.
    beside = {"PAGE_SIZE_INVALID", "QUERY_TOO_COSTLY"}
    assert codes() - OF_THE_COMMAND_LINE - known == set()
    assert known - codes() - beside == set()


def test_the_numbers_of_the_english_words_are_kept() -> None:
    with pytest.raises(Rejected) as refused:
        parse_location({"type": "Point", "coordinates": [-190.5, 40]})
    assert said(refused.value, "es") == "La longitud -190.5 no está entre -180 y 180 grados."
    assert said(refused.value, "en") == refused.value.message


def test_what_a_language_does_not_know_stays_english() -> None:
    assert said(StrikeError("OF_TOMORROW", "Tomorrow's words."), "es") == "Tomorrow's words."
    unlike = StrikeError("LONGITUDE_OUT_OF_RANGE", "Words without a number.")
    assert said(unlike, "es") == "Words without a number."


def test_it_is_said_where_in_a_file_it_is_wrong() -> None:
    refused = Refused("RING_NOT_CLOSED", "The ring is open.", ("paste",), "features.1")
    assert said(refused, "es").endswith("al final. (features.1)")
