"""What requests about calls ask for, and which of them Twilio refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import urlsplit

from multidict import MultiMapping

from strike_mock.calls import Call, CallRequest, CallStatus, Detection, DetectionMode, Document
from strike_mock.errors import TwilioRefusal
from strike_mock.scenarios import Phone
from strike_mock.settings import Account
from strike_mock.texts import TextRequest
from strike_mock.twilio_shapes import whole_number

EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_METHODS = ("GET", "POST")
_MOST_CHARACTERS = 1600


def read_call_request(form: Mapping[str, Any]) -> CallRequest:
    """Return the request that a POST to Calls.json makes.

    Raises TwilioRefusal: 21211 wrong To, 21212 wrong From, 21205 no usable Url, 21609 wrong
    StatusCallback, 21626 unknown event, 20001 for other wrong values.
    """
    fields = texts(form)
    document = _document(fields)
    return CallRequest(
        to=_number(fields, "To", 21211),
        from_=_number(fields, "From", 21212),
        url=document.url,
        method=document.method,
        twiml=document.twiml,
        timeout=float(_between(fields, "Timeout", 60, 1, 600)),
        status_callback=_callback(fields, "StatusCallback"),
        status_callback_method=_method(fields, "StatusCallbackMethod"),
        status_callback_events=_events(fields.getall("StatusCallbackEvent", [])),
        detection=_detection(fields),
    )


def read_call_update(form: Mapping[str, Any]) -> Document | CallStatus:
    """Return what a POST to a call asks for: an end, or another document.

    Raises TwilioRefusal: 21205 wrong Url, 20001 for a wrong Status or nothing at all.
    """
    fields = texts(form)
    status = fields.get("Status")
    if status in ("canceled", "completed"):
        return CallStatus(status)
    if status is not None:
        raise TwilioRefusal(400, 20001, f"Status must be canceled or completed, not {status}")
    if "Url" not in fields and "Twiml" not in fields:
        raise TwilioRefusal(400, 20001, "an update needs Status, Url or Twiml")
    return _document(fields)


def check_permitted(account: Account, request: CallRequest, phone: Phone) -> None:
    """Refuse a call that the account may not make, or that cannot be made.

    Raises TwilioRefusal: 21210 From is not the account's, 21215 a country it may not call, 21216 a
    blocked number, 21214 one that cannot be reached.
    https://www.twilio.com/docs/iam/test-credentials#test-calls
    """
    if account.numbers is not None and request.from_ not in account.numbers:
        message = f"The source phone number provided, {request.from_}, is not yet verified for your"
        raise TwilioRefusal(400, 21210, f"{message} account.")
    if account.countries is not None and not request.to.startswith(account.countries):
        raise TwilioRefusal(400, 21215, f"Account not authorized to call {request.to}.")
    if phone.blocked:
        raise TwilioRefusal(400, 21216, f"Account not allowed to call {request.to}")
    if phone.unreachable:
        raise TwilioRefusal(400, 21214, f"'To' phone number cannot be reached: {request.to}")


def read_text_request(form: Mapping[str, Any]) -> TextRequest:
    """Return the request that a POST to Messages.json makes.

    Raises TwilioRefusal: 21211 wrong To, 21212 wrong From, 21602 no Body, 21617 one that is too
    long, 21609 wrong StatusCallback.
    """
    fields = texts(form)
    body = fields.get("Body", "")
    if not body:
        raise TwilioRefusal(400, 21602, "Message body is required")
    if len(body) > _MOST_CHARACTERS:
        message = f"The concatenated message body exceeds the {_MOST_CHARACTERS} character limit"
        raise TwilioRefusal(400, 21617, message)
    return TextRequest(
        to=_number(fields, "To", 21211),
        from_=_number(fields, "From", 21212),
        body=body,
        status_callback=_callback(fields, "StatusCallback"),
    )


def check_may_text(account: Account, request: TextRequest, phone: Phone) -> None:
    """Refuse a text that the account may not send, or that cannot be sent.

    Raises TwilioRefusal: 21606 From is not the account's, 21408 a country it may not text, 21610 a
    number that wants none, 21614 one that takes none.
    https://www.twilio.com/docs/iam/test-credentials#test-sms-messages
    """
    if account.numbers is not None and request.from_ not in account.numbers:
        message = f"The 'From' phone number {request.from_} is not a valid message-capable number"
        raise TwilioRefusal(400, 21606, f"{message} for this destination.")
    if account.countries is not None and not request.to.startswith(account.countries):
        message = "Permission to send an SMS has not been enabled for the region of the 'To' number"
        raise TwilioRefusal(400, 21408, f"{message}: {request.to}.")
    if phone.blocked:
        raise TwilioRefusal(400, 21610, "Attempt to send to unsubscribed recipient")
    if phone.unreachable:
        raise TwilioRefusal(400, 21614, f"'To' number is not a valid mobile number: {request.to}")


def read_filters(query: MultiMapping[str]) -> list[Callable[[Call], bool]]:
    """Return the conditions that a list of calls was asked for with.

    Filters on the start see no call that is still queued: it has no start_time. Raises
    TwilioRefusal (20001) for what is no time.
    """
    filters: list[Callable[[Call], bool]] = []
    if to := query.get("To"):
        filters.append(lambda call: call.request.to == to)
    if from_ := query.get("From"):
        filters.append(lambda call: call.request.from_ == from_)
    if status := query.get("Status"):
        filters.append(lambda call: call.status == status)
    return filters + _by_time(query, "StartTime", "initiated") + _by_time(query, "EndTime", "ended")


def texts(form: Mapping[str, Any]) -> MultiMapping[str]:
    """Return the form, which holds no files. Raises TwilioRefusal (20001)."""
    if not all(isinstance(value, str) for value in form.values()):
        raise TwilioRefusal(400, 20001, "form fields must be text")
    return form  # type: ignore[return-value]


def _by_time(query: MultiMapping[str], field: str, moment: str) -> list[Callable[[Call], bool]]:
    filters: list[Callable[[Call], bool]] = []

    def add(text: str | None, fits: Callable[[datetime, datetime], bool]) -> None:
        if text:
            limit = _time(text)
            filters.append(lambda call: (at := _at(call, moment)) is not None and fits(at, limit))

    add(query.get(field), lambda at, day: at.date() == day.date())
    add(query.get(field + "<"), lambda at, latest: at <= latest)
    add(query.get(field + ">"), lambda at, earliest: at >= earliest)
    return filters


def _at(call: Call, moment: str) -> datetime | None:
    # Twilio knows times to the second only.
    at = call.times.get(moment)
    return at.replace(microsecond=0) if at else None


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise TwilioRefusal(400, 20001, f"not a date or time: {text}") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _document(fields: MultiMapping[str]) -> Document:
    twiml, url = fields.get("Twiml") or None, fields.get("Url")
    if twiml is None and not _is_url(url):
        raise TwilioRefusal(400, 21205, f"Url is not a valid URL: {url or ''}")
    return Document(url, _method(fields, "Method"), twiml)


def _detection(fields: MultiMapping[str]) -> Detection | None:
    mode: DetectionMode
    match fields.get("MachineDetection", "none"):
        case "Enable":
            mode = "Enable"
        case "DetectMessageEnd":
            mode = "DetectMessageEnd"
        case "none" | "":
            return None
        case wrong:
            allowed = " or ".join(get_args(DetectionMode))
            raise TwilioRefusal(400, 20001, f"MachineDetection must be {allowed}, not {wrong}")
    return Detection(
        mode=mode,
        in_background=fields.get("AsyncAmd", "false").lower() == "true",
        callback=_callback(fields, "AsyncAmdStatusCallback"),
        callback_method=_method(fields, "AsyncAmdStatusCallbackMethod"),
        timeout=float(_between(fields, "MachineDetectionTimeout", 30, 3, 59)),
    )


def _number(fields: MultiMapping[str], name: str, code: int) -> str:
    number = fields.get(name, "")
    if not _E164.fullmatch(number):
        raise TwilioRefusal(400, code, f"Invalid '{name}' Phone Number: {number}")
    return number


def _is_url(url: str | None) -> bool:
    parts = urlsplit(url or "")
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _callback(fields: MultiMapping[str], name: str) -> str | None:
    url = fields.get(name)
    if url and not _is_url(url):
        raise TwilioRefusal(400, 21609, f"Invalid '{name}' URL: {url}")
    return url or None


def _method(fields: MultiMapping[str], name: str) -> str:
    method = fields.get(name, "POST").upper()
    if method not in _METHODS:
        raise TwilioRefusal(400, 20001, f"{name} must be GET or POST, not {method}")
    return method


def _events(given: list[str]) -> frozenset[str]:
    unknown = set(given) - EVENTS
    if unknown:
        # Twilio answers 201 to these and then sends nothing; a refusal is found sooner.
        raise TwilioRefusal(400, 21626, f"Invalid StatusCallbackEvent: {sorted(unknown)}")
    return frozenset(given) or frozenset({"completed"})


def _between(fields: MultiMapping[str], name: str, default: int, least: int, most: int) -> int:
    number = whole_number(fields, name, default)
    if not least <= number <= most:
        raise TwilioRefusal(400, 20001, f"{name} must be {least} to {most} seconds, not {number}")
    return number
