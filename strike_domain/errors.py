"""What can go wrong, as one tree.

StrikeError
├── Rejected             the input is wrong: code, path of the wrong field, what would be right
│   └── InvalidTransition    the ECO's or the run's state does not allow it
├── NotFound             no such object, or not yours: the two look the same (section 6)
├── Forbidden            the actor lacks the role, or acts for a tenant that is not theirs
├── Conflict             someone else was faster, and the command no longer makes sense as given
├── WaitTimedOut         a position was not reached in time; the write itself is safe
└── Unavailable          an outside system did not do its part
    └── OutcomeUnknown       … and may or may not have done what was asked: ask it, never guess
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(eq=False)
class StrikeError(Exception):
    """Root of every error that Strike raises on purpose.

    `code` is machine-readable and stable, `message` is for people, `path` names the wrong field
    (empty where no single field is at fault).
    """

    code: str
    message: str
    path: tuple[str | int, ...] = field(default=())

    def __str__(self) -> str:
        where = ".".join(str(part) for part in self.path)
        return (
            f"{self.code} at {where}: {self.message}" if where else f"{self.code}: {self.message}"
        )


class Rejected(StrikeError):
    """Bad input. Nothing was stored."""


class InvalidTransition(Rejected):
    """The aggregate's state does not allow the command. Nothing was stored."""

    def __init__(self, message: str) -> None:
        super().__init__("INVALID_TRANSITION", message)


class NotFound(StrikeError):
    """No such object, or one that the actor may not see."""

    def __init__(self, what: str) -> None:
        super().__init__("NOT_FOUND", f"There is no such {what}, or it is not yours to see.")


class Forbidden(StrikeError):
    """The actor lacks a role on the tenant acted for."""

    def __init__(self, message: str, code: str = "FORBIDDEN") -> None:
        super().__init__(code, message)


class Conflict(StrikeError):
    """Concurrent commands kept winning; the command was tried again and given up."""

    def __init__(self, message: str) -> None:
        super().__init__("CONFLICT", message)


class WaitTimedOut(StrikeError):
    """A read model did not reach the awaited position in time; what was written is safe."""

    def __init__(self, position: int, seconds: float) -> None:
        super().__init__(
            "WAIT_TIMED_OUT",
            f"Position {position} was not reached within {seconds:g} s; your write is stored.",
            ("waitFor",),
        )


class Unavailable(StrikeError):
    """An outside system refused or failed, and certainly did not do what was asked.

    `can_retry`: whether the same request may succeed later. `retry_after`: seconds before which it
    is not worth trying, if the other side said so.
    """

    def __init__(
        self,
        message: str,
        code: str = "UNAVAILABLE",
        *,
        can_retry: bool = True,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, message)
        self.can_retry = can_retry
        self.retry_after = retry_after


class OutcomeUnknown(Unavailable):
    """The outside system may or may not have done it (time-out, connection lost)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "OUTCOME_UNKNOWN")
