"""Traces by OpenTelemetry: off unless its own variables say where to; then by OTLP over HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog

from strike_adapters.telemetry import Spans, use
from strike_domain.errors import Rejected

if TYPE_CHECKING:
    from strike_adapters.telemetry.otlp import OtlpSpans

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

logger = structlog.get_logger()


@contextmanager
def tracing(process: str, env: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Meanwhile this process sends traces, if it is told where to. At the end it sends the rest.

    Raises `Rejected` (OTEL_EXPORTER_UNKNOWN, OTEL_PROTOCOL_UNKNOWN, OTEL_NOT_INSTALLED).
    """
    spans = spans_to(process, env)
    if spans is None:
        yield
        return
    before: Spans = use(spans)
    logger.info("tracing", process=process)
    try:
        yield
    finally:
        use(before)
        spans.close()


def is_wanted(env: Mapping[str, str] = os.environ) -> bool:
    """Whether OpenTelemetry's variables ask for traces. Raises as `tracing`."""
    exporter = env.get("OTEL_TRACES_EXPORTER", "").strip()
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return False
    if exporter not in ("", "otlp"):
        message = f"OTEL_TRACES_EXPORTER is {exporter!r}: traces are sent by otlp, or none are."
        raise Rejected("OTEL_EXPORTER_UNKNOWN", message)
    if not exporter and not any(env.get(one) for one in ENDPOINTS):
        return False
    protocol = next((env[one] for one in PROTOCOLS if env.get(one)), "http/protobuf")
    if protocol != "http/protobuf":
        message = f"{PROTOCOLS[1]} is {protocol!r}: set it to http/protobuf, or unset it."
        raise Rejected("OTEL_PROTOCOL_UNKNOWN", message)
    return True


def spans_to(process: str, env: Mapping[str, str] = os.environ) -> OtlpSpans | None:
    """What sends this process's spans; None if nobody asks for them. Raises as `tracing`."""
    if not is_wanted(env):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        from strike_adapters.telemetry.otlp import OtlpSpans
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        message = "To send traces needs OpenTelemetry: pip install 'osprey-strike[otel]'."
        raise Rejected("OTEL_NOT_INSTALLED", message) from None
    return OtlpSpans(OTLPSpanExporter(), resource_of(process, env))


def resource_of(process: str, env: Mapping[str, str]) -> dict[str, str]:
    """Who sends: `strike-serve`, unless OpenTelemetry's variables name it otherwise."""
    resource = {"service.version": version("osprey-strike"), "strike.process": process}
    if not env.get("OTEL_SERVICE_NAME") and "service.name=" not in env.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    ):
        resource["service.name"] = f"strike-{process}"
    return resource
