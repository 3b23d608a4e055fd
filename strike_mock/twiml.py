"""Reading TwiML: a document becomes a tuple of verbs. Obeying them is `conversation.py`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

from strike_mock.errors import TwimlFault

NOT_TWIML = 12100
NOT_IN_SCHEMA = 12200


@dataclass(frozen=True)
class Say:
    """Read `text` to the callee."""

    text: str
    language: str


@dataclass(frozen=True)
class Pause:
    """Stay silent for `seconds`."""

    seconds: float


@dataclass(frozen=True)
class Gather:
    """Collect keys: `timeout` seconds of silence after the prompts, or after a key, end it."""

    prompts: tuple[Say | Pause, ...]
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


Verb = Say | Pause | Gather | Redirect | Hangup


def parse(document: str) -> tuple[Verb, ...]:
    """Return the verbs of a TwiML document.

    Raises TwimlFault: 12100 for what is not a `<Response>`, 12200 for a verb or value not known.
    """
    try:
        root = ET.fromstring(document)  # noqa: S314 - only from the Strike under test
    except ET.ParseError as error:
        raise TwimlFault(NOT_TWIML, f"Document parse failure: {error}") from error
    if root.tag != "Response":
        raise TwimlFault(NOT_TWIML, f"Document parse failure: <{root.tag}> is not <Response>")
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
    return Say(" ".join("".join(element.itertext()).split()), element.get("language", "en-US"))


def _pause(element: ET.Element) -> Pause:
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


def _prompt(element: ET.Element) -> Say | Pause:
    verb = _verb(element)
    if not isinstance(verb, Say | Pause):
        raise ValueError(f"<{element.tag}> cannot stand in a Gather")
    return verb


def _redirect(element: ET.Element) -> Redirect:
    return Redirect((element.text or "").strip(), element.get("method", "POST").upper())


def _hangup(element: ET.Element) -> Hangup:
    return Hangup()


_READERS: dict[str, Callable[[ET.Element], Verb]] = {
    "Say": _say,
    "Pause": _pause,
    "Gather": _gather,
    "Redirect": _redirect,
    "Hangup": _hangup,
}
