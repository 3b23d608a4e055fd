"""What Prometheus is told of a night."""

from __future__ import annotations

import threading
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry

from strike_adapters.postgres.auditor import Finding
from strike_adapters.render.circuit import CircuitState
from strike_adapters.render.pulse import Pulse
from strike_app.health import Dependency, Health, State, database
from strike_app.metrics import Metrics
from strike_app.metrics_port import serve_metrics
from strike_app.settings import Settings
from strike_domain import Unavailable
from tests.unit.given import ANA, BEN, Night


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"strike_{name}", labels)


def night(metrics: Metrics) -> Night:
    night = Night(ANA, BEN)
    night.strike.log.listeners.append(metrics.stored)
    return night.create()


def test_the_time_to_the_first_ring_and_to_the_acceptance_are_measured_once(
    metrics: Metrics,
) -> None:
    told = night(metrics)
    told.after(2)
    told.phone(ANA).rings().is_busy()
    told.after(3)
    told.phone(BEN).rings().presses("1").presses("1")
    assert value(metrics, "first_ring_seconds_sum") == 2
    assert value(metrics, "first_ring_seconds_count") == 1
    assert value(metrics, "acceptance_seconds_sum") == 5
    assert value(metrics, "acceptance_seconds_count") == 1
    assert value(metrics, "calls_requested_total") == 2
    assert value(metrics, "calls_total", outcome="BUSY") == 1
    assert value(metrics, "calls_total", outcome="ACCEPTED") == 1
    assert value(metrics, "runs_ended_total", state="ACCEPTED") == 1


def test_an_exhausted_run_is_counted(metrics: Metrics) -> None:
    told = night(metrics)
    for one in (ANA, BEN):
        told.phone(one).rings().presses("2")
    assert value(metrics, "runs_ended_total", state="EXHAUSTED") == 1
    assert value(metrics, "calls_total", outcome="DECLINED") == 2


def test_texts_are_counted_by_what_came_of_them(metrics: Metrics) -> None:
    told = Night(ANA, BEN, texted=[ANA, BEN])
    told.strike.log.listeners.append(metrics.stored)
    told.switchboard.text_faults = [Unavailable("Not a mobile.", can_retry=False)]
    told.create().phone(ANA).rings().presses("2")
    assert value(metrics, "texts_total", result="failed") == 1
    assert value(metrics, "texts_total", result="taken") == 1


def test_what_the_auditor_finds_is_shown_until_it_is_gone(metrics: Metrics) -> None:
    overdue = [Finding("OVERDUE", str(n), "late") for n in range(2)]
    metrics.audited([*overdue, Finding("FOLLOWER_BEHIND", "pager", "behind")], beat=False)
    assert value(metrics, "audit_findings", code="OVERDUE") == 2
    assert value(metrics, "runs_without_progress") == 2
    assert value(metrics, "heartbeat_timestamp_seconds") == 0
    metrics.audited([], beat=True)
    assert value(metrics, "audit_findings", code="OVERDUE") is None
    assert value(metrics, "runs_without_progress") == 0
    assert value(metrics, "heartbeat_timestamp_seconds") != 0


def test_a_worker_s_punctuality_is_measured(metrics: Metrics) -> None:
    metrics.handled("pager_process_state", 0.2, 0.01)
    metrics.handled("pager_process_state", -0.1, 0.01)
    metrics.failed("pager_process_state")
    labels = {"table": "pager_process_state"}
    assert value(metrics, "due_lateness_seconds_sum", **labels) == 0.2
    assert value(metrics, "due_lateness_seconds_count", **labels) == 2
    assert value(metrics, "due_failures_total", **labels) == 1


def test_polls_are_counted_by_what_came_of_them(metrics: Metrics) -> None:
    osp = uuid4()
    metrics.render_answered([Pulse(osp, polls=10, unchanged=7, failures=1)])
    metrics.render_answered(
        [Pulse(osp, polls=15, unchanged=12, failures=1, circuit=CircuitState.OPEN)]
    )
    labels = {"osp": str(osp)}
    assert value(metrics, "render_polls_total", result="unchanged", **labels) == 12
    assert value(metrics, "render_polls_total", result="read", **labels) == 3
    assert value(metrics, "render_polls_total", result="failed", **labels) == 1
    assert value(metrics, "render_circuit_open", **labels) == 1


def test_metrics_are_served_on_a_port_of_their_own_if_one_is_set() -> None:
    health = Health()
    with serve_metrics(Settings(), health, well) as port:
        assert port is None
    with serve_metrics(Settings(metrics_port=0), health, well) as port:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    assert "strike_first_ring_seconds_bucket" in text
    assert "strike_runs_without_progress" in text


def well() -> Dependency:
    return Dependency("database", State.OK)


def test_a_process_without_the_public_port_tells_there_how_it_fares() -> None:
    health, ending = Health(), threading.Event()
    worker = threading.Thread(target=ending.wait, name="worker")
    worker.start()
    health.watch([worker])
    with serve_metrics(Settings(metrics_port=0), health, lambda: found[0]) as port:
        found = [well()]
        assert asked(port, "healthz") == (200, {"alive": True})
        status, body = asked(port, "readyz")
        assert (status, body["reasons"], body["dependencies"]["database"]) == (200, [], "ok")
        found[0] = database(lambda: 1 / 0)
        status, body = asked(port, "readyz")
        assert (status, body["dependencies"]["database"]) == (503, "unavailable")
        assert asked(port, "healthz")[0] == 200, "That the database is away is not its fault."
        found[0] = well()
        ending.set()
        worker.join()
        assert asked(port, "healthz") == (503, {"alive": False, "ended": ["worker"]})
        assert asked(port, "readyz")[1]["reasons"] == ["worker has ended"]
        health.stop()
        assert asked(port, "healthz")[0] == 200, "Threads that end then are meant to."
        assert asked(port, "readyz")[1]["reasons"] == ["the process is stopping"]


def asked(port: int | None, path: str) -> tuple[int, Any]:
    answer = httpx.get(f"http://127.0.0.1:{port}/{path}")
    return answer.status_code, answer.json()
