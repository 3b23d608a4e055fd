"""What a person types, taken apart by the program's own parsers; nothing of it is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer

from strike_app.cli import app
from strike_app.settings import Settings
from strike_mock.__main__ import parser as mock_parser

BETWEEN = {"&&", "||", "|", ";"}
ROOT = Path(__file__).parents[2]
LITERAL = re.compile(r'"(STRIKE_[A-Z_]+)"')


class Mistyped(Exception):
    """There is no such command, option or variable, or the command does not take it."""


def commands_in(script: str) -> Iterator[list[str]]:
    """The words of each command of a shell script, without comments and redirections."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        words.whitespace_split = True
        typed: list[str] = []
        for word in words:
            if word in BETWEEN:
                yield typed
                typed = []
            else:
                typed.append(word)
        if typed:
            yield _without_redirection(typed)


def _without_redirection(words: list[str]) -> list[str]:
    return words[: words.index(">")] if ">" in words else words


def check(words: Sequence[str]) -> None:
    """Raises `Mistyped` unless it is a command of another program, or one that Strike takes."""
    words = [*words]
    while words and "=" in words[0] and words[0].split("=")[0].isupper():
        _check_variable(words.pop(0))
    if words and words[0] == "export" and "=" in words[-1]:
        _check_variable(words[-1])
    elif words and words[0].rpartition("/")[2] == "strike":
        _check_strike(words[1:])


def _check_variable(assignment: str) -> None:
    name = assignment.partition("=")[0]
    if name.startswith("STRIKE_") and name not in variables():
        raise Mistyped(f"no setting is called {name}")


def _check_strike(words: list[str]) -> None:
    command, rest = resolve(words)
    if "--help" in rest:
        return
    if command.name == "mock":
        _by_argparse(rest)
    elif hasattr(command, "commands"):
        # Options of a group act while they are parsed: completion would be installed.
        unknown = set(rest) - options_of(command)
        if unknown:
            raise Mistyped(f"strike {' '.join(words)}: {unknown}")
    else:
        _by_itself(command, words, rest)


def _by_itself(command: Any, words: list[str], rest: list[str]) -> None:
    try:
        command.make_context(command.name, [*rest])
    except Exception as error:
        told = getattr(error, "message", None) or str(error)
        raise Mistyped(f"strike {' '.join(words)}: {told}") from error


def _by_argparse(rest: list[str]) -> None:
    try:
        mock_parser().parse_args(rest)
    except SystemExit as error:
        raise Mistyped(f"strike mock {' '.join(rest)}") from error


def resolve(words: Sequence[str]) -> tuple[Any, list[str]]:
    """The command that the first words name, and the words behind them. Raises `Mistyped`."""
    command, rest = root(), [*words]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        known = command.commands
        if rest[0] not in known:
            raise Mistyped(f"{command.name} has no command {rest[0]}")
        command = known[rest.pop(0)]
    return command, rest


def options_of(command: Any) -> set[str]:
    """Every spelling of every option."""
    found = {"--help"}
    for one in command.params:
        found |= {*one.opts, *one.secondary_opts}
    return found


@cache
def root() -> Any:
    """`strike` itself."""
    return typer.main.get_command(app)


@cache
def variables() -> set[str]:
    """Those of the settings, and what the program reads besides."""
    sources = [*ROOT.glob("strike_app/**/*.py"), *ROOT.glob("strike_adapters/**/*.py")]
    read = {name for file in sources for name in LITERAL.findall(file.read_text("utf-8"))}
    return read | {f"STRIKE_{name.upper()}" for name in Settings.model_fields}
