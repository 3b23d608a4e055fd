"""A telephone that rings nobody and does what it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from itertools import count
from threading import RLock
from uuid import UUID

from strike_domain.errors import OutcomeUnknown, Unavailable
from strike_domain.memory import SystemClock
from strike_domain.ports import CallOrder, Clock, ProviderCall, ProviderCallState, TextOrder


class _Loss(Enum):
    """Where the answer to an order was lost: before or after the call was started."""

    BEFORE = auto()
    AFTER = auto()


@dataclass
class _Placed:
    order: CallOrder
    call: ProviderCall
    started_at: datetime


class FakeTelephone:
    """A `Telephone` that takes texts, too, for tests; may be used from any number of threads.

    `orders` holds every order that was tried to be placed, in order, and `ended` the ids of the
    calls that were ended while they were live; `texts` holds the texts that were taken. While
    `reachable` is False every method raises `Unavailable`. `clock` tells when a call starts.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.orders: list[CallOrder] = []
        self.ended: list[str] = []
        self.texts: list[TextOrder] = []
        self.reachable = True
        self._clock = clock or SystemClock()
        self._placed: dict[str, _Placed] = {}
        self._script: deque[Unavailable | _Loss] = deque()
        self._numbers = count(1)
        self._lock = RLock()

    def refuse_next(
        self,
        reason: str = "The number is not valid.",
        code: str = "TELEPHONE_REFUSED",
        *,
        can_retry: bool = False,
    ) -> None:
        """Let the next order or text that nothing else is in line for raise `Unavailable`."""
        self._script.append(Unavailable(reason, code, can_retry=can_retry))

    def lose_next(self, *, call_started: bool) -> None:
        """Let the next such raise `OutcomeUnknown`: the call was started, the text sent, or not."""
        self._script.append(_Loss.AFTER if call_started else _Loss.BEFORE)

    def set_state(self, sid: str, state: ProviderCallState, answered_by: str | None = None) -> None:
        """Put a call into a state. Raises KeyError if there is no such call."""
        with self._lock:
            placed = self._placed[sid]
            placed.call = replace(
                placed.call, state=state, answered_by=answered_by or placed.call.answered_by
            )

    def sid_of(self, call_id: UUID) -> str:
        """The provider's id of the newest call placed for Strike's `call_id`; else KeyError."""
        with self._lock:
            for sid, placed in reversed(self._placed.items()):
                if placed.order.call_id == call_id:
                    return sid
        raise KeyError(call_id)

    def place(self, order: CallOrder) -> str:
        """Start a call, unless the script says otherwise."""
        with self._lock:
            self.orders.append(order)
            return self._scripted(lambda: self._start(order))

    def send_text(self, order: TextOrder) -> str:
        """Take a text, unless the script says otherwise."""
        with self._lock:
            return self._scripted(lambda: self._take(order))

    def find(self, noc_id: UUID, to: str, since: datetime) -> Sequence[ProviderCall]:
        """The NOC's calls to that number that were started at or after `since`, oldest first."""
        with self._lock:
            self._check_reachable()
            return [
                one.call
                for one in self._placed.values()
                if one.order.noc_id == noc_id and one.order.to == to and one.started_at >= since
            ]

    def fetch(self, noc_id: UUID, sid: str) -> ProviderCall:
        """The state of one call; `Unavailable` if the NOC has no such call."""
        with self._lock:
            return self._of(noc_id, sid).call

    def end(self, noc_id: UUID, sid: str) -> None:
        """End a call: one that was answered is completed, another canceled."""
        with self._lock:
            placed = self._of(noc_id, sid)
            if placed.call.state.is_final:
                return
            answered = placed.call.state is ProviderCallState.IN_PROGRESS
            over = ProviderCallState.COMPLETED if answered else ProviderCallState.CANCELED
            self.set_state(sid, over)
            self.ended.append(sid)

    def _scripted(self, act: Callable[[], str]) -> str:
        self._check_reachable()
        outcome = self._script.popleft() if self._script else None
        if isinstance(outcome, Unavailable):
            raise outcome
        if outcome is _Loss.BEFORE:
            raise _lost()
        sid = act()
        if outcome is _Loss.AFTER:
            raise _lost()
        return sid

    def _take(self, order: TextOrder) -> str:
        self.texts.append(order)
        return f"SM{next(self._numbers):032x}"

    def _start(self, order: CallOrder) -> str:
        sid = f"CA{next(self._numbers):032x}"
        call = ProviderCall(sid, order.to, ProviderCallState.QUEUED)
        self._placed[sid] = _Placed(order, call, self._clock.now())
        return sid

    def _of(self, noc_id: UUID, sid: str) -> _Placed:
        self._check_reachable()
        placed = self._placed.get(sid)
        if placed is None or placed.order.noc_id != noc_id:
            raise Unavailable(
                f"The provider knows no call {sid}.", "TELEPHONE_UNKNOWN_CALL", can_retry=False
            )
        return placed

    def _check_reachable(self) -> None:
        if not self.reachable:
            raise Unavailable("The telephone provider cannot be reached.", "TELEPHONE_UNREACHABLE")


def _lost() -> OutcomeUnknown:
    return OutcomeUnknown("The provider's answer was lost; it may have done what was asked.")
