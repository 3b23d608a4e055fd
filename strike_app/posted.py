"""What is sent as a form and is none: whatever the library makes of it becomes one refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp.http_exceptions import HttpProcessingError

from strike_domain.errors import Rejected

# No boundary, or another one; parts inside parts, without an end, or with headers that are none;
# an unknown charset or encoding, and bytes that are not of it.
_UNREADABLE = (ValueError, LookupError, AssertionError, RuntimeError, HttpProcessingError)


@contextmanager
def reading_a_form() -> Iterator[None]:
    """While a form is read. Raises `Rejected` (FORM_EXPECTED) if it cannot be."""
    try:
        yield
    except _UNREADABLE:
        raise Rejected("FORM_EXPECTED", "Send the form of the page.") from None
