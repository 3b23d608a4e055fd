"""Cursors: where a row stands in a list, opaque to clients. Each says of which sort it is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from strike_domain.errors import Rejected

Place = dict[str, Any]


def write_cursor(row: Mapping[str, Any], sort: str, keys: Sequence[str]) -> str:
    """Where a row stands in the list of that sort, which goes by these columns."""
    return base64.urlsafe_b64encode(to_json([sort, *(row[name] for name in keys)])).decode()


def read_cursor(cursor: str, sort: str, keys: Sequence[str], path: tuple[str, ...]) -> Place:
    """What `write_cursor` wrote.

    Raises `Rejected`: CURSOR_INVALID, and CURSOR_OF_OTHER_SORT for one of a list that is sorted
    in another way.
    """
    try:
        text = base64.b64decode(cursor.encode(), b"-_", validate=True)
        of_sort, *places = from_json(text)
        if of_sort == sort:
            read = zip(keys, places, strict=True)
            return {name: _READERS.get(name, _moment)(value) for name, value in read}
    except (ValueError, TypeError, AttributeError, binascii.Error):
        of_sort = None
    if not isinstance(of_sort, str):
        message = "Use a cursor exactly as an earlier page gave it."
        raise Rejected("CURSOR_INVALID", message, path)
    message = "This cursor is of a list that is sorted in another way. Begin again without it."
    raise Rejected("CURSOR_OF_OTHER_SORT", message, path)


def _urgency(value: int) -> int:
    if type(value) is not int or abs(value) > 1_000:
        raise ValueError("No row is that urgent.")
    return value


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("A moment without its time zone.")
    return moment


def _position(value: int) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("No event is there.")
    return value


_READERS: Mapping[str, Any] = {"eco_id": UUID, "urgency": _urgency, "position": _position}
