"""The reference of the command line, from what each command says of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from strike_app.cli import app
from strike_mock.__main__ import parser as mock_parser

BEGIN = """# Every command

Written from `strike … --help`. What all commands have in common, and how a shell completes them:
[The command line](../command-line.md).
"""


@dataclass(frozen=True)
class Command:
    """One command or sub-command: `path` is what is typed, `strike lists check`."""

    path: str
    parsed: Any
    is_group: bool

    @property
    def told(self) -> str:
        """What it does, without its example."""
        return self._help.partition("Example:")[0].strip()

    @property
    def example(self) -> str:
        """The line that shows it in use; empty if there is none."""
        return " ".join(self._help.partition("Example:")[2].split())

    @property
    def _help(self) -> str:
        return str(self.parsed.help or "")


def every_command() -> Iterator[Command]:
    """All that can be typed and that help shows, groups before their commands."""
    yield from _below(typer.main.get_command(app), "strike")


def _below(group: Any, path: str) -> Iterator[Command]:
    for name, one in sorted(group.commands.items()):
        if one.hidden:
            continue
        is_group = hasattr(one, "commands")
        yield Command(f"{path} {name}", one, is_group)
        if is_group:
            yield from _below(one, f"{path} {name}")


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([BEGIN, *map(_section, every_command())])


def _section(one: Command) -> str:
    level = "##" if one.path.count(" ") == 1 else "###"
    parts = [f"{level} {one.path}", _prose(one.told)]
    if one.path == "strike mock":
        parts.append(f"```text\n{_mock_help()}```")
    elif not one.is_group or one.example:
        parts.append(_parameters(one))
    if one.example:
        parts.append(f"```sh\n{one.example}\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def _prose(text: str) -> str:
    return re.sub(r"(?<![\w-])(--[a-z][a-z-]*|STRIKE_[A-Z_]+)", r"`\1`", text)


def _parameters(one: Command) -> str:
    context = one.parsed.make_context(one.path, [], resilient_parsing=True)
    records = [each.get_help_record(context) for each in one.parsed.params]
    rows = [f"| `{_cell(names)}` | {_plain(said)} |" for names, said in filter(None, records)]
    return "\n".join(["| argument or option | |", "|---|---|", *rows]) if rows else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _plain(text: str) -> str:
    """Typer sets choices and defaults in brackets, which are no links here."""
    return _cell(text).replace("[", r"\[").replace("<", "&lt;")


def _mock_help() -> str:
    return mock_parser().format_help().replace("python -m strike_mock", "strike mock")
