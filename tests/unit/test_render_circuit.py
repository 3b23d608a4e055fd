"""A circuit leaves a dead instance alone, tries it with one request, and says what was wrong."""

from __future__ import annotations

from uuid import uuid4

import pytest
from pydantic import SecretStr

from strike_adapters.memory import ManualClock
from strike_adapters.render.circuit import FAILURES, Circuit, CircuitOpen, Circuits, CircuitState
from strike_adapters.render.errors import RenderUnavailable
from strike_adapters.render.instance import RememberedInstances, RenderInstance
from strike_adapters.render.token import Credentials


class Line:
    """A circuit on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.circuit = Circuit(self.clock)
        self.asked = 0

    def ask(self, error: BaseException | None = None) -> None:
        with self.circuit.passing():
            self.asked += 1
            if error is not None:
                raise error

    def fails(self, code: str = "FAILING", *, times: int = 1, after: float | None = None) -> None:
        for _ in range(times):
            trouble = RenderUnavailable(
                code, "Render fails with 503.", can_retry=True, retry_after=after
            )
            with pytest.raises(RenderUnavailable):
                self.ask(trouble)

    def is_refused(self) -> CircuitOpen:
        before = self.asked
        with pytest.raises(CircuitOpen) as error:
            self.ask()
        assert self.asked == before
        return error.value


@pytest.fixture
def line() -> Line:
    return Line()


def test_it_opens_after_so_many_failures_in_a_row(line: Line) -> None:
    line.fails(times=FAILURES - 1)
    line.ask()
    line.fails(times=FAILURES)
    assert line.circuit.state is CircuitState.OPEN
    line.is_refused()


def test_what_it_says_is_what_was_wrong(line: Line) -> None:
    line.fails(times=FAILURES)
    refusal = line.is_refused()
    assert refusal.code == "RENDER_FAILING"
    assert refusal.message == "Render fails with 503. It is left alone for another 15 s."
    assert refusal.retry_after == 15 and refusal.can_retry


def test_after_its_pause_one_request_tries_and_the_others_wait(line: Line) -> None:
    line.fails(times=FAILURES)
    line.clock.advance(15)
    assert line.circuit.state == "PROBING"
    with line.circuit.passing():
        line.is_refused()
    assert line.circuit.state == "CLOSED"
    line.ask()


def test_the_pause_doubles_with_each_probe_that_fails_but_not_for_ever(line: Line) -> None:
    line.fails(times=FAILURES)
    pauses = []
    for _ in range(6):
        assert line.circuit.until is not None
        pauses.append((line.circuit.until - line.clock.now()).total_seconds())
        line.clock.advance_to(line.circuit.until)
        line.fails()
    assert pauses == [15, 30, 60, 120, 120, 120]


def test_after_an_answer_it_begins_anew(line: Line) -> None:
    line.fails(times=FAILURES)
    line.clock.advance(15)
    line.fails()
    line.clock.advance(30)
    line.ask()
    line.fails(times=FAILURES)
    assert line.is_refused().retry_after == 15


def test_a_retry_after_is_obeyed_at_once_and_exactly(line: Line) -> None:
    line.fails("TOO_MANY_REQUESTS", after=3)
    line.is_refused()
    line.clock.advance(3)
    line.ask()


def test_nobody_is_left_alone_for_a_week(line: Line) -> None:
    line.fails(after=7 * 86_400)
    assert line.is_refused().retry_after == 600


@pytest.mark.parametrize("code", ["NOT_FOUND", "LIST_MOVING", "UNKNOWN_STATE", "INVALID_ANSWER"])
def test_an_answer_is_an_answer_even_if_it_is_no_help(line: Line, code: str) -> None:
    line.fails(code, times=3 * FAILURES)
    assert line.circuit.state is CircuitState.CLOSED


def test_those_who_were_under_way_when_it_opened_do_not_open_it_further(line: Line) -> None:
    line.fails(times=FAILURES)
    until = line.circuit.until
    line.circuit._failed(RenderUnavailable("FAILING", "Late.", can_retry=True))
    assert line.circuit.until == until


def test_a_probe_that_dies_does_not_keep_the_others_out_for_ever(line: Line) -> None:
    line.fails(times=FAILURES)
    line.clock.advance(15)
    with pytest.raises(KeyboardInterrupt):
        line.ask(KeyboardInterrupt())
    line.ask()


def test_other_credentials_are_another_circuit() -> None:
    circuits = Circuits(ManualClock())
    one, other = (Credentials("https://r.example", "us", SecretStr(word)) for word in ("a", "b"))
    assert circuits.of(one) is circuits.of(one)
    assert circuits.of(one) is not circuits.of(other)


def test_instances_are_remembered_for_some_seconds_and_then_read_again() -> None:
    osp, seconds, reads = uuid4(), [0.0], []

    class Store:
        def for_osp(self, osp_id: object) -> RenderInstance | None:
            reads.append(osp_id)
            return None

    remembered = RememberedInstances(Store(), seconds=5, monotonic=lambda: seconds[0])
    for now in (0.0, 4.9):
        seconds[0] = now
        assert remembered.for_osp(osp) is None
    assert reads == [osp]
    seconds[0] = 5.1
    assert remembered.field_terms(osp).interval.total_seconds() == 30
    assert reads == [osp, osp]
