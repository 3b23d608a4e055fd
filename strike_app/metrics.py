"""Prometheus metrics: how soon people are rung and accept, whether a page is in danger, and how
each edge answers.

Each process counts what it does itself; Prometheus adds the processes up.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.metadata import version
from typing import Any
from uuid import UUID

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
)

from strike_adapters.postgres.archive.closed import Waiting
from strike_adapters.postgres.archive.runs import LastRun
from strike_adapters.postgres.auditor import Finding
from strike_adapters.postgres.follower_states import FollowerStatus
from strike_adapters.render.circuit import CircuitState
from strike_adapters.render.pulse import Pulse
from strike_domain.pager_run import (
    CallAccepted,
    CallEnded,
    CallRequested,
    CallRinging,
    PagerRun,
    PagerRunExhausted,
    TextFailed,
    TextSent,
)

SOON = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)
"""Seconds until the first phone rings."""

LATER = (10, 20, 30, 60, 90, 120, 180, 300, 600, 1_800, 3_600)
"""Seconds until somebody accepts."""

LATENESS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds after a deadline."""

ANSWERS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds until something is answered."""


class Metrics:
    """Everything that is measured; names and units as Prometheus has them."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        own: dict[str, Any] = {"registry": registry, "namespace": "strike"}
        self.first_ring = Histogram(
            "first_ring_seconds",
            "From the start of a pager run until the first phone rings.",
            buckets=SOON,
            **own,
        )
        self.acceptance = Histogram(
            "acceptance_seconds",
            "From the start of a pager run until somebody accepts.",
            buckets=LATER,
            **own,
        )
        self.requests = Histogram(
            "http_request_seconds",
            "HTTP requests by route, streams left out, until the answer begins.",
            ["method", "route", "status"],
            buckets=ANSWERS,
            **own,
        )
        self.operations = Histogram(
            "graphql_operation_seconds",
            "GraphQL queries and mutations, those of the console's pages too.",
            ["kind", "result"],
            buckets=ANSWERS,
            **own,
        )
        self.commands = Histogram(
            "command_seconds",
            "Commands by name: ok, the code of a refusal, or error.",
            ["command", "result"],
            buckets=ANSWERS,
            **own,
        )
        self.edges = Histogram(
            "edge_seconds",
            "What is asked of others: twilio, render, login, heartbeat, database, replica.",
            ["edge", "what", "result"],
            buckets=ANSWERS,
            **own,
        )
        self.events = Counter(
            "events_stored", "Events that commands and workers have stored.", ["topic"], **own
        )
        self.build = Gauge("build_info", "Always 1; which version this is.", ["version"], **own)
        self.build.labels(version("osprey-strike")).set(1)
        self.calls = Counter("calls", "Calls that ended, by outcome.", ["outcome"], **own)
        self.texts = Counter(
            "texts", "Texts beside calls, by what came of them.", ["result"], **own
        )
        self.webhooks = Counter("webhooks", "Webhooks, by what came of them.", ["result"], **own)
        self.requested = Counter("calls_requested", "Calls whose intent was stored.", **own)
        self.runs = Counter("runs_ended", "Pager runs that ended, by state.", ["state"], **own)
        self.lateness = Histogram(
            "due_lateness_seconds",
            "How long after its deadline a due row was begun.",
            ["table"],
            buckets=LATENESS,
            **own,
        )
        self.took = Histogram(
            "due_handling_seconds", "How long a due row took.", ["table"], buckets=LATENESS, **own
        )
        self.failures = Counter(
            "due_failures", "Due rows that could not be handled.", ["table"], **own
        )
        self.findings = Gauge(
            "audit_findings", "What the auditor finds wrong with paging now.", ["code"], **own
        )
        self.runs_without_progress = Gauge(
            "runs_without_progress", "Pager runs that nobody gets on with.", **own
        )
        self.audited_at = Gauge("audit_timestamp_seconds", "When paging was last audited.", **own)
        self.beat_at = Gauge(
            "heartbeat_timestamp_seconds", "When the outside monitor last took a heartbeat.", **own
        )
        follower = ["follower"]
        self.follower_active = Gauge(
            "follower_active", "1 while a process runs the follower.", follower, **own
        )
        self.follower_lag = Gauge(
            "follower_lag_events", "Events that the follower has not taken in.", follower, **own
        )
        self.follower_lag_seconds = Gauge(
            "follower_lag_seconds",
            "How old the oldest event is that it has not taken in.",
            follower,
            **own,
        )
        self.follower_position = Gauge(
            "follower_position", "Position up to which the follower has taken in.", follower, **own
        )
        self.follower_failing = Gauge(
            "follower_failing", "1 while the follower fails and tries again.", follower, **own
        )
        self.polls = Counter(
            "render_polls", "Polls of field tasks, by what came of them.", ["osp", "result"], **own
        )
        self.open_circuits = Gauge(
            "render_circuit_open", "1 while an OSP's Render is left alone.", ["osp"], **own
        )
        self._pulses: dict[UUID, Pulse] = {}

        self._count_archive(own)
        self._count_replica(own)
        self.events_published = Counter(
            "stream_events_published", "Events that the stream has acknowledged.", **own
        )
        self.stream_position = Gauge(
            "stream_position", "Position of the event published last.", **own
        )
        self.stream_lag = Gauge(
            "stream_lag_positions", "How far the stream is behind the log.", **own
        )

        self.streams = Gauge("streams_open", "Streams that somebody follows.", ["transport"], **own)
        self.changes_delivered = Counter(
            "stream_changes_delivered", "Changes handed to those who follow.", **own
        )
        self.streams_cut_off = Counter(
            "streams_cut_off", "Streams that were refused or ended, by code.", ["code"], **own
        )

    def _count_archive(self, own: dict[str, Any]) -> None:
        self.archived_ecos = Gauge("archive_ecos", "ECOs whose events are archived.", **own)
        self.archived_events = Gauge("archive_events", "Events that are archived.", **own)
        self.ready_ecos = Gauge(
            "archive_ready_ecos",
            "ECOs over for as long as the last archive run wanted, and not archived.",
            **own,
        )
        self.archive_done_at = Gauge(
            "archive_run_timestamp_seconds", "When an archive run last came to its end.", **own
        )
        self.archive_failing = Gauge(
            "archive_failing", "1 while the last archive run has failed or was cut off.", **own
        )

    def _count_replica(self, own: dict[str, Any]) -> None:
        self.replica_used = Gauge(
            "replica_used", "1 while the replica is asked.", ["replica"], **own
        )
        self.replica_lag = Gauge(
            "replica_lag_seconds",
            "Since when the replica has lacked what the primary has; +Inf: not known.",
            ["replica"],
            **own,
        )
        self.replica_reads = Counter(
            "replica_reads",
            "Questions that the replica may answer: who did, and why.",
            ["by", "why"],
            **own,
        )

    # A listener of `StrikeLog` ----------------------------------------------------------------

    def stored(self, aggregate: object, events: Sequence[Any]) -> None:
        """Count what a command of this process has stored."""
        for event in events:
            self.events.labels(event.TOPIC).inc()
            if isinstance(aggregate, PagerRun):
                self._of_run(aggregate, event)

    def _of_run(self, run: PagerRun, event: Any) -> None:
        match event:
            case CallRequested():
                self.requested.inc()
            case CallRinging() if event.call_id == next(iter(run.calls)):
                self.first_ring.observe((event.timestamp - run.started_at).total_seconds())
            case CallAccepted():
                self.acceptance.observe((event.timestamp - run.started_at).total_seconds())
                self.calls.labels("ACCEPTED").inc()
                self.runs.labels("ACCEPTED").inc()
            case CallEnded():
                self.calls.labels(event.outcome).inc()
            case TextSent():
                self.texts.labels("taken").inc()
            case TextFailed():
                self.texts.labels("failed").inc()
            case PagerRunExhausted():
                self.runs.labels("EXHAUSTED").inc()
            case _:
                pass

    # Told by the server -----------------------------------------------------------------------

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        self.requests.labels(method, route, f"{status // 100}xx").observe(seconds)

    def operated(self, kind: str, result: str, seconds: float) -> None:
        self.operations.labels(kind, result).observe(seconds)

    def commanded(self, command: str, result: str, seconds: float) -> None:
        self.commands.labels(command, result).observe(seconds)

    # A watcher of edges -----------------------------------------------------------------------

    def asked(self, edge: str, what: str, result: str, seconds: float) -> None:
        self.edges.labels(edge, what, result).observe(seconds)

    # A watcher of workers ---------------------------------------------------------------------

    def handled(self, table: str, late_seconds: float, took_seconds: float) -> None:
        self.lateness.labels(table).observe(max(0.0, late_seconds))
        self.took.labels(table).observe(took_seconds)

    def failed(self, table: str) -> None:
        self.failures.labels(table).inc()

    # Told by the reporter of the followers ----------------------------------------------------

    def followers_fare(self, found: Sequence[FollowerStatus]) -> None:
        """Liveness, lag and failure are three gauges: each can be wrong while the others shine."""
        for one in found:
            self.follower_active.labels(one.name).set(one.process is not None)
            self.follower_lag.labels(one.name).set(one.lag_events)
            self.follower_lag_seconds.labels(one.name).set(one.lag_seconds)
            self.follower_position.labels(one.name).set(one.position)
            self.follower_failing.labels(one.name).set(one.failure is not None)

    def followers_unknown(self) -> None:
        """Nobody knows how they fare: better no figure than an old one."""
        for gauge in (
            self.follower_active,
            self.follower_lag,
            self.follower_lag_seconds,
            self.follower_position,
            self.follower_failing,
        ):
            gauge.clear()

    # Told by the reporter of Render's health ---------------------------------------------------

    def render_answered(self, pulses: Sequence[Pulse]) -> None:
        """Count what is new since the last time."""
        for one in pulses:
            osp, old = str(one.osp_id), self._pulses.get(one.osp_id, Pulse(one.osp_id))
            unchanged = one.unchanged - old.unchanged
            self.polls.labels(osp, "unchanged").inc(unchanged)
            self.polls.labels(osp, "read").inc(one.polls - old.polls - unchanged)
            self.polls.labels(osp, "failed").inc(one.failures - old.failures)
            self.open_circuits.labels(osp).set(one.circuit is not CircuitState.CLOSED)
            self._pulses[one.osp_id] = one

    # Told by the reporter of the archive -------------------------------------------------------

    def archive_fares(self, waiting: Waiting, last: LastRun | None) -> None:
        self.archived_ecos.set(waiting.archived_ecos)
        self.archived_events.set(waiting.archived_events)
        self.ready_ecos.set(waiting.ready_ecos)
        if last is not None:
            self.archive_failing.set(last.error is not None or last.was_cut_off)
            if last.done_at is not None:
                self.archive_done_at.set(last.done_at.timestamp())

    # A watcher of the replica -----------------------------------------------------------------

    def replica_is(self, name: str, lag_seconds: float, *, is_used: bool) -> None:
        self.replica_used.labels(name).set(is_used)
        self.replica_lag.labels(name).set(lag_seconds)

    def read_by(self, who: str, why: str) -> None:
        self.replica_reads.labels(who, why).inc()

    # A watcher of the publisher ---------------------------------------------------------------

    def published(self, events: int) -> None:
        self.events_published.inc(events)

    def published_until(self, position: int, lag: int) -> None:
        self.stream_position.set(position)
        self.stream_lag.set(lag)

    # A watcher of streams -------------------------------------------------------------------

    def stream_opened(self, transport: str) -> None:
        self.streams.labels(transport).inc()

    def stream_closed(self, transport: str) -> None:
        self.streams.labels(transport).dec()

    def change_delivered(self) -> None:
        self.changes_delivered.inc()

    def stream_cut_off(self, code: str) -> None:
        self.streams_cut_off.labels(code).inc()

    # A watcher of the auditor -----------------------------------------------------------------

    def audited(self, findings: Collection[Finding], *, beat: bool) -> None:
        self.findings.clear()
        for one in findings:
            self.findings.labels(one.code).inc()
        stuck = sum(one.code in ("OVERDUE", "STUCK", "TOO_NEW", "WRONG_ROW") for one in findings)
        self.runs_without_progress.set(stuck)
        self.audited_at.set_to_current_time()
        if beat:
            self.beat_at.set_to_current_time()


METRICS = Metrics()
"""Of this process."""
