"""Code in the documentation: programs compile and find their names, commands are those there are.

What a page promises to run is run: docs/embedding.md by test_embedding_page.py, docs/first-steps.md
by test_packaging.py, docs/graphql.md by test_graphql_examples.py, examples by test_examples.py. The
rest are fragments, and are checked here as far as that goes.
"""

from __future__ import annotations

import ast
import configparser
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.typed_commands import Mistyped, check, commands_in, options_of, resolve

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "examples" / "README.md"])
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`(strike(?: [^`]+)?)`(?!`)")
KINDS = {"", "graphql", "http", "json", "python", "sh", "sql", "text", "toml"}
TOX = configparser.ConfigParser(interpolation=None)
TOX.read(ROOT / "tox.ini")
ENVIRONMENTS = {name.removeprefix("testenv:") for name in TOX.sections()}
TOX_ENV = re.compile(r"tox -e ([\w-]+)")


def blocks(page: Path, kind: str) -> Iterator[str]:
    for found, text in BLOCK.findall(page.read_text("utf-8")):
        if found == kind:
            yield text


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=named)


@every_page
def test_blocks_say_what_they_are(page: Path) -> None:
    assert {kind for kind, _ in BLOCK.findall(page.read_text("utf-8"))} <= KINDS


@every_page
def test_python_compiles_and_what_it_imports_is_there(page: Path) -> None:
    for text in blocks(page, "python"):
        code = compile(
            text, named(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
        )
        for node in ast.walk(code):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("strike_"):
                module = importlib.import_module(node.module or "")
                asked = [one.name for one in node.names if one.name != "*"]
                assert [name for name in asked if not hasattr(module, name)] == []


@every_page
def test_commands_in_blocks_are_those_that_there_are(page: Path) -> None:
    for text in blocks(page, "sh"):
        for words in commands_in(text):
            check(words)


@every_page
def test_environments_of_tox_are_those_that_there_are(page: Path) -> None:
    asked = set(TOX_ENV.findall(page.read_text("utf-8")))
    assert {name for name in asked if not name.startswith("py3")} <= ENVIRONMENTS


@every_page
def test_commands_within_a_line_are_those_that_there_are(page: Path) -> None:
    for typed in INLINE.findall(page.read_text("utf-8")):
        words = typed.split()[1:]
        if not words or not re.fullmatch(r"[a-z-]+", words[0]):
            continue
        command, rest = resolve(words if not re.search(r"[A-Z…]", words[-1]) else words[:-1])
        if command.name == "mock":
            continue
        asked = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert asked <= options_of(command), typed


@every_page
def test_tables_of_toml_can_be_read(page: Path) -> None:
    for text in blocks(page, "toml"):
        tomllib.loads(text)


def test_a_wrong_command_within_a_line_would_be_found() -> None:
    with pytest.raises(Mistyped):
        resolve(["lists", "chek"])
    assert "--nope" not in options_of(resolve(["export"])[0])
