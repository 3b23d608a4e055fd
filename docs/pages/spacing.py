"""GitHub begins a list or a table right below a line of text; the site asks for a gap first."""

from __future__ import annotations

import re
from collections.abc import Iterator

ITEM = re.compile(r"[-*] |\d+\. ")
INDENTED = re.compile(r"\s")


def spaced(text: str) -> str:
    """The same Markdown, with the gap. What stands in a block of code stays as it is."""
    return "\n".join(_lines(text.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    is_code, before = False, ""
    for line in lines:
        if not is_code and _begins_something(line, before):
            yield ""
        is_code ^= line.lstrip().startswith("```")
        yield line
        before = line


def _begins_something(line: str, before: str) -> bool:
    if not before.strip() or INDENTED.match(before):
        return False
    if ITEM.match(line):
        return not ITEM.match(before)
    return line.startswith("|") and not before.startswith("|")
