"""Why a stream ends before its reader wants it to: each with a code that says what to do.

| code | what to do |
|---|---|
| RESUME_FROM | the reader was too slow: begin again at `position` |
| POSITION_TOO_OLD | too much has happened since: load the list, then follow from `position` |
| POSITION_UNKNOWN | the log is not that far, as after a restored backup: the same |
| TOO_MANY_STREAMS | close others first (`TooMany`) |
| NOT_A_MEMBER, API_TOKEN_INVALID, … | may no longer see it (`Forbidden`) |
"""

from __future__ import annotations

from strike_domain.errors import StrikeError


class StreamEnded(StrikeError):
    """The stream cannot go on. `position` is where its reader can begin again."""

    def __init__(self, code: str, message: str, position: int) -> None:
        super().__init__(code, message)
        self.position = position


def fell_behind(position: int) -> StreamEnded:
    message = f"You read too slowly. Subscribe again from position {position}: nothing is lost."
    return StreamEnded("RESUME_FROM", message, position)


def too_old(newest: int) -> StreamEnded:
    message = f"Too much has happened since. Load the list, then follow from position {newest}."
    return StreamEnded("POSITION_TOO_OLD", message, newest)


def unknown(newest: int) -> StreamEnded:
    message = f"The log has no such position. Load the list, then follow from position {newest}."
    return StreamEnded("POSITION_UNKNOWN", message, newest)
