"""The line of one live call: what goes on there at this moment, and what happens besides."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from strike_mock.calls import Call
from strike_mock.clock import Clock
from strike_mock.phones import Finger, Keypad
from strike_mock.scenarios import Phone, Timing

Doing = Coroutine[object, object, None]


class Line:
    """Holds a call's tasks, so that its course can be changed or ended from outside at any time.

    `follows_script` until somebody takes the phone by hand, and `waits_for_turn` until the account
    may start one more call.
    """

    def __init__(self, call: Call, phone: Phone, timing: Timing, clock: Clock) -> None:
        self.call = call
        self.phone = phone
        self.timing = timing
        self.keypad = Keypad(call, clock)
        self.finger = Finger(phone, self.keypad, clock)
        self.follows_script = True
        self.waits_for_turn = True
        self._course: asyncio.Task[None] | None = None
        self._script: set[asyncio.Task[None]] = set()
        self._besides: set[asyncio.Task[None]] = set()

    def goes_on(self, doing: Doing) -> None:
        """From now on this happens, and no longer what happened so far."""
        self.keypad.ignore()
        before, self._course = self._course, asyncio.ensure_future(doing)
        _stop({before} if before is not None else set())

    def scripted(self, doing: Doing) -> None:
        """This happens besides, unless somebody takes the phone by hand."""
        _start(doing, self._script)

    def besides(self, doing: Doing) -> None:
        """This happens besides, whoever holds the phone."""
        _start(doing, self._besides)

    def take_in_hand(self) -> None:
        """Somebody holds the phone: its script is over."""
        self.follows_script = False
        self.finger.rest()
        _stop(self._script)

    def drop(self) -> None:
        """Nothing happens here any more, apart from the task that says so."""
        self.keypad.ignore()
        self.finger.rest()
        _stop(self.tasks())

    def tasks(self) -> set[asyncio.Task[None]]:
        """Return every task that is not over yet, but for the fingers'."""
        course = {self._course} if self._course is not None else set()
        return {task for task in course | self._script | self._besides if not task.done()}


def _start(doing: Doing, tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.ensure_future(doing)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _stop(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks - {asyncio.current_task()}:
        task.cancel()
