"""What a refusal says in the reader's language: found by its code, with the numbers it names.

The English words are those of whoever refused. Other languages have one line for each code
(`words/es.po`, context `refusal`), in which `{0}` is the first number of the English words; a code
that a language does not know stays English.
"""

from __future__ import annotations

import re
from typing import Protocol

from strike_app.web.words import words_in

CONTEXT = "refusal"

NUMBERS = re.compile(r"-?\d+(?:[.,]\d+)*")


class Coded(Protocol):
    """A `Refused` or a `StrikeError`."""

    code: str
    message: str


def said(error: Coded, language: str) -> str:
    """For people; where in a file it is wrong stands behind it."""
    where = getattr(error, "where", "")
    words = _words(error.code, error.message, language)
    return f"{words} ({where})" if where else words


def _words(code: str, message: str, language: str) -> str:
    line = words_in(language).pgettext(CONTEXT, code)
    if line == code:
        return message
    try:
        return line.format(*NUMBERS.findall(message))
    except IndexError:
        return message
