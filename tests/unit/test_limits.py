"""Rates and failed proofs, on a clock set by hand; where a request comes from."""

from __future__ import annotations

from ipaddress import ip_network
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict
from pydantic import ValidationError
from structlog.testing import capture_logs

from strike_app import limits
from strike_app.claims import check_origin, client_of
from strike_app.limits import MOST_FAILURES, Counters, Failures, Rates, TooMany
from strike_app.settings import Settings
from strike_domain.errors import Forbidden
from tests.unit.hand_set import HandSet

OLIVIA, PETER, NOC, OSP = (UUID(int=one) for one in range(1, 5))
PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
HOME = "203.0.113.9"


@pytest.fixture
def clock() -> HandSet:
    return HandSet()


def _refused(rates: Rates, user: UUID, tenant: UUID | None) -> TooMany:
    with pytest.raises(TooMany) as refused:
        rates.count(user, tenant)
    assert refused.value.code == "RATE_LIMITED"
    return refused.value


def test_a_user_has_so_many_operations_a_minute_whatever_the_tenant(clock: HandSet) -> None:
    rates = Rates("2/minute", "100/minute", clock)
    rates.count(OLIVIA, NOC)
    clock.seconds += 20
    rates.count(OLIVIA, None)
    assert _refused(rates, OLIVIA, OSP).retry_after == 40
    rates.count(PETER, NOC)
    clock.seconds += 40
    rates.count(OLIVIA, NOC)


def test_a_tenant_has_so_many_operations_a_minute_whoever_acts_for_it(clock: HandSet) -> None:
    rates = Rates("100/minute", "2/minute", clock)
    rates.count(OLIVIA, NOC)
    rates.count(PETER, NOC)
    assert _refused(rates, uuid4(), NOC).retry_after == 60
    rates.count(OLIVIA, OSP)
    rates.count(OLIVIA, None)


def test_a_refusal_can_be_repeated_at_the_end_of_the_window_at_the_latest(clock: HandSet) -> None:
    rates = Rates("1/second", "9/second", clock)
    rates.count(OLIVIA, None)
    clock.seconds += 0.9
    assert _refused(rates, OLIVIA, None).retry_after == 1


@pytest.mark.parametrize("rate", ["", "many", "0/minute", "5", "-1/minute", "5/fortnight"])
def test_a_rate_that_is_none_stops_the_start(rate: str) -> None:
    with pytest.raises(ValidationError):
        Settings(rate_per_user=rate)
    with pytest.raises(ValidationError):
        Settings(rate_per_tenant=rate)


def test_counters_are_bounded_and_forget_what_is_over(
    clock: HandSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_COUNTERS", 3)
    counters = Counters(clock)
    assert counters.check()
    for number in range(10):
        counters.incr(f"caller {number}", 60)
    assert counters.reset() == 3
    counters.incr("a", 60, 5)
    assert (counters.get("a"), counters.get_expiry("a")) == (5, clock.seconds + 60)
    clock.seconds += 60
    assert (counters.get("a"), counters.incr("a", 60)) == (0, 1)
    counters.clear("a")
    assert counters.get("a") == 0


def test_thirty_refused_proofs_a_minute_are_told_and_no_more(clock: HandSet) -> None:
    failures = Failures(clock)
    assert [failures.count(HOME) for _ in range(MOST_FAILURES)] == [False] * 30
    assert failures.is_over(HOME)
    assert failures.count(HOME)
    assert not failures.is_over("203.0.113.10")
    clock.seconds += 45
    refusal = failures.refusal(HOME)
    assert (refusal.code, refusal.retry_after) == ("TOO_MANY_FAILURES", 15)
    clock.seconds += 15
    assert not failures.is_over(HOME)
    assert not failures.count(HOME)


def test_refused_proofs_are_logged_once_a_minute(clock: HandSet) -> None:
    failures = Failures(clock)
    with capture_logs() as lines:
        for _ in range(3):
            for _ in range(100):
                failures.count(HOME)
            clock.seconds += 60
    assert [line["event"] for line in lines] == ["too many refused proofs"] * 3
    assert [line["left_out_before"] for line in lines] == [0, 69, 69]


def test_addresses_of_one_ipv6_network_count_as_one(clock: HandSet) -> None:
    failures = Failures(clock)
    for number in range(MOST_FAILURES):
        failures.count(f"2001:db8:0:7::{number:x}")
    assert failures.is_over("2001:db8:0:7:ffff::1")
    assert not failures.is_over("2001:db8:0:8::1")
    for _ in range(MOST_FAILURES):
        failures.count(f"::ffff:{HOME}")
    assert failures.is_over(HOME)
    assert not failures.is_over("")


def _request(remote: str | None, *forwarded: str, **named: str) -> web.Request:
    headers = CIMultiDict([("X-Forwarded-For", one) for one in forwarded])
    headers.update(named)
    request = make_mocked_request("GET", "/", headers=headers)
    return request.clone(remote=remote) if remote is not None else request


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (HOME, [], HOME),
        # Anybody can write the header; only a proxy of ours is believed.
        (HOME, ["192.0.2.1"], HOME),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [HOME], HOME),
        ("10.0.0.1", [f"192.0.2.1, {HOME}"], HOME),
        ("10.0.0.1", ["192.0.2.1", HOME], HOME),
        ("10.0.0.1", [f"10.9.9.9,{HOME}"], HOME),
        ("10.0.0.1", [f"{HOME}, 10.0.0.7, 10.0.0.8"], HOME),
        ("10.0.0.1", ["10.0.0.7, 10.0.0.8"], "10.0.0.7"),
        ("10.0.0.1", [f"{HOME}:51234"], HOME),
        ("::1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", [HOME], HOME),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", [f"{HOME}, <script>"], "10.0.0.1"),
        ("10.0.0.1", ["", ","], "10.0.0.1"),
        ("", [HOME], ""),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_proxy_of_ours(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_of(_request(peer, *forwarded), PROXIES) == client


ORIGINS = Settings.model_validate({"public_url": "https://strike.example/in"})


@pytest.mark.parametrize(
    "origin",
    [
        "https://strike.example",
        "https://STRIKE.example:443",
        "http://inside:8080",
        "https://inside:8080",
    ],
)
def test_a_page_of_our_own_may_open_a_socket(origin: str) -> None:
    check_origin(_request(HOME, Origin=origin, Host="inside:8080"), ORIGINS)
    check_origin(_request(HOME, Host="inside:8080"), ORIGINS)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://strike.example.evil.example",
        "https://strike.example@evil.example",
        "https://strike.example:8443",
        "http://inside",
        "http://inside:8081",
        "null",
        "",
        "file://",
        "chrome-extension://strike.example",
        "https://[",
        "https://strike.example:port",
    ],
)
def test_a_page_of_anybody_else_may_not(origin: str) -> None:
    with pytest.raises(Forbidden) as refused:
        check_origin(_request(HOME, Origin=origin, Host="inside:8080"), ORIGINS)
    assert refused.value.code == "ORIGIN_FOREIGN"
