"""Questions that come at the same time: one go, and to each its own answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from strike_adapters.postgres.together import Together


class Oracle:
    """Doubles numbers, and knows nothing of 13. It waits at a gate, so that a queue can form."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked: list[list[int]] = []
        self.together: Together[int, int] = Together(self.ask)

    def ask(self, numbers: Sequence[int]) -> list[int]:
        self.asked.append(list(numbers))
        assert self.gate.wait(10)
        if 13 in numbers:
            raise LookupError("13")
        return [2 * one for one in numbers]


def test_one_alone_is_answered_at_once() -> None:
    oracle = Oracle()
    oracle.gate.set()
    assert [oracle.together(one) for one in (1, 0)] == [2, 0]
    assert oracle.asked == [[1], [0]]


def test_those_who_come_meanwhile_share_a_question_and_a_failure_is_its_callers_alone() -> None:
    oracle = Oracle()
    with ThreadPoolExecutor(10) as threads:
        first = threads.submit(oracle.together, 1)
        while not oracle.asked:
            pass
        asked = [13, 2, 3, 13, 4]
        rest = [threads.submit(oracle.together, number) for number in asked]
        while len(oracle.together._groups._waiting) < len(asked):
            pass
        oracle.gate.set()
        assert first.result(10) == 2
        for number, one in zip(asked, rest, strict=True):
            if number == 13:
                assert isinstance(one.exception(10), LookupError)
            else:
                assert one.result(10) == 2 * number
    together, *singly = oracle.asked[1:]
    assert sorted(together) == sorted(asked)
    assert singly == [[number] for number in together]
