"""Who a person is hangs on one signed header; whatever is wrong with it, nobody is logged in."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from strike_adapters.identity import (
    FETCHES_A_MINUTE,
    LoadBalancerIdentity,
    LoadBalancerSettings,
    Unauthenticated,
    http_key_fetcher,
    is_trusted,
)
from strike_mock.identity import IdentitySigner
from strike_mock.server import Mock
from strike_mock.settings import DEFAULT_PERSON, MockSettings
from tests.unit.minting import token_of

KID = str(uuid4())
SIGNER = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/strike/1"
SETTINGS = LoadBalancerSettings(
    signer=SIGNER, issuer="https://login.example", client_id="strike", key_endpoint="http://keys"
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
PEM = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
CLAIMS = {"sub": "operator-1", "email": "o@noc.example", "name": "Olivia", "exp": 1767225720}


class Now:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


class KeyServer:
    """Knows one key, and notes who asks."""

    def __init__(self, keys: dict[str, str] | None = None) -> None:
        self.keys = {KID: PEM} if keys is None else keys
        self.asked: list[str] = []
        self.is_down = False
        self.lost = 0

    async def fetch(self, kid: str) -> str | None:
        self.asked.append(kid)
        await asyncio.sleep(0)
        self.lost -= 1
        if self.is_down or self.lost >= 0:
            raise httpx.ConnectError("refused")
        return self.keys.get(kid)


def header(**changes: Any) -> dict[str, Any]:
    usual = {"typ": "JWT", "kid": KID, "alg": "ES256", "iss": "https://login.example"}
    usual |= {"client": "strike", "signer": SIGNER}
    return {**usual, "exp": int(NOW.timestamp()) + 120, **changes}


def es256(signed: bytes) -> bytes:
    r, s = decode_dss_signature(KEY.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def hs256_with_the_public_key(signed: bytes) -> bytes:
    mac = hmac.HMAC(PEM.encode(), hashes.SHA256())
    mac.update(signed)
    return mac.finalize()


def mint(
    head: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    *,
    sign: Callable[[bytes], bytes] = es256,
    padded: bool = True,
) -> str:
    chosen = CLAIMS if claims is None else claims
    return token_of(head or header(), chosen, sign, padded=padded)


def verifier(
    server: KeyServer | None = None, now: Now | None = None, **changes: Any
) -> LoadBalancerIdentity:
    settings = SETTINGS.model_copy(update=changes)
    return LoadBalancerIdentity(settings, (server or KeyServer()).fetch, now or Now())


async def refusal(token: str | None, identity: LoadBalancerIdentity | None = None) -> str:
    with pytest.raises(Unauthenticated) as refused:
        await (identity or verifier()).verify(token)
    return refused.value.code


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("name", ["O", "Ol", "Oli"])
async def test_a_token_is_accepted_padded_or_not(padded: bool, name: str) -> None:
    token = mint(claims=CLAIMS | {"name": name}, padded=padded)
    person = await verifier().verify(token)
    assert (person.subject, person.email, person.name) == ("operator-1", "o@noc.example", name)


async def test_padding_taken_off_on_the_way_breaks_the_signature() -> None:
    names = ("O", "Ol", "Oli")
    token = next(t for n in names if "=." in (t := mint(claims=CLAIMS | {"name": n})))
    assert await refusal(token.replace("=", "")) == "TOKEN_INVALID"


async def test_what_the_mock_gateway_signs_is_accepted() -> None:
    async with Mock(MockSettings()) as mock:
        ready = mock.ready()
        settings = LoadBalancerSettings(
            signer=ready["signer"],
            issuer=ready["issuer"],
            client_id=ready["client"],
            key_endpoint=ready["kid_endpoint"],
        )
        fetch = http_key_fetcher(settings.key_endpoint)
        identity = LoadBalancerIdentity(settings, fetch, lambda: datetime.now(UTC))
        person = await identity.verify(mock.identity.sign(DEFAULT_PERSON))
        assert person.model_dump() == {
            "subject": DEFAULT_PERSON.sub,
            "email": DEFAULT_PERSON.email,
            "name": DEFAULT_PERSON.name,
        }
        stranger = IdentitySigner(
            mock.clock, signer=ready["signer"], issuer=ready["issuer"], client=ready["client"]
        )
        assert await refusal(stranger.sign(DEFAULT_PERSON), identity) == "TOKEN_UNKNOWN_KEY"


@pytest.mark.parametrize("token", [None, ""])
async def test_without_a_token_nobody_is_logged_in(token: str | None) -> None:
    assert await refusal(token) == "TOKEN_MISSING"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": int(NOW.timestamp()) - 61}, "TOKEN_EXPIRED"),
        ({"exp": float("nan")}, "TOKEN_EXPIRED"),
        ({"exp": 10**400}, "TOKEN_INVALID"),
        ({"exp": "tomorrow"}, "TOKEN_INVALID"),
        ({"exp": True}, "TOKEN_INVALID"),
        ({"exp": None}, "TOKEN_INVALID"),
        ({"signer": SIGNER + "x"}, "TOKEN_WRONG_SIGNER"),
        ({"signer": None}, "TOKEN_WRONG_SIGNER"),
        ({"signer": [SIGNER]}, "TOKEN_WRONG_SIGNER"),
        ({"client": "another"}, "TOKEN_WRONG_CLIENT"),
        ({"client": None}, "TOKEN_WRONG_CLIENT"),
        ({"iss": "https://evil.example"}, "TOKEN_INVALID"),
        ({"alg": "none"}, "TOKEN_INVALID"),
        ({"alg": "ES384"}, "TOKEN_INVALID"),
        ({"kid": None}, "TOKEN_INVALID"),
        ({"kid": f"../{KID}"}, "TOKEN_INVALID"),
        ({"kid": f"{KID}/../x"}, "TOKEN_INVALID"),
        ({"kid": f"{KID}\n"}, "TOKEN_INVALID"),
        ({"crit": ["b64"], "b64": False}, "TOKEN_INVALID"),
    ],
)
async def test_a_header_that_is_not_right_is_refused_and_costs_no_request(
    changes: dict[str, Any], code: str
) -> None:
    server = KeyServer()
    assert await refusal(mint(header(**changes)), verifier(server)) == code
    assert server.asked == []


async def test_an_expiry_in_the_header_alone_counts() -> None:
    token = mint(header(exp=int(NOW.timestamp()) - 61), {"sub": "operator-1"})
    assert await refusal(token) == "TOKEN_EXPIRED"


async def test_an_expiry_in_the_claims_counts_as_well() -> None:
    token = mint(claims=CLAIMS | {"exp": int(NOW.timestamp()) - 61})
    assert await refusal(token) == "TOKEN_EXPIRED"


async def test_clocks_may_differ_by_the_leeway() -> None:
    token = mint(header(exp=int(NOW.timestamp()) - 59))
    assert (await verifier().verify(token)).subject == "operator-1"
    assert await refusal(token, verifier(leeway_seconds=0)) == "TOKEN_EXPIRED"


async def test_a_token_expires_although_its_key_is_known_by_now() -> None:
    now, token = Now(), mint()
    identity = verifier(now=now)
    await identity.verify(token)
    now.at += timedelta(seconds=181)
    assert await refusal(token, identity) == "TOKEN_EXPIRED"


async def test_issuer_and_client_are_free_where_not_configured() -> None:
    token = mint(header(iss="https://other.example", client="other"))
    identity = verifier(issuer=None, client_id=None)
    assert (await identity.verify(token)).subject == "operator-1"


async def test_a_token_without_signature_is_refused() -> None:
    assert await refusal(mint(header(alg="none"), sign=lambda _: b"")) == "TOKEN_INVALID"
    assert await refusal(mint(sign=lambda _: b"")) == "TOKEN_INVALID"


@pytest.mark.parametrize("alg", ["HS256", "ES256"])
async def test_the_public_key_is_no_secret_to_sign_with(alg: str) -> None:
    token = mint(header(alg=alg), sign=hs256_with_the_public_key)
    assert await refusal(token) == "TOKEN_INVALID"


async def test_claims_changed_on_the_way_are_refused() -> None:
    head, _, proof = mint().split(".")
    other = mint(claims=CLAIMS | {"sub": "somebody else"}).split(".")[1]
    assert await refusal(f"{head}.{other}.{proof}") == "TOKEN_INVALID"


@pytest.mark.parametrize(
    "claims", [{}, {"sub": ""}, {"sub": 7}, {"sub": "a", "email": ["b"]}, {"sub": None}]
)
async def test_claims_without_a_person_are_refused(claims: dict[str, Any]) -> None:
    assert await refusal(mint(claims=claims)) == "TOKEN_INVALID"


@pytest.mark.parametrize("token", ["a", "a.b", "a.b.c", "....", "ü.ü.ü", "x" * 20_000, "\udc80"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    assert await refusal(token) == "TOKEN_INVALID"


async def test_a_key_is_asked_for_once_however_many_come_at_the_same_time() -> None:
    server = KeyServer()
    identity = verifier(server)
    await asyncio.gather(*(identity.verify(mint()) for _ in range(20)))
    await identity.verify(mint())
    assert server.asked == [KID]


async def test_who_goes_away_does_not_take_the_key_from_the_others() -> None:
    identity = verifier()
    first = asyncio.ensure_future(identity.verify(mint()))
    second = asyncio.ensure_future(identity.verify(mint()))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).subject == "operator-1"


async def test_a_flood_of_unknown_keys_makes_few_requests() -> None:
    server, now = KeyServer(), Now()
    identity = verifier(server, now)
    await identity.verify(mint())
    for _ in range(100):
        assert await refusal(mint(header(kid=str(uuid4()))), identity) == "TOKEN_UNKNOWN_KEY"
    assert len(server.asked) == FETCHES_A_MINUTE
    assert (await identity.verify(mint())).subject == "operator-1"
    now.at += timedelta(minutes=1)
    await refusal(mint(header(kid=str(uuid4()))), identity)
    assert len(server.asked) == FETCHES_A_MINUTE + 1


async def test_keys_that_cannot_be_asked_for_now_are_asked_for_later() -> None:
    server = KeyServer()
    server.is_down = True
    identity = verifier(server)
    assert await refusal(mint(), identity) == "TOKEN_UNKNOWN_KEY"
    server.is_down = False
    assert (await identity.verify(mint())).subject == "operator-1"


async def test_nobodys_login_fails_because_one_request_for_the_key_gets_lost() -> None:
    server = KeyServer()
    server.lost = 1
    identity = verifier(server)
    await identity.verify(mint())
    assert len(server.asked) == 2


@pytest.mark.parametrize("pem", ["", "no key", PEM[:60]])
async def test_what_the_key_server_answers_may_be_rubbish(pem: str) -> None:
    assert await refusal(mint(), verifier(KeyServer({KID: pem}))) == "TOKEN_UNKNOWN_KEY"


async def test_the_key_server_is_believed_neither_long_answers_nor_errors() -> None:
    async def answer(request: web.Request) -> web.Response:
        kid = request.match_info["kid"]
        return web.Response(text=PEM * 100 if kid == "long" else PEM, status=int(request.path[1:4]))

    app = web.Application()
    app.router.add_get("/{status}/{kid}", answer)
    async with TestServer(app) as server:
        assert await http_key_fetcher(str(server.make_url("/200/")))("short") == PEM
        assert await http_key_fetcher(str(server.make_url("/200")))("long") is None
        assert await http_key_fetcher(str(server.make_url("/404")))("short") is None
        for status in ("302", "500"):
            with pytest.raises(httpx.HTTPStatusError):
                await http_key_fetcher(str(server.make_url(f"/{status}")))("short")


async def test_a_refusal_tells_nothing_of_the_token() -> None:
    token = mint(header(signer="arn:evil"))
    with pytest.raises(Unauthenticated) as refused:
        await verifier().verify(token)
    assert "arn" not in str(refused.value) and "operator" not in str(refused.value)


async def test_pyjwt_alone_would_take_a_token_that_expired_in_the_header() -> None:
    token = mint(header(exp=1), {"sub": "operator-1"})
    assert jwt.decode(token, PEM, algorithms=["ES256"]) == {"sub": "operator-1"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("11.1.2.3", False),
        ("::ffff:11.1.2.3", False),
        ("", False),
        ("unix:", False),
        ("10.1.2.3, 11.1.2.3", False),
    ],
)
def test_only_the_proxies_are_trusted(address: str, expected: bool) -> None:
    networks = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    assert is_trusted(address, networks) is expected


def test_without_networks_nobody_is_trusted() -> None:
    assert not is_trusted("127.0.0.1", [])
