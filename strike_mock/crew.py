"""The scripted crew: moves task states and adds tasks by the clock, as the scenario says."""

from __future__ import annotations

import asyncio

from strike_mock.clock import Clock
from strike_mock.scenarios import CrewStep, Scenario
from strike_mock.tasks import Project, Subsector, Task


class Crew:
    """Works on every investigation task that Strike makes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: set[asyncio.Task[None]] = set()

    def send(self, scenario: Scenario, project: Project, subsector: Subsector, task: Task) -> None:
        """Start the scenario's steps on a task just made; returns at once."""
        work = _Work(scenario, project, subsector, task)
        job = asyncio.ensure_future(work.do(self._clock))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def close(self) -> None:
        """Send every crew home."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)


class _Work:
    def __init__(
        self, scenario: Scenario, project: Project, subsector: Subsector, task: Task
    ) -> None:
        self._steps = sorted(scenario.crew.steps, key=lambda step: step.after_seconds)
        self._project = project
        self._subsector = subsector
        self._labelled = {"investigation": task}

    async def do(self, clock: Clock) -> None:
        began = clock.now()
        for step in self._steps:
            passed = (clock.now() - began).total_seconds()
            await clock.sleep(step.after_seconds - passed)
            self._take(step)

    def _take(self, step: CrewStep) -> None:
        if step.task is not None and step.state is not None:
            self._project.move(self._labelled[step.task], step.state)
        elif step.removes is not None:
            self._project.remove(self._labelled.pop(step.removes))
        elif step.adds is not None:
            new = step.adds
            self._labelled[new.label] = self._project.add_task(
                self._subsector,
                kind=new.kind,
                name=new.name,
                state=new.state,
                cloned_from=self._labelled[new.clones].id if new.clones else None,
            )
