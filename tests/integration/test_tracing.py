"""Spans of one process: where they begin, what they are part of, and what of them stays away."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from mcp import Client

from strike_adapters.telemetry import begin, ids_now, is_on, sampled_below
from strike_adapters.twilio.accounts import WebhookUrls
from strike_app.bootstrap import Strike
from strike_app.logs import configure
from strike_app.tracing import is_wanted, resource_of, tracing
from strike_domain.callouts import EcoOrder
from strike_domain.errors import Rejected
from tests.integration.served import CREATE, ORDER, Served
from tests.integration.test_mcp import server_for, token_for, use
from tests.integration.test_webhooks import OLIVIA
from tests.otlp import Receiver, receiving

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that this process sends to."""
    with receiving() as found, ExitStack() as stack:
        for name, value in found.env().items():
            monkeypatch.setenv(name, value)
        stack.enter_context(tracing("test"))
        yield found


def named(name: str) -> Any:
    return lambda spans: any(one.name == name for one in spans)


async def _create(served: Served, **headers: str) -> str:
    """Create an ECO; its correlation id."""
    async with served.session.post(
        f"{served.url}/graphql",
        json={"query": CREATE, "variables": {"input": ORDER}},
        headers=served.headers() | headers,
    ) as response:
        assert "errors" not in await response.json()
        return response.headers["X-Correlation-ID"]


async def test_a_request_goes_on_with_the_trace_that_its_header_names(
    served: Served, strike: Strike, receiver: Receiver
) -> None:
    assert await _create(served, traceparent=PARENT) == str(UUID(TRACE))
    spans = {one.name: one for one in receiver.wait_for(named("POST /graphql"))}
    assert (spans["POST /graphql"].trace, spans["POST /graphql"].parent) == (TRACE, SPAN)
    assert spans["command createEco"].parent == spans["POST /graphql"].span
    created = spans["strike.eco.created"]
    assert created.parent == spans["command createEco"].span
    stored = strike.log.events.get(UUID(created.attributes["strike.aggregate.id"]))
    event: Any = next(iter(stored))
    assert created.span == event.event_id.hex[16:]
    assert created.trace == event.correlation_id.hex


async def test_a_request_without_one_begins_the_trace_of_its_correlation_id(
    served: Served, receiver: Receiver
) -> None:
    wanted = uuid4()
    assert await _create(served, **{"X-Correlation-ID": str(wanted)}) == str(wanted)
    given = await _create(served)
    spans = receiver.wait_for(lambda all: sum(one.name == "POST /graphql" for one in all) == 2)
    begun = [one for one in spans if one.name == "POST /graphql"]
    assert {one.trace for one in begun} == {wanted.hex, UUID(given).hex}
    assert all(not one.parent for one in begun)


async def test_who_names_a_trace_and_another_correlation_id_gets_two_traces_with_a_link(
    served: Served, receiver: Receiver
) -> None:
    wanted = uuid4()
    headers = {"X-Correlation-ID": str(wanted), "traceparent": PARENT}
    assert await _create(served, **headers) == str(wanted)
    spans = {one.name: one for one in receiver.wait_for(named("POST /graphql"))}
    created = spans["strike.eco.created"]
    assert (created.trace, created.parent) == (wanted.hex, "")
    assert created.links == ((TRACE, spans["command createEco"].span),)


async def test_a_header_that_is_none_is_none(served: Served, receiver: Receiver) -> None:
    wrong = f"00-{'0' * 32}-{SPAN}-01"
    correlation = await _create(served, traceparent=wrong)
    (span,) = [one for one in receiver.wait_for(named("POST /graphql")) if one.kind == "SERVER"]
    assert (span.trace, span.parent) == (UUID(correlation).hex, "")


async def test_a_provider_without_the_header_comes_back_by_the_address_it_was_given(
    served: Served, receiver: Receiver
) -> None:
    with begin("a call is placed"):
        here = ids_now()
        address = WebhookUrls(served.public).status(uuid4(), uuid4())
    assert here is not None
    answer = await served.webhook(address.removeprefix(served.public), {"CallSid": "CA1"})
    assert answer.status == 404, "It is signed, but of no call."
    spans = receiver.wait_for(named("POST /twilio/status/{run}/{call}"))
    (webhook,) = [one for one in spans if one.name.startswith("POST /twilio")]
    assert (webhook.trace, webhook.parent) == here


