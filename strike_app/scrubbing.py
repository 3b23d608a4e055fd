"""Secrets and phone numbers taken out of whatever is about to be logged.

The second net: code does not log secrets. This catches what comes along in the text of an error,
the repr of a request, the log lines of a library.
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from typing import Any

HIDDEN = "[hidden]"

SHORTEST = 6
"""Characters: shorter secrets would black out ordinary words, and are no secrets."""

_A_WORD = re.compile(r"[A-Za-z]{1,11}")

MOST_HIDDEN = 1_000
"""Most values that `hide` keeps; the one given longest ago is forgotten first."""

MOST_CHARACTERS = 100_000
"""Of one text; what follows is cut off, because nobody looked through it."""

DEEPEST = 8
"""Levels of a log event that are looked through; what lies deeper is left out."""

_HEADERS = (
    r"authorization|proxy-authorization|x-amzn-oidc-(?:data|accesstoken)|cf-access-jwt-assertion"
    r"|x-twilio-signature|cookie|set-cookie"
)
_NAMES = (
    r"(?:auth|access|refresh|api|id|bearer|session)_?-?token|client_?-?secret|api_?-?key"
    r"|password|passwd|pgpassword|private_?key"
)
_AS_HEADER = re.compile(_HEADERS, re.IGNORECASE)
_AS_NAME = re.compile(rf"(?:\w+_)?(?:{_NAMES}|token|secret)", re.IGNORECASE)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\beyJ[\w-]+={0,2}\.[\w-]+={0,2}(?:\.[\w-]*={0,2})?"), HIDDEN),
    (re.compile(r"\bstrike_[\w-]{43,}"), HIDDEN),
    # The link in a text lets whoever has it act.
    (re.compile(r"(/j/)[\w-]{40,}"), rf"\1{HIDDEN}"),
    # In a URL, a password ends at the last @ before the path.
    (
        re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)[^\s/'\"]+@", re.IGNORECASE),
        rf"\1{HIDDEN}@",
    ),
    # A header in a repr, in JSON, or as it is sent.
    (
        re.compile(
            rf"\b((?:{_HEADERS})(?:\\?['\"])?\s*[:=,]\s*b?)(\\?['\"])(?:(?!\2).)*", re.IGNORECASE
        ),
        rf"\1\2{HIDDEN}",
    ),
    (
        re.compile(rf"\b((?:{_HEADERS})\s*[:=]\s*)[^\s'\"][^\r\n'\"]*", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/-]{6,}=*", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        re.compile(
            rf"\b((?:\w+_)?(?:{_NAMES})(?:\\?['\"])?\s*[:=]\s*b?)(\\?['\"])(?:(?!\2).)*",
            re.IGNORECASE,
        ),
        rf"\1\2{HIDDEN}",
    ),
    (
        re.compile(rf"\b((?:\w+_)?(?:{_NAMES})\s*[:=]\s*)[^\s'\",;&)}}]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
)
_PHONE = re.compile(r"(?:(?<![\w+])\+|%2B)[1-9](?:[ .()-]{0,2}\d){6,14}(?!\d)", re.IGNORECASE)


class _Known:
    """The values that `hide` was given."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        with self._lock:
            self._values[value] = None
            self._values.move_to_end(value)
            if len(self._values) > MOST_HIDDEN:
                self._values.popitem(last=False)

    def take_out(self, text: str) -> str:
        with self._lock:
            found = [value for value in self._values if value in text]
        # The longest first: one secret may be the beginning of another.
        for value in sorted(found, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text


_known = _Known()


def hide(secret: str) -> None:
    """Never let this value into the log of this process, unless it is too short, or a word."""
    if len(secret) >= SHORTEST and not _A_WORD.fullmatch(secret):
        _known.add(secret)


def scrubbed(text: str) -> str:
    """`text` without secrets, phone numbers with their last four digits only."""
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS] + " [cut off]"
    text = _known.take_out(text)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return _PHONE.sub(_masked, text)


def scrub(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: every string of an event, however deep. After `format_exc_info`."""
    return {scrubbed(str(key)): _value(str(key), value, 1) for key, value in event.items()}


class ScrubbingFilter(logging.Filter):
    """For a handler of the standard library's logging: the same for what others log."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = scrubbed(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        if record.exc_text:
            record.exc_text = scrubbed(record.exc_text)
        if record.stack_info:
            record.stack_info = scrubbed(record.stack_info)
        return True


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg} (its arguments do not fit)"


def _value(name: str, value: object, depth: int) -> object:
    if _AS_HEADER.fullmatch(name) or _AS_NAME.fullmatch(name):
        return HIDDEN
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return scrubbed(value)
    if depth >= DEEPEST:
        return "[too deep]"
    if isinstance(value, Mapping):
        return {scrubbed(str(key)): _value(str(key), one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value("", one, depth + 1) for one in value]
    if isinstance(value, bytes | bytearray):
        return scrubbed(repr(bytes(value)))
    return scrubbed(str(value) if isinstance(value, BaseException) else repr(value))


def _masked(found: re.Match[str]) -> str:
    digits = [one for one in found.group().removeprefix("%2B").removeprefix("%2b") if one.isdigit()]
    return "***" + "".join(digits[-4:])
