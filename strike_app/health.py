"""Whether a process is alive, and whether it is ready, with reasons: for whoever runs it.

Alive says nothing of others: a process that is not alive is to be started anew, and the database's
absence is no reason for that. Ready is who can do its work now.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from strike_adapters.postgres.follower_states import FollowerStatus

STOPPING = "the process is stopping"


class State(StrEnum):
    """How something fares that a process depends on."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    BEHIND = "behind"
    FAILING = "failing"
    NOT_RUNNING = "not running"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Dependency:
    """`reason`: why the process is not ready; empty if it is, or can work without.

    One that does not hinder has a reason to be told of, with which the process is ready.
    """

    name: str
    state: State
    reason: str = ""
    hinders: bool = True


class Health:
    """Of one process, whose threads it watches."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._followers = Dependency("followers", State.UNKNOWN)

    def watch(self, threads: Iterable[threading.Thread]) -> None:
        """Threads that are to go on until the process stops."""
        self._threads += threads

    def stop(self) -> None:
        """From now on it is not ready: whoever shares out work is to look elsewhere."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def ended(self) -> list[str]:
        """Names of threads that have ended though they should not: the process is half dead."""
        if self.is_stopping:
            return []
        return [one.name for one in self._threads if not one.is_alive()]

    def followers_fare(self, found: Sequence[FollowerStatus] | None) -> None:
        """Told by the reporter of the followers; None: nobody knows."""
        self._followers = Dependency("followers", _worst(found))

    def alive(self) -> tuple[int, dict[str, Any]]:
        """HTTP status and body of `/healthz`."""
        ended = self.ended()
        body: dict[str, Any] = {"alive": not ended}
        return (503, body | {"ended": ended}) if ended else (200, body)

    def ready(self, found: Sequence[Dependency]) -> tuple[int, dict[str, Any]]:
        """HTTP status and body of `/readyz`, by what it depends on.

        Followers are told of, and are no reason: commands are taken without them.
        """
        reasons = [STOPPING] if self.is_stopping else []
        reasons += [one.reason for one in found if one.reason and one.hinders]
        reasons += [f"{name} has ended" for name in self.ended()]
        told = [one.reason for one in found if one.reason and not one.hinders]
        body = {
            "ready": not reasons,
            "stopping": self.is_stopping,
            "reasons": [*reasons, *told],
            "dependencies": {one.name: one.state.value for one in (*found, self._followers)},
        }
        return (503 if reasons else 200), body


def database(check: Callable[[], object]) -> Dependency:
    """The database, by a question that raises if it is away."""
    try:
        check()
    except Exception:
        reason = "the database cannot be reached, or is not prepared"
        return Dependency("database", State.UNAVAILABLE, reason)
    return Dependency("database", State.OK)


def _worst(found: Sequence[FollowerStatus] | None) -> State:
    if found is None:
        return State.UNKNOWN
    if any(one.failure for one in found):
        return State.FAILING
    if not all(one.process for one in found):
        return State.NOT_RUNNING
    return State.OK if all(one.is_well for one in found) else State.BEHIND
