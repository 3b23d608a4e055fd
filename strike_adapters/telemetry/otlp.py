"""Spans sent by OTLP over HTTP, with OpenTelemetry's own SDK, set by its own `OTEL_…` variables."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Timer
from uuid import UUID

from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from strike_adapters.telemetry.ids import Stored, span_of, trace_of
from strike_adapters.telemetry.spans import Kind, Span, Value

_KINDS = {one: SpanKind[one.value] for one in Kind}
_PROPAGATOR = TraceContextTextMapPropagator()

LAST_SECONDS = 2.0
"""How long the end of a process waits for the receiver of its spans."""


class Ids(RandomIdGenerator):
    """Random ids, but for spans whose ids follow from what they tell of."""

    def __init__(self) -> None:
        self._trace: ContextVar[int | None] = ContextVar("trace", default=None)
        self._span: ContextVar[int | None] = ContextVar("span", default=None)

    def generate_trace_id(self) -> int:
        return self._trace.get() or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self._span.get() or super().generate_span_id()

    @contextmanager
    def being(self, trace: int | None, span: int | None = None) -> Iterator[None]:
        """Meanwhile, a new trace and a new span get these ids."""
        tokens = self._trace.set(trace), self._span.set(span)
        try:
            yield
        finally:
            self._trace.reset(tokens[0])
            self._span.reset(tokens[1])


class _Said:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def say(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def fail(self, why: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, why))


class OtlpSpans:
    """For one process, which `resource` names."""

    is_on = True

    def __init__(self, exporter: SpanExporter, resource: Mapping[str, str]) -> None:
        self._ids = Ids()
        self._exporter = exporter
        self._provider = TracerProvider(
            resource=Resource.create(dict(resource)),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("strike")
        # A sampler is asked, not its settings read: it may be anybody's.
        looked = range(2**62)
        self._below = 4 * bisect_left(
            looked, True, key=lambda one: not self._is_sampled(4 * one + 1)
        )

    @contextmanager
    def begin(
        self,
        name: str,
        kind: Kind = Kind.INTERNAL,
        *,
        after: Stored | None = None,
        beside: Stored | None = None,
        headers: Mapping[str, str] | None = None,
        trace: UUID | None = None,
        attributes: Mapping[str, Value] | None = None,
    ) -> Iterator[Span]:
        """As `Spans.begin`."""
        context = self._context(after, beside, headers)
        with self._ids.being(trace.int if trace else None):
            span = self._tracer.start_span(
                name,
                context,
                _KINDS[kind],
                attributes,
                [Link(self._place(beside))] if beside is not None else (),
            )
        with self._under_way(span) as said:
            yield said

    @contextmanager
    def _under_way(self, span: OtelSpan) -> Iterator[Span]:
        token = attach(set_span_in_context(span))
        said = _Said(span)
        try:
            yield said
        except BaseException as error:
            # Its text may hold what nobody outside is to read.
            said.fail(type(error).__name__)
            raise
        finally:
            detach(token)
            span.end()

    def _context(
        self, after: Stored | None, beside: Stored | None, headers: Mapping[str, str] | None
    ) -> Context | None:
        if after is not None:
            return set_span_in_context(NonRecordingSpan(self._place(after)), Context())
        if beside is not None:
            return Context()
        if headers is not None:
            return _PROPAGATOR.extract(headers, Context())
        return None

    def _place(self, event: Stored) -> SpanContext:
        trace = trace_of(event)
        flags = TraceFlags.SAMPLED if self._is_sampled(trace) else TraceFlags.DEFAULT
        return SpanContext(trace, span_of(event), is_remote=True, trace_flags=TraceFlags(flags))

    def _is_sampled(self, trace: int) -> bool:
        """What the sampler says of that trace: by its id, so that all processes say the same."""
        decision = self._provider.sampler.should_sample(None, trace, "").decision
        return decision is Decision.RECORD_AND_SAMPLE

    def stored(self, events: Iterable[Stored]) -> None:
        """As `Spans.stored`: each is a span of no length, in the trace that its ids name."""
        here = get_current_span().get_span_context()
        for event in events:
            is_here = here.trace_id == trace_of(event)
            links = [Link(here)] if here.is_valid and not is_here else ()
            with self._ids.being(trace_of(event), span_of(event)):
                self._tracer.start_span(
                    str(getattr(event, "TOPIC", type(event).__name__)),
                    None if is_here else Context(),
                    SpanKind.PRODUCER,
                    _told(event),
                    links,
                ).end()

    def headers(self) -> dict[str, str]:
        """As `Spans.headers`."""
        carried: dict[str, str] = {}
        _PROPAGATOR.inject(carried)
        return carried

    def ids(self) -> tuple[str, str] | None:
        """As `Spans.ids`."""
        here = get_current_span().get_span_context()
        return (f"{here.trace_id:032x}", f"{here.span_id:016x}") if here.is_valid else None

    def sampled_below(self) -> int | None:
        """As `Spans.sampled_below`; samplers that go by a trace's id go by its last 64 bits."""
        return self._below

    def close(self) -> None:
        """Send what is still kept; a receiver that is away is given up soon, to stop in time."""
        giving_up = Timer(LAST_SECONDS, self._exporter.shutdown)
        giving_up.start()
        try:
            self._provider.shutdown()
        finally:
            giving_up.cancel()
            giving_up.join()


def _told(event: Stored) -> dict[str, Value]:
    told: dict[str, Value] = {"strike.event.id": str(event.event_id)}
    for name, attribute in (("originator_id", "aggregate.id"), ("originator_version", "version")):
        value = getattr(event, name, None)
        if value is not None:
            told[f"strike.{attribute}"] = value if isinstance(value, int) else str(value)
    return told
