"""Two logins in front of Strike: each has to vouch, and for the same person."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from strike_adapters.identity import (
    CLOUDFLARE_HEADER,
    LOAD_BALANCER_HEADER,
    CloudflareIdentity,
    CloudflareSettings,
    Identities,
    LoadBalancerIdentity,
    LoadBalancerSettings,
    Unauthenticated,
)
from strike_mock.clock import VirtualClock
from strike_mock.cloudflare import CLOUDFLARE_ISSUER, CloudflareSigner
from strike_mock.identity import IdentitySigner
from strike_mock.settings import Person

OLIVIA = Person(sub="operator-1", email="olivia@noc.example", name="Olivia")
CLOCK = VirtualClock(datetime.now(UTC))
BALANCER = IdentitySigner(CLOCK, signer="arn", issuer="https://login", client="strike")
CLOUDFLARE = CloudflareSigner(CLOCK, audience="tag")


async def pem(kid: str) -> str | None:
    return BALANCER.public_key(UUID(kid))


async def certs() -> str:
    return json.dumps(CLOUDFLARE.certs())


def by_load_balancer() -> LoadBalancerIdentity:
    settings = LoadBalancerSettings(signer="arn", key_endpoint="http://keys")
    return LoadBalancerIdentity(settings, pem, CLOCK.now)


def by_cloudflare() -> CloudflareIdentity:
    team = CLOUDFLARE_ISSUER.removeprefix("https://")
    return CloudflareIdentity(CloudflareSettings(team=team, audience="tag"), certs, CLOCK.now)


def both() -> Identities:
    return Identities(by_load_balancer(), by_cloudflare())


def of(one: str | None, other: str | None) -> dict[str, str]:
    """The headers of somebody who has these two addresses, or lacks one of the logins."""
    headers = {}
    if one is not None:
        headers[LOAD_BALANCER_HEADER] = BALANCER.sign(OLIVIA.model_copy(update={"email": one}))
    if other is not None:
        headers[CLOUDFLARE_HEADER] = CLOUDFLARE.sign(OLIVIA.model_copy(update={"email": other}))
    return headers


async def refusal(headers: Mapping[str, str], identities: Identities) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await identities.verify(headers)
    return refused.value.code


def test_some_login_there_must_be() -> None:
    with pytest.raises(ValueError, match="Cloudflare"):
        Identities(None, None)


async def test_one_login_alone_is_enough_where_there_is_only_one() -> None:
    for one in (Identities(by_load_balancer(), None), Identities(None, by_cloudflare())):
        person = await one.verify(of(OLIVIA.email, OLIVIA.email))
        assert (person.subject, person.email) == (OLIVIA.sub, OLIVIA.email)


async def test_the_header_of_the_other_login_does_not_count() -> None:
    assert await refusal(of(None, "o@noc"), Identities(by_load_balancer(), None)) == "TOKEN_MISSING"
    assert await refusal(of("o@noc", None), Identities(None, by_cloudflare())) == "TOKEN_MISSING"


async def test_of_two_logins_the_load_balancers_word_is_taken() -> None:
    person = await both().verify(of("olivia@noc.example", "Olivia@NOC.example"))
    assert (person.name, person.email) == ("Olivia", "olivia@noc.example")


@pytest.mark.parametrize(("one", "other"), [("a@noc", None), (None, "a@noc"), (None, None)])
async def test_both_logins_are_needed_where_there_are_two(
    one: str | None, other: str | None
) -> None:
    assert await refusal(of(one, other), both()) == "TOKEN_MISSING"


@pytest.mark.parametrize(("one", "other"), [("a@noc", "b@noc"), ("", ""), ("a@noc", "")])
async def test_two_logins_must_have_one_address(one: str, other: str) -> None:
    with pytest.raises(Unauthenticated, match=r"Your two logins are of different people\.") as no:
        await both().verify(of(one, other))
    assert no.value.code == "TOKEN_MISMATCH"


@pytest.mark.parametrize("name", [LOAD_BALANCER_HEADER, CLOUDFLARE_HEADER])
async def test_a_good_login_does_not_make_up_for_a_bad_one(name: str) -> None:
    assert await refusal(of("a@noc", "a@noc") | {name: "a.b.c"}, both()) == "TOKEN_INVALID"


@pytest.mark.parametrize("name", [LOAD_BALANCER_HEADER, CLOUDFLARE_HEADER])
async def test_one_logins_token_is_not_good_for_the_other(name: str) -> None:
    headers = of("a@noc", "a@noc")
    assert await refusal(dict.fromkeys(headers, headers[name]), both()) == "TOKEN_INVALID"


@pytest.mark.parametrize("name", [LOAD_BALANCER_HEADER, CLOUDFLARE_HEADER])
async def test_a_header_that_comes_twice_is_refused(name: str) -> None:
    headers = CIMultiDict(of("a@noc", "a@noc"))
    assert (await both().verify(CIMultiDictProxy(headers))).email == "a@noc"
    headers.add(name.upper(), headers[name])
    assert await refusal(CIMultiDictProxy(headers), both()) == "TOKEN_INVALID"
