"""An OTLP receiver: takes what OpenTelemetry's exporters send over HTTP, and decodes it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan


@dataclass(frozen=True)
class Seen:
    """A span as it came. Times in seconds since the epoch; `parent` is empty for a root."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    kind: str
    began: float
    ended: float
    attributes: dict[str, Any]
    links: tuple[tuple[str, str], ...]
    failed: str | None


@dataclass
class Receiver:
    """Where it listens, and what has come."""

    url: str = ""
    spans: list[Seen] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    def env(self) -> dict[str, str]:
        """Set this, and a process sends its spans here, soon."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}

    def take(self, request: ExportTraceServiceRequest) -> None:
        with self._news:
            for part in request.resource_spans:
                resource = {one.key: one.value.string_value for one in part.resource.attributes}
                for scope in part.scope_spans:
                    service = resource["service.name"]
                    self.spans += [_seen(service, one) for one in scope.spans]
            self._news.notify_all()

    def wait_for(self, what: Any, seconds: float = 20.0) -> list[Seen]:
        """All that has come, once `what` holds for it."""
        with self._news:
            found = self._news.wait_for(lambda: what(self.spans), seconds)
            names = sorted({f"{one.service}: {one.name}" for one in self.spans})
            assert found, f"it has not come; what has: {names}"
            return list(self.spans)


def _seen(service: str, one: WireSpan) -> Seen:
    return Seen(
        service,
        one.name,
        one.trace_id.hex(),
        one.span_id.hex(),
        one.parent_span_id.hex(),
        WireSpan.SpanKind.Name(one.kind).removeprefix("SPAN_KIND_"),
        one.start_time_unix_nano / 1e9,
        one.end_time_unix_nano / 1e9,
        {pair.key: _value(pair.value) for pair in one.attributes},
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in one.links),
        one.status.message if one.status.code == 2 else None,
    )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            receiver.take(ExportTraceServiceRequest.FromString(body))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: pytest would show it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
