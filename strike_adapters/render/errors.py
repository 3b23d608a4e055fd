"""What can go wrong with Render, in words that an operator can act on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from strike_domain.errors import Unavailable

MAX_QUOTED = 200
"""Characters of Render's own explanation that are passed on."""


class RenderUnavailable(Unavailable):
    """Render did not do its part.

    `status` is the HTTP status, None without an answer; `retry_after` is in seconds. Codes with
    `can_retry`: RENDER_UNREACHABLE, RENDER_TIMED_OUT, RENDER_TOO_MANY_REQUESTS, RENDER_FAILING,
    RENDER_LIST_MOVING, RENDER_KEY_UNAVAILABLE. Codes without: RENDER_NOT_CONFIGURED,
    RENDER_SECRET_UNREADABLE, RENDER_CREDENTIALS_REFUSED, RENDER_TOKEN_REFUSED, RENDER_NOT_FOUND,
    RENDER_REFUSED, RENDER_REDIRECTED, RENDER_BASE_URL, RENDER_INVALID_ANSWER,
    RENDER_UNKNOWN_STATE, RENDER_ANSWER_TOO_LARGE.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        can_retry: bool,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, f"RENDER_{code}", can_retry=can_retry, retry_after=retry_after)
        self.status = status


def invalid_answer(what: str) -> RenderUnavailable:
    """An answer that the contract does not allow: neither guessed at nor worth repeating."""
    return RenderUnavailable(
        "INVALID_ANSWER",
        f"Render's answer does not follow the contract: {what}. Check the base URL and version.",
        can_retry=False,
    )


def timed_out(seconds: float) -> RenderUnavailable:
    return RenderUnavailable(
        "TIMED_OUT", f"Render took longer than {seconds:g} s to answer.", can_retry=True
    )


def failed_answer(status: int, headers: Mapping[str, str], body: bytes) -> RenderUnavailable:
    """The error for any status that is not the one hoped for (contract, "Errors")."""
    if status == 429 or status >= 500:
        return _passing(status, _seconds(headers.get("Retry-After")))
    if status < 400:
        return _unexpected(status)
    if status == 401:
        code, message = "TOKEN_REFUSED", "Render refuses the access token that it just gave us."
    elif status == 404:
        code, message = "NOT_FOUND", f"Render does not know what was asked for{_quoted(body)}."
    else:
        code, message = "REFUSED", f"Render refused the request with {status}{_quoted(body)}."
    return RenderUnavailable(code, message, can_retry=False, status=status)


def _passing(status: int, retry_after: float | None) -> RenderUnavailable:
    """Trouble that can pass by itself. The body may be anything, so none of it is shown."""
    wait = f" and asks us to wait {retry_after:g} s" if retry_after is not None else ""
    code, does = ("FAILING", f"fails with {status}")
    if status == 429:
        code, does = "TOO_MANY_REQUESTS", "says that we ask too often"
    return RenderUnavailable(
        code, f"Render {does}{wait}.", can_retry=True, status=status, retry_after=retry_after
    )


def _unexpected(status: int) -> RenderUnavailable:
    if status in (301, 302, 303, 307, 308):
        message = f"Render redirects ({status}): its base URL is wrong or has changed."
        return RenderUnavailable("REDIRECTED", message, can_retry=False, status=status)
    return invalid_answer(f"the status {status} was not expected")


def _seconds(retry_after: str | None) -> float | None:
    """Whole seconds only; a date would need a clock that agrees with Render's."""
    value = (retry_after or "").strip()
    return float(value[:9]) if value.isascii() and value.isdigit() else None


def _quoted(body: bytes) -> str:
    """Render's own explanation, if the body has the contract's form."""
    try:
        error = json.loads(body)["error"]
        text = f"{error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    shown = "".join(char for char in text if char.isprintable())
    return f" ({shown[:MAX_QUOTED]})"
