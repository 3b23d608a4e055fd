"""Where GitHub's Markdown and the site's differ: pages are written for the first.

GitHub begins a list or a table right below a line of text; the site asks for a gap first. In the
code of a cell GitHub wants `\\|` for a bar, of which the site would show the backslash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ITEM = re.compile(r"[-*] |\d+\. ")
INDENTED = re.compile(r"\s")
CODE = re.compile(r"`[^`]+`")


def for_site(text: str) -> str:
    """The same page, as the site has to be given it. Blocks of code stay as they are."""
    return "\n".join(_lines(text.split("\n")))


def _lines(lines: list[str]) -> Iterator[str]:
    is_code, before = False, ""
    for line in lines:
        if not is_code and _begins_something(line, before):
            yield ""
        is_code ^= line.lstrip().startswith("```")
        yield _bare(line) if line.startswith("|") and not is_code else line
        before = line


def _bare(row: str) -> str:
    return CODE.sub(lambda found: found[0].replace(r"\|", "|"), row)


def _begins_something(line: str, before: str) -> bool:
    if not before.strip() or INDENTED.match(before):
        return False
    if ITEM.match(line):
        return not ITEM.match(before)
    return line.startswith("|") and not before.startswith("|")
