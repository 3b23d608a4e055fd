"""Callers that come at the same time are served together, by one of them.

Whoever comes while nobody is being served goes at once, in their own thread. Those who come
meanwhile wait in a queue; the first of them goes next, for all of them, and so on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from threading import Event, Lock
from typing import Any, Generic, TypeVar

from eventsourcing.persistence import OperationalError

MAX_CALLERS, MAX_BYTES = 256, 2**20
"""What one group takes at most; one that is larger than that makes a group of its own."""

MAX_TRIES, RETRY_SECONDS = 10, 0.2
"""As the library's recorders do it when the database does not answer."""

LOOK_EVERY = 5.0
"""Seconds after which one who waits looks whether a wake-up got lost by an interruption."""

TAnswer = TypeVar("TAnswer")
TAsked = TypeVar("TAsked")


class Caller(Generic[TAnswer]):
    """Who wants something done, and what became of it. `size` is its share of a group's room."""

    __slots__ = ("answer", "gone", "size", "tries", "wakes", "woken")

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self.answer: TAnswer | Exception | None = None
        """What was found, or why nothing was."""
        self.tries = 0
        self.gone = False
        """Whether the caller was interrupted and waits no longer."""
        self.woken = Lock()
        self.woken.acquire()
        self.wakes: Caller[Any] | None = None
        """Who of the same group is to go on after this one."""

    def put_off(self, error: Exception) -> None:
        """To be tried again, or not if that was the last of `MAX_TRIES`."""
        self.tries += 1
        if self.tries == MAX_TRIES:
            # The others of the group raise it in their own threads: each has one of its own.
            self.answer = copied(error)

    def result(self) -> TAnswer:
        if self.answer is None or isinstance(self.answer, Exception):
            raise self.answer or closed()
        return self.answer


TCaller = TypeVar("TCaller", bound=Caller[Any])


class Groups(Generic[TCaller]):
    """Forms groups of callers, in order of arrival, and lets one of them commit for each group.

    `commit` sets the answers of a group. Those that it leaves without one are tried again, in
    front of all who came later.
    """

    def __init__(self, commit: Callable[[Sequence[TCaller]], object]) -> None:
        self._commit = commit
        self._mutex = Lock()
        self._waiting: deque[TCaller] = deque()
        self._leader: TCaller | None = None
        """Who commits, or has been told to; always the first of those who wait."""
        self._group: list[TCaller] = []
        self._closed = Event()

    def join(self, mine: TCaller) -> None:
        """Return when `mine` has its answer."""
        try:
            if not self._enter(mine):
                self._wait(mine)
            while mine.answer is None:
                self._lead(mine)
        except BaseException:
            self._leave(mine)
            raise
        finally:
            if mine.wakes is not None:
                mine.wakes.woken.release()

    def close(self) -> None:
        """Tell those who wait that it is too late. A group under way comes to its own end."""
        with self._mutex:
            self._closed.set()
            while self._waiting:
                self._refuse(self._waiting.popleft())

    def _refuse(self, one: TCaller) -> None:
        one.answer = closed()
        if one is not self._leader:
            one.woken.release()

    def _enter(self, mine: TCaller) -> bool:
        """Join the queue; whether it is for this caller to lead."""
        with self._mutex:
            if self._closed.is_set():
                raise closed()
            self._waiting.append(mine)
            if self._leader is not None:
                return False
            self._leader = mine
            return True

    def _wait(self, mine: TCaller) -> None:
        while not mine.woken.acquire(timeout=LOOK_EVERY):
            if mine.answer is not None or self._leader is mine:
                return

    def _lead(self, mine: TCaller) -> None:
        if mine.tries:
            self._closed.wait(RETRY_SECONDS)
        with self._mutex:
            self._group = group = self._next_group()
        if group:
            self._commit(group)
        with self._mutex:
            self._dismiss(mine)

    def _next_group(self) -> list[TCaller]:
        group: list[TCaller] = []
        room = MAX_BYTES
        while self._waiting and len(group) < MAX_CALLERS:
            room -= self._waiting[0].size
            if room < 0 and group:
                break
            group.append(self._waiting.popleft())
        return group

    def _dismiss(self, mine: TCaller) -> None:
        """Hand over, and only then wake the others: the disk should not have to wait for them.

        They wake each other, one by one. All at once, each with something to do, would be in the
        way of the one who commits next and has to get the interpreter between two of them: a third
        of the time with 64 callers.
        """
        group, self._group = self._group, []
        again = [one for one in group if one.answer is None and not one.gone]
        if self._closed.is_set():
            for one in again:
                one.answer = closed()
        else:
            self._waiting.extendleft(reversed(again))
        if mine.answer is not None or mine.gone:
            self._appoint()
        done = [one for one in group if one.answer is not None and not one.gone and one is not mine]
        for one, following in pairwise(done):
            one.wakes = following
        if done and (mine.answer is not None or mine.gone):
            mine.wakes = done[0]
        elif done:
            done[0].woken.release()

    def _appoint(self) -> None:
        self._leader = self._waiting[0] if self._waiting else None
        if self._leader is not None:
            self._leader.woken.release()

    def _leave(self, mine: TCaller) -> None:
        """An interrupted caller is waited for by nobody, least of all as the one who leads."""
        with self._mutex:
            mine.gone = True
            if mine in self._waiting:
                self._waiting.remove(mine)
            if self._leader is mine:
                self._dismiss(mine)


class Question(Caller[TAnswer], Generic[TAsked, TAnswer]):
    """What one caller asks."""

    __slots__ = ("asked",)

    def __init__(self, asked: TAsked) -> None:
        super().__init__()
        self.asked = asked


class Together(Generic[TAsked, TAnswer]):
    """Questions that come while another is being answered are asked together, in one go.

    `ask` gives the answers, none of them None, in the order of the questions. If it fails for all,
    each is asked alone, and its caller gets what becomes of that.
    """

    def __init__(self, ask: Callable[[Sequence[TAsked]], Sequence[TAnswer]]) -> None:
        self._ask = ask
        self._groups: Groups[Question[TAsked, TAnswer]] = Groups(self._answer)

    def __call__(self, asked: TAsked) -> TAnswer:
        """The answer. Raises what `ask` raised."""
        mine = Question[TAsked, TAnswer](asked)
        self._groups.join(mine)
        return mine.result()

    def _answer(self, questions: Sequence[Question[TAsked, TAnswer]]) -> None:
        try:
            answers = self._ask([one.asked for one in questions])
        except Exception as error:
            if len(questions) == 1:
                questions[0].answer = error
                return
            for one in questions:
                self._answer([one])
        else:
            for one, answer in zip(questions, answers, strict=True):
                one.answer = answer


def closed() -> OperationalError:
    return OperationalError("the event store has been closed")


def copied(error: Exception) -> Exception:
    """Another of its kind, for another thread to raise."""
    made = type(error)(*error.args)
    made.__cause__ = error
    return made
