"""Logs: one line an event, as JSON or in colour on a terminal; no local variables, no secrets."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from strike_adapters.telemetry import ids_now
from strike_app.scrubbing import ScrubbingFilter, scrub


def in_trace(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor: the trace and the span that a line was written in, if there are any."""
    if (ids := ids_now()) is not None:
        event["trace_id"], event["span_id"] = ids
    return event


ALL_LINES: list[Any] = [
    structlog.contextvars.merge_contextvars,
    in_trace,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    scrub,
]
"""What every line goes through before it is written."""


def _log_by(renderer: Any, factory: Callable[..., Any]) -> None:
    level = logging.getLevelNamesMapping().get(os.environ.get("STRIKE_LOG", "INFO"), logging.INFO)
    structlog.configure(
        processors=[*ALL_LINES, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
    )


def _thread_ended(args: threading.ExceptHookArgs) -> None:
    """Say so in a line like any other; `/healthz` tells whoever asks."""
    if args.exc_type is not SystemExit and args.exc_value is not None:
        name = args.thread.name if args.thread else ""
        structlog.get_logger().error("a thread has ended", thread=name, exc_info=args.exc_value)


def keep_off_stdout() -> None:
    """Of a command whose stdout is its answer: what is logged meanwhile goes to stderr.

    Unless it has been configured where lines go.
    """
    if not structlog.is_configured():
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        _log_by(renderer, lambda *_: structlog.PrintLogger(sys.stderr))


def configure(*, as_json: bool | None = None) -> None:
    """Log to stderr. Tracebacks carry no local variables: those hold secrets.

    What libraries log through the standard library becomes such lines as well.
    """
    plain = not sys.stderr.isatty() if as_json is None else as_json
    renderer = structlog.processors.JSONRenderer() if plain else structlog.dev.ConsoleRenderer()
    _log_by(renderer, structlog.PrintLoggerFactory(sys.stderr))
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    lines = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *ALL_LINES],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    threading.excepthook = _thread_ended
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            handler.setFormatter(lines)
        if not any(isinstance(one, ScrubbingFilter) for one in handler.filters):
            handler.addFilter(ScrubbingFilter())
