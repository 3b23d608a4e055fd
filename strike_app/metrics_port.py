"""The port that is not for the public: `/metrics` for Prometheus, `/healthz` and `/readyz`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import make_wsgi_app

from strike_app.health import Dependency, Health
from strike_app.metrics import METRICS
from strike_app.settings import Settings

Answer = tuple[int, dict[str, Any]]
Environ = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], Any]

_PHRASES = {200: "200 OK", 503: "503 Service Unavailable"}

logger = structlog.get_logger()


@contextmanager
def serve_metrics(
    settings: Settings, health: Health, check: Callable[[], Dependency]
) -> Iterator[int | None]:
    """Meanwhile serve them on the port that is set, which is given; None without one.

    `check` is asked at each `/readyz` how the database fares.
    """
    if settings.metrics_port is None:
        yield None
        return
    answers: dict[str, Callable[[], Answer]] = {
        "/healthz": health.alive,
        "/readyz": lambda: health.ready([check()]),
    }
    app = _app(answers)
    host, port = settings.metrics_host, settings.metrics_port
    server = make_server(host, port, app, server_class=_Server, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics")
    thread.start()
    logger.info("metrics", host=host, port=server.server_port)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _app(answers: dict[str, Callable[[], Answer]]) -> Any:
    metrics = make_wsgi_app(METRICS.registry)

    def app(environ: Environ, start: Start) -> Iterable[bytes]:
        answer = answers.get(str(environ.get("PATH_INFO")))
        if answer is None:
            told: Iterable[bytes] = metrics(environ, start)
            return told
        status, body = answer()
        start(_PHRASES[status], [("Content-Type", "application/json")])
        return [json.dumps(body).encode()]

    return app


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Being asked every few seconds is nothing to tell."""
