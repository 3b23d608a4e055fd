"""Cloudflare's signed header: whatever is wrong with it, nobody is logged in."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from pydantic import ValidationError

from strike_adapters.identity import (
    FETCHES_A_MINUTE,
    CloudflareIdentity,
    CloudflareSettings,
    Unauthenticated,
    http_certs_fetcher,
)
from tests.unit.minting import token_of

KID = "9338abe1baf2fe492f646a736f25afbf7b025e35c627be4f60c414d4c73069b8"
AUDIENCE = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"
SETTINGS = CloudflareSettings(team="osprey.cloudflareaccess.com", audience=AUDIENCE)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = int(NOW.timestamp())
KEY, NEXT_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
WEAK_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that is its point
CLAIMS = {
    "aud": [AUDIENCE],
    "email": "o@noc.example",
    "exp": AT + 120,
    "iat": AT,
    "nbf": AT,
    "iss": "https://osprey.cloudflareaccess.com",
    "type": "app",
    "sub": "operator-1",
}


class Now:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


def number(value: int) -> str:
    content = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return urlsafe_b64encode(content).decode().rstrip("=")


def jwk(kid: str = KID, key: rsa.RSAPrivateKey = KEY, **changes: Any) -> dict[str, Any]:
    public = key.public_key().public_numbers()
    usual = {"kid": kid, "kty": "RSA", "alg": "RS256", "use": "sig"}
    return {**usual, "e": number(public.e), "n": number(public.n), **changes}


class CertsServer:
    """Knows some keys, and counts who asks."""

    def __init__(self, *keys: object) -> None:
        self.keys: tuple[object, ...] = keys or (jwk(),)
        self.text: str | None = None
        self.asked = 0
        self.is_down = False

    async def fetch(self) -> str | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_down:
            raise httpx.ConnectError("refused")
        return json.dumps({"keys": self.keys}) if self.text is None else self.text


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "RS256", "kid": KID, "typ": "JWT", **changes}


def rs256(signed: bytes, key: rsa.RSAPrivateKey = KEY) -> bytes:
    return key.sign(signed, padding.PKCS1v15(), hashes.SHA256())


def es256(signed: bytes) -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).sign(signed, ec.ECDSA(hashes.SHA256()))


def hs256_with_the_public_key(signed: bytes) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    mac = hmac.HMAC(KEY.public_key().public_bytes(encoding, form), hashes.SHA256())
    mac.update(signed)
    return mac.finalize()


def mint(
    head: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    *,
    sign: Callable[[bytes], bytes] = rs256,
    padded: bool = False,
) -> str:
    chosen = CLAIMS if claims is None else claims
    return token_of(head or header(), chosen, sign, padded=padded)


def claiming(**changes: Any) -> str:
    return mint(claims=CLAIMS | changes)


def without(name: str) -> str:
    return mint(claims={key: value for key, value in CLAIMS.items() if key != name})


def verifier(
    server: CertsServer | None = None, now: Now | None = None, **changes: Any
) -> CloudflareIdentity:
    settings = SETTINGS.model_copy(update=changes)
    return CloudflareIdentity(settings, (server or CertsServer()).fetch, now or Now())


async def refusal(token: str | None, identity: CloudflareIdentity | None = None) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await (identity or verifier()).verify(token)
    return refused.value.code


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("email", ["o@noc", "ol@noc", "oli@noc"])
async def test_a_token_is_accepted_padded_or_not(padded: bool, email: str) -> None:
    person = await verifier().verify(mint(claims=CLAIMS | {"email": email}, padded=padded))
    assert (person.subject, person.email, person.name) == ("operator-1", email, None)


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_token_nobody_is_logged_in(token: str | None) -> None:
    assert await refusal(token) == "TOKEN_MISSING"


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES256"},
        {"alg": "RS512"},
        {"alg": "rs256"},
        {"alg": None},
        {"alg": ["RS256"]},
        {"kid": None},
        {"kid": 7},
        {"kid": ""},
        {"kid": "k" * 101},
        {"kid": f"{KID}\n"},
        {"kid": f"../{KID}"},
        {"kid": "kä"},
        {"crit": ["b64"], "b64": False},
    ],
)
async def test_a_header_that_is_not_right_is_refused_and_costs_no_request(
    changes: dict[str, Any],
) -> None:
    server = CertsServer()
    assert await refusal(mint(header(**changes)), verifier(server)) == "TOKEN_INVALID"
    assert server.asked == 0


@pytest.mark.parametrize(
    ("alg", "sign"),
    [("none", lambda _: b""), ("HS256", hs256_with_the_public_key), ("ES256", es256)],
)
async def test_another_algorithm_is_refused_although_its_signature_is_right(
    alg: str, sign: Callable[[bytes], bytes]
) -> None:
    server = CertsServer()
    identity = verifier(server)
    assert await refusal(mint(header(alg=alg), sign=sign), identity) == "TOKEN_INVALID"
    assert server.asked == 0
    await identity.verify(mint())
    assert await refusal(mint(header(alg=alg), sign=sign), identity) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "sign", [lambda _: b"", hs256_with_the_public_key, es256, partial(rs256, key=NEXT_KEY)]
)
async def test_a_signature_that_the_key_did_not_make_is_refused(
    sign: Callable[[bytes], bytes],
) -> None:
    assert await refusal(mint(sign=sign)) == "TOKEN_INVALID"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": ["another"]}, "TOKEN_WRONG_CLIENT"),
        ({"aud": []}, "TOKEN_WRONG_CLIENT"),
        ({"aud": None}, "TOKEN_WRONG_CLIENT"),
        ({"aud": f"x{AUDIENCE}x"}, "TOKEN_WRONG_CLIENT"),
        ({"aud": {AUDIENCE: True}}, "TOKEN_WRONG_CLIENT"),
        ({"aud": [[AUDIENCE]]}, "TOKEN_WRONG_CLIENT"),
        ({"iss": "https://evil.cloudflareaccess.com"}, "TOKEN_INVALID"),
        ({"iss": "https://osprey.cloudflareaccess.com/"}, "TOKEN_INVALID"),
        ({"iss": ["https://osprey.cloudflareaccess.com"]}, "TOKEN_INVALID"),
        ({"type": "org"}, "TOKEN_INVALID"),
        ({"exp": AT - 60}, "TOKEN_EXPIRED"),
        ({"exp": float("nan")}, "TOKEN_EXPIRED"),
        ({"exp": 10**400}, "TOKEN_INVALID"),
        ({"exp": "tomorrow"}, "TOKEN_INVALID"),
        ({"exp": True}, "TOKEN_INVALID"),
        ({"exp": None}, "TOKEN_INVALID"),
        ({"nbf": AT + 61}, "TOKEN_INVALID"),
        ({"nbf": float("nan")}, "TOKEN_INVALID"),
        ({"nbf": 10**400}, "TOKEN_INVALID"),
        ({"nbf": False}, "TOKEN_INVALID"),
        ({"nbf": None}, "TOKEN_INVALID"),
        ({"sub": ""}, "TOKEN_INVALID"),
        ({"sub": None}, "TOKEN_INVALID"),
        ({"sub": 7}, "TOKEN_INVALID"),
        ({"email": ["o@noc.example"]}, "TOKEN_INVALID"),
    ],
)
async def test_a_claim_that_is_not_right_is_refused(changes: dict[str, Any], code: str) -> None:
    assert await refusal(claiming(**changes)) == code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("aud", "TOKEN_WRONG_CLIENT"),
        ("iss", "TOKEN_INVALID"),
        ("type", "TOKEN_INVALID"),
        ("exp", "TOKEN_INVALID"),
        ("sub", "TOKEN_INVALID"),
    ],
)
async def test_a_claim_that_is_not_there_is_refused(name: str, code: str) -> None:
    assert await refusal(without(name)) == code


async def test_an_audience_may_be_one_of_several_or_the_only_one() -> None:
    identity = verifier()
    for audience in (AUDIENCE, [AUDIENCE], ["another", AUDIENCE]):
        assert (await identity.verify(claiming(aud=audience))).subject == "operator-1"


async def test_a_service_token_is_nobody() -> None:
    claims = {key: value for key, value in CLAIMS.items() if key != "email"}
    token = mint(claims=claims | {"sub": "", "common_name": "e367826f93b8d71185e03fe518aff3b4"})
    assert await refusal(token) == "TOKEN_INVALID"


async def test_clocks_may_differ_by_the_leeway_in_both_directions() -> None:
    late, early = claiming(exp=AT - 59, nbf=AT - 200), claiming(nbf=AT + 60, exp=AT + 200)
    for token in (late, early):
        assert (await verifier().verify(token)).subject == "operator-1"
    assert await refusal(late, verifier(leeway_seconds=0)) == "TOKEN_EXPIRED"
    assert await refusal(early, verifier(leeway_seconds=0)) == "TOKEN_INVALID"


async def test_a_token_without_a_beginning_is_valid_from_the_start() -> None:
    assert (await verifier().verify(without("nbf"))).subject == "operator-1"


async def test_a_token_expires_although_its_key_is_known_by_now() -> None:
    now, token = Now(), mint()
    identity = verifier(now=now)
    await identity.verify(token)
    now.at += timedelta(seconds=181)
    assert await refusal(token, identity) == "TOKEN_EXPIRED"


async def test_claims_changed_on_the_way_are_refused() -> None:
    head, _, proof = mint().split(".")
    other = claiming(sub="somebody else").split(".")[1]
    assert await refusal(f"{head}.{other}.{proof}") == "TOKEN_INVALID"


@pytest.mark.parametrize("token", ["a", "a.b", "a.b.c", "....", "ü.ü.ü", "x" * 20_000, "\udc80"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    assert await refusal(token) == "TOKEN_INVALID"


async def test_one_fetch_brings_all_keys() -> None:
    server = CertsServer(jwk(), jwk("next", NEXT_KEY))
    identity = verifier(server)
    await identity.verify(mint())
    await identity.verify(mint(header(kid="next"), sign=partial(rs256, key=NEXT_KEY)))
    assert server.asked == 1


async def test_the_keys_are_asked_for_once_however_many_come_at_the_same_time() -> None:
    server = CertsServer(jwk(), jwk("next", NEXT_KEY))
    identity = verifier(server)
    other = mint(header(kid="next"), sign=partial(rs256, key=NEXT_KEY))
    await asyncio.gather(*(identity.verify(token) for token in [mint(), other] * 10))
    assert server.asked == 1


async def test_who_goes_away_does_not_take_the_keys_from_the_others() -> None:
    identity = verifier()
    first = asyncio.ensure_future(identity.verify(mint()))
    second = asyncio.ensure_future(identity.verify(mint()))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).subject == "operator-1"


async def test_a_flood_of_unknown_keys_makes_few_requests() -> None:
    server, now = CertsServer(), Now()
    identity = verifier(server, now)
    await identity.verify(mint())
    for each in range(100):
        assert await refusal(mint(header(kid=f"k{each}")), identity) == "TOKEN_UNKNOWN_KEY"
    assert server.asked == FETCHES_A_MINUTE
    assert (await identity.verify(mint())).subject == "operator-1"
    now.at += timedelta(minutes=1)
    await refusal(mint(header(kid="unknown")), identity)
    assert server.asked == FETCHES_A_MINUTE + 1


async def test_the_old_key_is_good_for_as_long_as_it_is_published() -> None:
    server = CertsServer()
    identity = verifier(server)
    new = mint(header(kid="next"), sign=partial(rs256, key=NEXT_KEY))
    await identity.verify(mint())
    server.keys = (jwk("next", NEXT_KEY), jwk())
    assert (await identity.verify(new)).subject == "operator-1"
    assert (await identity.verify(mint())).subject == "operator-1"
    server.keys = (jwk("next", NEXT_KEY),)
    assert await refusal(mint(header(kid="unknown")), identity) == "TOKEN_UNKNOWN_KEY"
    assert await refusal(mint(), identity) == "TOKEN_UNKNOWN_KEY"
    assert (await identity.verify(new)).subject == "operator-1"


async def test_a_withdrawn_key_is_good_for_an_hour_at_the_most() -> None:
    server, now = CertsServer(jwk("next", NEXT_KEY), jwk()), Now()
    identity = verifier(server, now)
    lasting = CLAIMS | {"exp": 1_768_000_000}
    new = mint(header(kid="next"), lasting, sign=partial(rs256, key=NEXT_KEY))
    old = mint(header(), lasting)
    await identity.verify(new)
    server.keys = (jwk("next", NEXT_KEY),)
    now.at += timedelta(minutes=59)
    assert (await identity.verify(old)).subject == "operator-1"
    now.at += timedelta(minutes=1)
    assert await refusal(old, identity) == "TOKEN_UNKNOWN_KEY"
    assert (await identity.verify(new)).subject == "operator-1"


async def test_keys_that_cannot_be_asked_for_after_an_hour_are_still_believed() -> None:
    server, now = CertsServer(), Now()
    identity = verifier(server, now)
    lasting = claiming(exp=1_768_000_000)
    await identity.verify(lasting)
    server.is_down = True
    now.at += timedelta(hours=2)
    asked = server.asked
    for _ in range(20):
        assert (await identity.verify(lasting)).subject == "operator-1"
    assert server.asked == asked + 2, "Once, and once more, as one request may get lost."


async def test_keys_that_cannot_be_asked_for_now_are_asked_for_later() -> None:
    server = CertsServer()
    server.is_down = True
    identity = verifier(server)
    assert await refusal(mint(), identity) == "TOKEN_UNKNOWN_KEY"
    server.is_down = False
    assert (await identity.verify(mint())).subject == "operator-1"


@pytest.mark.parametrize(
    "text", ["", "no keys", "[]", "{}", '{"keys": {}}', '{"keys": []}', "[" * 60_000]
)
async def test_rubbish_from_the_server_takes_no_known_key_away(text: str) -> None:
    server = CertsServer()
    server.text = text
    identity = verifier(server)
    assert await refusal(mint(), identity) == "TOKEN_UNKNOWN_KEY"
    server.text = None
    await identity.verify(mint())
    server.text = text
    assert await refusal(mint(header(kid="unknown")), identity) == "TOKEN_UNKNOWN_KEY"
    assert (await identity.verify(mint())).subject == "operator-1"


@pytest.mark.parametrize(
    "bad",
    [
        7,
        {},
        jwk(kid="bad", kty="EC"),
        jwk(kid="bad", alg="RS512"),
        jwk(kid="bad", alg=None),
        jwk(kid="bad", n=""),
        jwk(kid="bad", n="ü"),
        jwk(kid="bad", n=7),
        jwk(kid="bad", e="AA"),
        jwk(kid="bad", key=WEAK_KEY),
        {"kid": "bad", "kty": "oct", "alg": "HS256", "k": "AAAA"},
    ],
)
async def test_a_key_of_another_kind_or_a_weak_one_is_passed_over(bad: object) -> None:
    identity = verifier(CertsServer(bad, jwk()))
    assert await refusal(mint(header(kid="bad")), identity) == "TOKEN_UNKNOWN_KEY"
    assert (await identity.verify(mint())).subject == "operator-1"


async def test_a_weak_key_is_not_believed_although_it_signed() -> None:
    identity = verifier(CertsServer(jwk(key=WEAK_KEY)))
    assert await refusal(mint(sign=partial(rs256, key=WEAK_KEY)), identity) == "TOKEN_UNKNOWN_KEY"


async def test_the_certs_server_is_believed_neither_long_answers_nor_errors() -> None:
    async def answer(request: web.Request) -> web.Response:
        text = "x" * int(request.match_info["length"])
        return web.Response(text=text, status=int(request.match_info["status"]))

    async def get(path: str) -> str | None:
        return await http_certs_fetcher(str(server.make_url(path)))()

    app = web.Application()
    app.router.add_get("/{status}/{length}", answer)
    async with TestServer(app) as server:
        assert await get("/200/65536") == "x" * 65_536
        assert await get("/200/65537") is None
        assert await get("/404/1") is None
        for status in (302, 403, 500):
            with pytest.raises(httpx.HTTPStatusError):
                await get(f"/{status}/1")


async def test_a_refusal_tells_nothing_of_the_token() -> None:
    with pytest.raises(Unauthenticated) as refused:
        await verifier().verify(claiming(aud=["secret"]))
    assert "secret" not in str(refused.value) and "operator" not in str(refused.value)


def test_certs_and_issuer_follow_from_the_team_unless_they_are_given() -> None:
    team = "https://osprey.cloudflareaccess.com"
    assert SETTINGS.keys_at() == f"{team}/cdn-cgi/access/certs"
    assert SETTINGS.believed_issuer() == team
    given = SETTINGS.model_copy(update={"certs_url": "http://mock/c", "issuer": "https://mock"})
    assert (given.keys_at(), given.believed_issuer()) == ("http://mock/c", "https://mock")


@pytest.mark.parametrize(
    "changes",
    [{"team": ""}, {"team": "https://osprey.example"}, {"audience": ""}, {"leeway_seconds": -1}],
)
def test_settings_that_would_believe_anything_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CloudflareSettings.model_validate(SETTINGS.model_dump() | changes)
