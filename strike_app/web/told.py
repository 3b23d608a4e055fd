"""What the log, the lists and the routing say, in the reader's language.

Their sentences are written in English when something happens, and are stored. Another language has
a line for each (`words/es.po`, context `told`) with names for what differs: `{why}` and `{what}`
are sentences of ours again, `{count}` is a number, `{quoted}` somebody's words in quotation marks,
everything else stays as somebody has written it. A sentence that a language does not know stays
English.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from strike_app.web.words import catalogue

CONTEXT = "told"

OURS = ("why", "what")
"""Names of what is looked up again; people's own words never are."""

LOOKS = {"count": r"\d+", "quoted": r"""'(?:[^'\\]|\\.)*'|"[^"]*\""""}
"""What stands for some names; anything does for the others."""

NAME = re.compile(r"\{(\w+)\}")


class Sentence(NamedTuple):
    """How an English sentence is recognised, and what it is in another language."""

    pattern: re.Pattern[str]
    words: str


def told(text: str | None, language: str) -> str:
    """A stored sentence for people; parts that are joined by a semicolon or a comma one by one."""
    if not text:
        return ""
    found = _found(text, language)
    if found is not None:
        return found
    for joint in ("; ", ", "):
        parts = [_found(one, language) for one in text.split(joint)]
        if len(parts) > 1 and None not in parts:
            return joint.join(filter(None, parts))
    return text


@lru_cache(4_096)
def _found(text: str, language: str) -> str | None:
    for one in _sentences(language):
        if matched := one.pattern.fullmatch(text):
            parts = {
                name: told(value, language) if _bare(name) in OURS else value
                for name, value in matched.groupdict().items()
            }
            return one.words.format(**parts)
    return None


@cache
def _sentences(language: str) -> tuple[Sentence, ...]:
    """The most words of their own first: they are the surest."""
    known = sorted(_known(language), key=lambda one: -len(NAME.sub("", one[0])))
    return tuple(Sentence(_pattern(english), words) for english, words in known)


def _known(language: str) -> Iterator[tuple[str, str]]:
    for one in catalogue(language):
        if one.context == CONTEXT and one.string:
            yield str(one.id), str(one.string)


def _pattern(english: str) -> re.Pattern[str]:
    literals = NAME.split(english)
    written = [
        f"(?P<{part}>{_look(part)})" if number % 2 else re.escape(part)
        for number, part in enumerate(literals)
    ]
    return re.compile("".join(written), re.DOTALL)


def _look(name: str) -> str:
    return LOOKS.get(_bare(name), ".+?")


def _bare(name: str) -> str:
    """A name without the number that tells it from another one in the same sentence."""
    return name.rstrip("0123456789")
