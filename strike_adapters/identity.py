"""Who a person is, by the header that the load balancer signs (`x-amzn-oidc-data`).

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field

from strike_domain.errors import StrikeError

FETCHES_A_MINUTE = 10
"""How often a key is asked for. Amazon's change seldom; whoever makes up ids runs into this."""

MOST_KEYS = 100
MOST_TOKEN_CHARACTERS = 16_384
_MOST_KEY_BYTES = 4_096
_FETCH_SECONDS = 3.0
_KID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

FetchKey = Callable[[str], Awaitable[str | None]]
"""From a key id, a UUID, to its public key in PEM, or None if there is no such key."""


class Unauthenticated(StrikeError):
    """Nobody is logged in as far as can be proved. The message may be shown to anybody."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


class Identity(BaseModel):
    """A person, as the login says. `subject` is stable, the rest is as entered there."""

    model_config = ConfigDict(frozen=True)

    subject: str = Field(min_length=1)
    email: str | None = None
    name: str | None = None


class LoadBalancerSettings(BaseModel):
    """Whose tokens are believed.

    `signer` is the ARN of the load balancer: without it anybody's could mint them. `issuer` and
    `client` are not checked where None. `key_endpoint` is the base URL of the public keys,
    `https://public-keys.auth.elb.<region>.amazonaws.com`.
    """

    model_config = ConfigDict(frozen=True)

    signer: str = Field(min_length=1)
    issuer: str | None = None
    client_id: str | None = None
    key_endpoint: str
    leeway_seconds: float = Field(default=60, ge=0)


class LoadBalancerIdentity:
    """Verifies tokens; to be used within one event loop. `now` is aware, in UTC."""

    def __init__(
        self, settings: LoadBalancerSettings, fetch_key: FetchKey, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._now = now
        self._keys = _Keys(fetch_key, now)

    async def verify(self, token: str | None) -> Identity:
        """Return who the token speaks of.

        Raises `Unauthenticated`: TOKEN_MISSING, TOKEN_INVALID (form, algorithm, signature, issuer,
        claims), TOKEN_EXPIRED, TOKEN_WRONG_SIGNER, TOKEN_WRONG_CLIENT, TOKEN_UNKNOWN_KEY (also
        when the keys cannot be asked for).
        """
        if not token:
            raise Unauthenticated("TOKEN_MISSING", "You are not logged in.")
        header = _unproven_header(token)
        # Before the key is fetched: what is refused anyway must not cost a request.
        self._check(header)
        claims = _proven_claims(token, await self._keys.get(header["kid"]))
        self._check_expiry(claims.get("exp", header["exp"]))
        return _identity(claims)

    def _check(self, header: Mapping[str, Any]) -> None:
        settings = self._settings
        kid = header.get("kid")
        if header.get("alg") != "ES256" or not isinstance(kid, str) or not _KID.fullmatch(kid):
            raise _invalid()
        if header.get("signer") != settings.signer:
            raise Unauthenticated("TOKEN_WRONG_SIGNER", "Your login comes from another system.")
        if settings.issuer is not None and header.get("iss") != settings.issuer:
            raise _invalid()
        if settings.client_id is not None and header.get("client") != settings.client_id:
            raise Unauthenticated("TOKEN_WRONG_CLIENT", "Your login is for another application.")
        self._check_expiry(header.get("exp"))

    def _check_expiry(self, exp: object) -> None:
        # Not `<=`: NaN, which Python's JSON knows, is neither.
        if not _seconds(exp) + self._settings.leeway_seconds > self._now().timestamp():
            raise Unauthenticated("TOKEN_EXPIRED", "Your login has expired; log in again.")


class _Keys:
    """The keys seen so far. Whoever asks for the same one at the same time shares one fetch."""

    def __init__(self, fetch_key: FetchKey, now: Callable[[], datetime]) -> None:
        self._fetch_key = fetch_key
        self._now = now
        self._known: OrderedDict[str, EllipticCurvePublicKey] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[EllipticCurvePublicKey | None]] = {}
        self._fetched: deque[datetime] = deque(maxlen=FETCHES_A_MINUTE)

    async def get(self, kid: str) -> EllipticCurvePublicKey:
        key = self._known.get(kid) or await self._shared_fetch(kid)
        if key is None:
            raise _unknown_key()
        return key

    async def _shared_fetch(self, kid: str) -> EllipticCurvePublicKey | None:
        task = self._fetching.get(kid)
        if task is None:
            self._count_fetch()
            task = asyncio.ensure_future(self._fetch(kid))
            self._fetching[kid] = task
            task.add_done_callback(lambda _: self._fetching.pop(kid, None))
        # The one who began it may go away; the others still wait for it.
        return await asyncio.shield(task)

    async def _fetch(self, kid: str) -> EllipticCurvePublicKey | None:
        try:
            key = _public_key(await self._fetch_key(kid))
        except httpx.HTTPError:
            return None
        if key is not None:
            self._known[kid] = key
            while len(self._known) > MOST_KEYS:
                self._known.popitem(last=False)
        return key

    def _count_fetch(self) -> None:
        now = self._now()
        is_full = len(self._fetched) == FETCHES_A_MINUTE
        if is_full and now - self._fetched[0] < timedelta(minutes=1):
            raise _unknown_key()
        self._fetched.append(now)


def http_key_fetcher(key_endpoint: str) -> FetchKey:
    """Return what gets a key by GET `key_endpoint`/kid, waiting 3 s at most.

    An answer of 404, or one too long for a key, is None; the rest raises httpx.HTTPError.
    """
    base = key_endpoint.rstrip("/")

    async def fetch(kid: str) -> str | None:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                return await _get_text(f"{base}/{kid}")
        except TimeoutError as error:
            raise httpx.ReadTimeout("the key took too long to arrive") from error

    return fetch


def is_trusted(remote_ip: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether the headers of a request from that address are to be looked at.

    An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) counts as itself; what is no address is
    never trusted.
    """
    try:
        address = ip_address(remote_ip)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


