"""Waiting takes no time, blocking code waits like any other, a killed process leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from strike_app.simulate import loop as simulated
from strike_app.simulate.loop import EPOCH, LoopClock, SimulatedLoop, Stuck, blocking, wait
from strike_app.simulate.processes import Killed, Process

Run = Callable[[Awaitable[object]], object]


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    made = SimulatedLoop()
    asyncio.set_event_loop(made)
    yield made
    asyncio.set_event_loop(None)
    made.close()


def test_a_day_passes_at_once(loop: SimulatedLoop) -> None:
    clock = LoopClock(loop)
    loop.run_until_complete(clock.sleep(86_400))
    assert (clock.now() - EPOCH).total_seconds() == 86_400


def test_what_is_due_first_comes_first(loop: SimulatedLoop) -> None:
    order: list[int] = []

    async def after(seconds: int) -> None:
        await asyncio.sleep(seconds)
        order.append(seconds)

    async def main() -> None:
        await asyncio.gather(*(after(seconds) for seconds in (3, 1, 2)))

    loop.run_until_complete(main())
    assert order == [1, 2, 3]


def test_blocking_code_waits_while_others_go_on(loop: SimulatedLoop) -> None:
    seen: list[str] = []

    def blocked(name: str, pause: float) -> str:
        for _ in range(2):
            wait(asyncio.sleep(pause))
            seen.append(name)
        return name

    async def main() -> tuple[str, str]:
        return await asyncio.gather(
            blocking(lambda: blocked("slow", 3)), blocking(lambda: blocked("quick", 2))
        )

    assert list(loop.run_until_complete(main())) == ["slow", "quick"]
    assert seen == ["quick", "slow", "quick", "slow"]


def test_what_blocking_code_awaits_may_fail(loop: SimulatedLoop) -> None:
    async def failing() -> None:
        raise LookupError("nothing there")

    def blocked() -> str:
        try:
            wait(failing())
        except LookupError as error:
            return str(error)
        return ""

    assert loop.run_until_complete(blocking(blocked)) == "nothing there"


def test_blocking_code_outside_a_fibre_may_not_wait(loop: SimulatedLoop) -> None:
    pause = asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="inside `blocking`"):
        wait(pause)
    pause.close()


def test_threads_are_fibres(loop: SimulatedLoop) -> None:
    async def main() -> float:
        await loop.run_in_executor(None, lambda: wait(asyncio.sleep(5)))
        return loop.time()

    assert loop.run_until_complete(main()) == pytest.approx(5)


def test_nothing_due_any_more_is_an_error_and_no_standstill(loop: SimulatedLoop) -> None:
    with pytest.raises(Stuck, match="nothing is due"):
        loop.run_until_complete(asyncio.Event().wait())


def test_what_goes_round_and_round_is_an_error(
    loop: SimulatedLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated, "MOST_TURNS", 100)

    async def main() -> None:
        while True:
            await LoopClock(loop).sleep(0.001)

    with pytest.raises(Stuck, match="round and round"):
        loop.run_until_complete(main())


class Patient:
    """A process that writes down how far it gets."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.steps: list[str] = []
        self.process = Process("patient", self._main, lambda: 10.0, LoopClock(loop).now)

    async def _main(self) -> None:
        self.steps.append("start")
        await blocking(self._work)

    def _work(self) -> None:
        wait(asyncio.sleep(5))
        self.steps.append("worked")
        asyncio.get_running_loop().create_task(self._later())
        wait(asyncio.sleep(100))

    async def _later(self) -> None:
        await asyncio.sleep(50)
        self.steps.append("later")


def test_a_killed_process_does_nothing_more_and_starts_again(loop: SimulatedLoop) -> None:
    patient = Patient(loop)

    async def main() -> None:
        patient.process.start()
        await asyncio.sleep(7)
        patient.process.kill()
        await asyncio.sleep(9)
        assert patient.steps == ["start", "worked"]
        await asyncio.sleep(3)
        assert patient.steps == ["start", "worked", "start"]
        await asyncio.sleep(44)
        # What the first life had set off died with it.
        assert patient.steps == ["start", "worked", "start", "worked"]
        await patient.process.stop()

    loop.run_until_complete(main())


def test_a_client_of_a_process_that_dies_sees_its_connection_break(loop: SimulatedLoop) -> None:
    patient = Patient(loop)

    async def slow() -> None:
        await asyncio.sleep(60)

    async def deadly() -> None:
        raise Killed

    async def main() -> None:
        with pytest.raises(ConnectionError, match="is down"):
            await patient.process.serve(slow)
        patient.process.start()
        await asyncio.sleep(1)
        asked = asyncio.create_task(patient.process.serve(slow))
        await asyncio.sleep(1)
        patient.process.kill()
        with pytest.raises(ConnectionError, match="died"):
            await asked
        await asyncio.sleep(11)
        with pytest.raises(ConnectionError, match="died"):
            await patient.process.serve(deadly)
        assert len(patient.process.died_at) == 2
        await patient.process.stop()

    loop.run_until_complete(main())
