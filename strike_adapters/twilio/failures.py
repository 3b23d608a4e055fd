"""Twilio's and the network's failures as Strike's, told apart by whether a call may ring."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from twilio.base.exceptions import (  # type: ignore[import-untyped]
    TwilioException,
    TwilioRestException,
    TwilioServiceException,
)

from strike_adapters.twilio.http import was_sent
from strike_domain.errors import OutcomeUnknown, Unavailable

_TOO_MANY = 429
_DIGITS = re.compile(r"\d{3,}(?=\d{4})")

# A body that is not JSON reaches us as ValueError, one that is no object as the others.
_UNREADABLE = (ValueError, TypeError, AttributeError)


@contextmanager
def asking() -> Iterator[None]:
    """For requests that may be made again without harm: every failure is `Unavailable`."""
    try:
        yield
    except (TwilioRestException, TwilioServiceException) as error:
        raise _refused(error) from error
    except httpx.HTTPError as error:
        raise Unavailable(f"Twilio was not reached: {_name(error)}.") from error
    except (TwilioException, *_UNREADABLE) as error:
        raise Unavailable("Twilio's answer makes no sense.") from error


@contextmanager
def placing() -> Iterator[None]:
    """For what must not be asked for twice: `OutcomeUnknown` unless it was certainly not done."""
    try:
        yield
    except (TwilioRestException, TwilioServiceException) as error:
        if error.status >= 500:
            raise OutcomeUnknown(f"Twilio answered {error.status}.") from error
        raise _refused(error) from error
    except httpx.HTTPError as error:
        if was_sent(error):
            raise OutcomeUnknown(f"Twilio did not answer: {_name(error)}.") from error
        raise Unavailable(f"Twilio was not reached: {_name(error)}.") from error
    except (TwilioException, *_UNREADABLE) as error:
        raise OutcomeUnknown("Twilio's answer makes no sense.") from error


def _refused(error: TwilioRestException | TwilioServiceException) -> Unavailable:
    can_retry = error.status == _TOO_MANY or error.status >= 500
    message = f"Twilio refused with {error.status} ({error.code}): {_masked(_reason(error))}"
    return Unavailable(message, f"TWILIO_{error.code}", can_retry=can_retry)


def _reason(error: TwilioRestException | TwilioServiceException) -> str:
    if isinstance(error, TwilioServiceException):
        return str(error.detail or error.title)
    return str(error.msg)


def _masked(text: str) -> str:
    """Phone numbers are for their owners; the last four digits tell others which one it was."""
    return _DIGITS.sub("…", text)


def _name(error: httpx.HTTPError) -> str:
    # Its text may hold the URL, and that the account; its name says enough.
    return type(error).__name__