async def _get_text(url: str) -> str | None:
    async with (
        httpx.AsyncClient(timeout=_FETCH_SECONDS) as client,
        client.stream("GET", url) as answer,
    ):
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
        body = b""
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > _MOST_KEY_BYTES:
                return None
        return body.decode(errors="replace")


def _public_key(pem: str | None) -> EllipticCurvePublicKey | None:
    if pem is None:
        return None
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    is_p256 = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    return key if isinstance(key, EllipticCurvePublicKey) and is_p256 else None


def _unproven_header(token: str) -> Mapping[str, Any]:
    if len(token) > MOST_TOKEN_CHARACTERS:
        raise _invalid()
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise _invalid() from error


def _seconds(exp: object) -> float:
    if isinstance(exp, bool) or not isinstance(exp, int | float):
        raise _invalid()
    try:
        return float(exp)
    except OverflowError as error:
        raise _invalid() from error


def _proven_claims(token: str, key: EllipticCurvePublicKey) -> Mapping[str, Any]:
    # As it came: the signature covers the padding. Times are checked against our clock, by us.
    unchecked = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    try:
        return jwt.decode(token, key, algorithms=["ES256"], options=unchecked)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError) as error:
        raise _invalid() from error


def _identity(claims: Mapping[str, Any]) -> Identity:
    try:
        named = {"subject": claims["sub"], "email": claims.get("email"), "name": claims.get("name")}
        return Identity.model_validate(named)
    except (KeyError, ValueError) as error:
        raise _invalid() from error


def _invalid() -> Unauthenticated:
    return Unauthenticated("TOKEN_INVALID", "Your login cannot be verified.")


def _unknown_key() -> Unauthenticated:
    return Unauthenticated("TOKEN_UNKNOWN_KEY", "Your login cannot be verified at the moment.")
