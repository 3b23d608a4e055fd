"""A callout is one trace, though six processes have to do with it: whoever looks at it sees why.

The whole program runs as its users run it, and sends its spans to a receiver that decodes them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.otlp import Seen, receiving

TRACE, CLICK = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
"""What a browser, or whatever stands before us, has begun."""

DEMO = [sys.executable, "-m", "strike_app", "demo", "--speed", "30", "--json"]


@dataclass(frozen=True)
class Trace:
    """The spans of the callout, each with those above it."""

    spans: dict[str, Seen]

    def above(self, span: Seen) -> list[str]:
        """Service and name of the span's parents, the nearest first."""
        names = []
        while span.parent in self.spans:
            span = self.spans[span.parent]
            names.append(f"{span.service}: {span.name}")
        return names

    def find(self, service: str, name: str) -> Seen:
        """The first such span."""
        found = [one for one in self.spans.values() if (one.service, one.name) == (service, name)]
        assert found, f"there is no {name} of {service}"
        return min(found, key=lambda one: one.began)


@pytest.fixture(scope="module")
def trace() -> Iterator[Trace]:
    with receiving() as receiver:
        env = {**os.environ, **receiver.env(), "TRACEPARENT": f"00-{TRACE}-{CLICK}-01"}
        done = subprocess.run(DEMO, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        # Each process sends what it still has when it stops: nothing is left to wait for.
        yield Trace({one.span: one for one in receiver.spans if one.trace == TRACE})


def test_every_span_of_it_has_its_parent_there_but_the_one_that_the_click_began(
    trace: Trace,
) -> None:
    known = trace.spans.keys() | {CLICK}
    assert [one.name for one in trace.spans.values() if one.parent not in known] == []
    begun = [one.name for one in trace.spans.values() if one.parent == CLICK]
    assert begun == ["POST /graphql"]


def test_a_key_press_goes_back_to_the_click_by_way_of_every_process(trace: Trace) -> None:
    accepted = trace.find("strike-serve", "strike.run.call-accepted")
    assert trace.above(accepted) == [
        "strike-serve: POST /twilio/key/{run}/{call}",
        "strike-mock: webhook twiml",
        "strike-mock: phone call",
        "strike-work: twilio POST Calls",
        "strike-work: work pager_process_state",
        "strike-follow: strike.run.started",
        "strike-follow: follow pager",
        "strike-serve: strike.eco.created",
        "strike-serve: command createEco",
        "strike-serve: POST /graphql",
    ]


def test_read_models_and_field_work_are_part_of_it(trace: Trace) -> None:
    seen = trace.find("strike-follow", "follow eco_views")
    assert trace.above(seen)[0] == "strike-serve: strike.eco.created"
    tasked = trace.find("strike-work", "render POST subsectors")
    assert trace.above(tasked)[0] == "strike-work: work render_poll_state"


def test_it_tells_nothing_that_is_nobodys_business(trace: Trace) -> None:
    told = repr([(one.name, one.attributes) for one in trace.spans.values()])
    for secret in ("+1", "Bearer", "secret", "Ana", "excavator", "@"):
        assert secret not in told
