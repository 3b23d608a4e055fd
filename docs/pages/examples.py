"""The tutorial: each example is a page, in reading order, with all of its file."""

from __future__ import annotations

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples"
PART = re.compile(r"^# (.+?) -{10,}$", re.MULTILINE)


def examples() -> list[Path]:
    """The files, in reading order."""
    return sorted(FOLDER.glob("[0-9]*.py"))


def title(example: Path) -> str:
    """ "1. First callout", by the file's name."""
    number, _, words = example.stem.partition("_")
    return f"{int(number)}. {words.replace('_', ' ').capitalize()}"


def place(example: Path) -> str:
    """Where its page is on the site."""
    return f"tutorial/{example.stem}.md"


def page(example: Path) -> str:
    """Its first words as prose, then its code, part by part under the headings that it has."""
    source = example.read_text("utf-8")
    told = ast.get_docstring(ast.parse(source)) or ""
    code = source.split('"""', 2)[2].strip("\n")
    first, *rest = PART.split(code)
    parts = [f"# {title(example)}", told, f"`examples/{example.name}`", _fenced(first)]
    for head, part in zip(rest[::2], rest[1::2], strict=True):
        parts += [f"## {head}", _fenced(part)]
    parts += [
        f"## {one.name}\n\n{_fenced(one.read_text('utf-8'), 'text')}" for one in beside(example)
    ]
    return "\n\n".join(parts) + "\n"


def beside(example: Path) -> list[Path]:
    """The files that it reads: they begin with its number."""
    number = example.name.split("_")[0]
    return sorted(one for one in FOLDER.glob(f"{number}_*") if one.suffix != ".py")


def _fenced(code: str, kind: str = "python") -> str:
    return f"```{kind}\n" + code.strip("\n") + "\n```"
