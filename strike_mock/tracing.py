"""A phone call as a span of the trace that whoever asked for it is in.

Off unless OpenTelemetry's own variables say where spans go; then what the mock sends to Strike
names its span in a `traceparent` header, as a provider would that takes part in the trace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import Timer
from typing import TYPE_CHECKING, Protocol

from strike_mock.calls import Call

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

LAST_SECONDS = 0.5
"""How long the end waits for the receiver."""


class Traces(Protocol):
    """What is told of calls."""

    def rings(self, call: Call, headers: Mapping[str, str]) -> None:
        """A request with these headers has asked for the call."""

    def tells(self, call_sid: str, what: str) -> AbstractContextManager[dict[str, str]]:
        """While Strike is told something of it; gives the headers to send."""

    def ended(self, call: Call) -> None:
        """It is over."""

    def close(self) -> None: ...


class NoTraces:
    """Tells nobody."""

    def rings(self, call: Call, headers: Mapping[str, str]) -> None: ...

    def tells(self, call_sid: str, what: str) -> AbstractContextManager[dict[str, str]]:
        return nullcontext({})

    def ended(self, call: Call) -> None: ...

    def close(self) -> None: ...


class OtlpTraces:
    """Sends a span for each call and each request about it, by OTLP over HTTP."""

    def __init__(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._exporter = OTLPSpanExporter()
        name = os.environ.get("OTEL_SERVICE_NAME") or "strike-mock"
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": name}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("strike_mock")
        self._calls: dict[str, Span] = {}

    def rings(self, call: Call, headers: Mapping[str, str]) -> None:
        """Begin the call's span."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        carrier = {key.lower(): value for key, value in headers.items()}
        self._calls[call.sid] = self._tracer.start_span(
            "phone call", extract(carrier), SpanKind.SERVER, {"call.sid": call.sid}
        )

    @contextmanager
    def tells(self, call_sid: str, what: str) -> Iterator[dict[str, str]]:
        """A span inside the call's, also when that is over already."""
        from opentelemetry.propagate import inject
        from opentelemetry.trace import SpanKind, set_span_in_context

        call = self._calls.get(call_sid)
        if call is None:
            yield {}
            return
        span = self._tracer.start_span(
            f"webhook {what}", set_span_in_context(call), SpanKind.CLIENT
        )
        headers: dict[str, str] = {}
        inject(headers, set_span_in_context(span))
        try:
            yield headers
        finally:
            span.end()

    def ended(self, call: Call) -> None:
        """End the call's span; what is told of it afterwards is still inside."""
        span = self._calls.get(call.sid)
        if span is not None:
            span.set_attribute("call.status", call.status.value)
            span.end()

    def close(self) -> None:
        """Send what is still kept; a receiver that is away is given up soon."""
        giving_up = Timer(LAST_SECONDS, self._exporter.shutdown)
        giving_up.start()
        try:
            self._provider.shutdown()
        finally:
            giving_up.cancel()


def traces(env: Mapping[str, str] = os.environ) -> Traces:
    """Those that the environment asks for."""
    is_off = env.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporter = env.get("OTEL_TRACES_EXPORTER", "")
    wanted = exporter == "otlp" or (not exporter and any(env.get(one) for one in ENDPOINTS))
    return OtlpTraces() if wanted and not is_off else NoTraces()
