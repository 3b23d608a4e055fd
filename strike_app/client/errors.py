"""What can go wrong between another service and Strike."""

from __future__ import annotations

from collections.abc import Sequence


class StrikeError(Exception):
    """Whatever the client raises.

    `code` is one of the codes of docs/graphql.md, or the client's own UNREACHABLE and
    ANSWER_NOT_UNDERSTOOD. `path` names the wrong field, outermost first; it can be empty.
    """

    def __init__(self, code: str, message: str, path: Sequence[str] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.path = code, message, tuple(path)


class Refused(StrikeError):
    """Strike understood and said no. Nothing was stored, and asking again changes nothing."""


class StreamEnded(StrikeError):
    """Strike ended a stream, and to come back at once is of no use.

    `position` is where to go on, if that was said: after POSITION_TOO_OLD, load the list first.
    """

    def __init__(self, code: str, message: str, position: int | None) -> None:
        super().__init__(code, message)
        self.position = position


class Unreachable(StrikeError):
    """No answer came for as long as the client was to wait.

    A command may have been done: to give it again with the same key or reference is safe.
    """

    def __init__(self, message: str) -> None:
        super().__init__("UNREACHABLE", message)
