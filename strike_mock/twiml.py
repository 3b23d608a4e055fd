"""Reading TwiML: a document becomes a tuple of verbs. Obeying them is `conversation.py`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

from strike_mock.errors import TwimlFault

NOT_TWIML = 12100
WRONG_ROOT = 12102
NOT_IN_SCHEMA = 12200

# https://www.twilio.com/docs/voice/twiml/say/text-speech#ssml
_SSML = frozenset(
    ("break", "emphasis", "lang", "mark", "p", "phoneme", "prosody", "s", "say-as", "sub", "w")
)
# What `loop="0"` means: until the call ends (https://www.twilio.com/docs/voice/twiml/say#loop).
_FOR_EVER = 1000


@dataclass(frozen=True)
class Say:
    """Read `text` to the callee, `times` times."""

    text: str
    language: str
    times: int = 1


@dataclass(frozen=True)
class Play:
    """Play the recording at `url`, `times` times."""

    url: str
    times: int


@dataclass(frozen=True)
class Pause:
    """Stay silent for `seconds`."""

    seconds: float


Prompt = Say | Play | Pause


@dataclass(frozen=True)
class Gather:
    """Collect keys: `timeout` seconds of silence after the prompts, or after a key, end it."""

    prompts: tuple[Prompt, ...]
    num_digits: int | None
    timeout: float
    finish_on_key: str
    action: str
    method: str
    action_on_empty_result: bool


@dataclass(frozen=True)
class Redirect:
    """Go on with the document at `url`."""

    url: str
    method: str


@dataclass(frozen=True)
class Hangup:
    """End the call."""


Verb = Prompt | Gather | Redirect | Hangup


def parse(document: str) -> tuple[Verb, ...]:
    """Return the verbs of a TwiML document.

    Raises TwimlFault: 12100 for what is not XML, 12102 for what is not a `<Response>`, 12200 for a
    verb, a nesting or a value that is not in the schema.
    """
    try:
        root = ET.fromstring(document)  # noqa: S314 - only from the Strike under test
    except ET.ParseError as error:
        raise TwimlFault(NOT_TWIML, f"Document parse failure: {error}") from error
    if root.tag != "Response":
        raise TwimlFault(WRONG_ROOT, f"The root element must be Response, not {root.tag}")
    return tuple(_verb(element) for element in root)


def _verb(element: ET.Element) -> Verb:
    reader = _READERS.get(element.tag)
    if reader is None:
        raise TwimlFault(NOT_IN_SCHEMA, f"Invalid element <{element.tag}>")
    try:
        return reader(element)
    except ValueError as error:
        raise TwimlFault(NOT_IN_SCHEMA, f"<{element.tag}>: {error}") from error


def _say(element: ET.Element) -> Say:
    _holds_only(element, _SSML)
    text = " ".join("".join(element.itertext()).split())
    return Say(text, element.get("language", "en-US"), _times(element))


def _play(element: ET.Element) -> Play:
    _holds_only(element)
    url = (element.text or "").strip()
    if not url and not element.get("digits"):
        raise ValueError("it has no URL")
    # Tones that are played to the callee do nothing here.
    return Play(url, _times(element) if url else 0)


def _pause(element: ET.Element) -> Pause:
    _holds_only(element)
    return Pause(float(element.get("length", "1")))


def _gather(element: ET.Element) -> Gather:
    digits = element.get("numDigits")
    timeout = element.get("timeout", "5")
    return Gather(
        prompts=tuple(_prompt(child) for child in element),
        num_digits=int(digits) if digits else None,
        timeout=5.0 if timeout == "auto" else float(timeout),
        finish_on_key=element.get("finishOnKey", "#"),
        action=element.get("action", ""),
        method=element.get("method", "POST").upper(),
        action_on_empty_result=element.get("actionOnEmptyResult", "false").lower() == "true",
    )


def _prompt(element: ET.Element) -> Prompt:
    verb = _verb(element)
    if not isinstance(verb, Prompt):
        raise ValueError(f"<{element.tag}> cannot stand in it")
    return verb


def _holds_only(element: ET.Element, allowed: frozenset[str] = frozenset()) -> None:
    for child in element.iter():
        if child is not element and child.tag not in allowed:
            raise ValueError(f"<{child.tag}> cannot stand in it")


def _times(element: ET.Element) -> int:
    return int(element.get("loop", "1")) or _FOR_EVER


def _redirect(element: ET.Element) -> Redirect:
    _holds_only(element)
    return Redirect((element.text or "").strip(), element.get("method", "POST").upper())


def _hangup(element: ET.Element) -> Hangup:
    _holds_only(element)
    return Hangup()


_READERS: dict[str, Callable[[ET.Element], Verb]] = {
    "Say": _say,
    "Play": _play,
    "Pause": _pause,
    "Gather": _gather,
    "Redirect": _redirect,
    "Hangup": _hangup,
}