async def test_what_is_sampled_out_is_sent_by_nobody(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    with receiving() as found:
        for name, value in found.env().items():
            monkeypatch.setenv(name, value)
        with tracing("test"):
            ids = [UUID(int=number) for number in (1, 1 << 63 | 1)]
            for one in ids:
                await _create(served, **{"X-Correlation-ID": str(one)})
                # As another process does that reads the event: it decides alone, and the same.
                event = type("Event", (), {"correlation_id": one, "event_id": uuid4()})()
                with begin("follow", after=event):
                    pass
        assert {one.trace for one in found.spans} == {ids[0].hex}
        assert {"follow", "POST /graphql"} <= {one.name for one in found.spans}


def test_pages_are_told_which_traces_the_sampler_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sampled_below() is None
    with receiving() as found:
        for name, value in found.env().items():
            monkeypatch.setenv(name, value)
        for sampler, ratio, share in (
            ("parentbased_always_on", "", 1.0),
            ("always_off", "", 0.0),
            ("parentbased_traceidratio", "0.1", 0.1),
            ("traceidratio", "0.25", 0.25),
        ):
            monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
            monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
            with tracing("test"):
                assert (sampled_below() or 0) / 2**64 == pytest.approx(share)


async def test_a_tool_of_an_agent_is_a_span_and_so_is_what_it_asks(
    served: Served, strike: Strike, receiver: Receiver
) -> None:
    async with Client(server_for(served, token_for(strike))) as agent:
        await use(agent, "find_ecos")
    spans = receiver.wait_for(named("mcp tools/call find_ecos"))
    tool = next(one for one in spans if one.name == "mcp tools/call find_ecos")
    assert tool.kind == "SERVER"
    asked = [one for one in spans if one.name == "POST /graphql"]
    assert [(one.trace, one.parent) for one in asked] == [(tool.trace, tool.span)]


async def test_off_no_address_has_more_in_it_and_a_trace_still_names_the_chain(
    served: Served,
) -> None:
    assert not is_on()
    assert "?" not in WebhookUrls("https://strike.example").voice(uuid4(), uuid4())
    assert await _create(served, traceparent=PARENT) == str(UUID(TRACE))


async def test_each_line_of_a_request_names_its_trace(
    served: Served, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(as_json=True)
    try:
        path = f"/twilio/status/{uuid4()}/{uuid4()}"
        await served.webhook(path, {"CallSid": "CA1"}, token="another")
    finally:
        lines = [json.loads(one) for one in capsys.readouterr().err.splitlines()]
        structlog.reset_defaults()
    (line,) = [one for one in lines if one["event"] == "webhook with a bad signature"]
    spans = receiver.wait_for(named("POST /twilio/status/{run}/{call}"))
    assert line["trace_id"] in {one.trace for one in spans}
    assert UUID(line["correlation_id"]).hex == line["trace_id"]


def test_an_error_is_told_by_its_name_alone(receiver: Receiver) -> None:
    with pytest.raises(ValueError, match="secret"), begin("fails"):
        raise ValueError("a secret")
    (span,) = receiver.wait_for(named("fails"))
    assert span.failed == "ValueError"
    assert "secret" not in repr(span)


def test_a_receiver_that_is_gone_holds_up_nothing(
    monkeypatch: pytest.MonkeyPatch, strike: Strike
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    with tracing("test"):
        order = EcoOrder(osp_id=UUID(ORDER["ospId"]), **_order())
        strike.callouts().create_eco(order, OLIVIA)
    assert time.monotonic() - began < 5
    assert [one.name for one in threading.enumerate() if "Otel" in one.name] == []


def _order() -> dict[str, Any]:
    return {
        "location": ORDER["location"],
        "job_type": ORDER["jobType"],
        "description": ORDER["description"],
    }


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, False),
    ],
)
def test_opentelemetrys_own_variables_say_whether(env: dict[str, str], wanted: bool) -> None:
    assert is_wanted(env) is wanted


@pytest.mark.parametrize(
    ("env", "code"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_EXPORTER_UNKNOWN"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_PROTOCOL_UNKNOWN",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(env: dict[str, str], code: str) -> None:
    with pytest.raises(Rejected) as refused:
        is_wanted(env)
    assert refused.value.code == code


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.startswith(("opentelemetry.exporter", "strike_adapters.telemetry.otlp")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    with (
        pytest.raises(Rejected, match=r"osprey-strike\[otel\]") as refused,
        tracing("test", {"OTEL_TRACES_EXPORTER": "otlp"}),
    ):
        pass
    assert refused.value.code == "OTEL_NOT_INSTALLED"


def test_each_kind_of_process_has_a_name_unless_the_environment_gives_one() -> None:
    assert resource_of("work", {})["service.name"] == "strike-work"
    for env in ({"OTEL_SERVICE_NAME": "x"}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=x"}):
        assert "service.name" not in resource_of("work", env)
