"""The trace of a command begins with the click: the page's script names it, if traces are sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from strike_app.demo.world import World, open_world
from strike_mock.scenarios import load
from tests.console.callouts import Noc
from tests.console.person import Person
from tests.otlp import Receiver, receiving


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def world(receiver: Receiver) -> Iterator[World]:
    """As the others are, but each process sends its spans; half of all traces is sampled."""
    with pytest.MonkeyPatch.context() as patch:
        sampler = {
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": ".5",
        }
        for name, value in (receiver.env() | sampler).items():
            patch.setenv(name, value)
        with open_world(load("second-accepts"), 20.0) as opened:
            yield opened


def test_a_click_is_the_root_of_its_trace_and_sampled_as_the_server_would(
    operator: Person, noc: Noc, receiver: Receiver
) -> None:
    eco = noc.create()
    operator.go("eco", eco["id"])
    page = operator.page
    sent: list[str] = []

    def heard(request: Any) -> None:
        if request.method == "POST":
            sent.append(request.headers["traceparent"])

    page.on("request", heard)
    while not {one[-2:] for one in sent} >= {"00", "01"}:
        page.locator("#note").fill(f"Note {len(sent)}.")
        page.keyboard.press("Control+Enter")
        page.locator(".eco-timeline").get_by_text(f"Note: Note {len(sent) - 1}.").wait_for()
        assert len(sent) < 40, "A coin that falls on one side only."
    for header in sent:
        _, trace, _, flags = header.split("-")
        assert (int(trace[16:], 16) < 2**63) == (flags == "01")
    sampled = {one.split("-")[1]: one.split("-")[2] for one in sent if one.endswith("01")}
    route = "POST /t/{tenant}/eco/{eco}/{command}"

    def have_come(spans: list[Any]) -> bool:
        return {one.trace for one in spans if one.name == route} >= set(sampled)

    spans = receiver.wait_for(have_come)
    begun = [one for one in spans if one.name == route]
    assert {one.trace: one.parent for one in begun} == sampled, "Nothing else was sampled."
    (first, *_) = begun
    names = {one.name: one for one in spans if one.trace == first.trace}
    assert names["command addNote"].parent == first.span
    assert names["strike.eco.note-added"].parent == names["command addNote"].span
