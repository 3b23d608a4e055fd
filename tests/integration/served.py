"""A client of the real server: people with a signed header, Twilio with its signature."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp import web
from pydantic import AnyHttpUrl
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from strike_adapters.identity import Identities, LoadBalancerIdentity, LoadBalancerSettings
from strike_app.bootstrap import Strike, open_services, open_strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID, OPERATOR, Outside, seed
from strike_app.mute import StrikeRunner
from strike_app.services import Services
from strike_app.settings import Settings
from strike_mock.clock import VirtualClock
from strike_mock.identity import IdentitySigner
from strike_mock.settings import DEFAULT_SIGNER, Person

ACCOUNT_SID = f"AC{7:032d}"
AUTH_TOKEN = "token-of-the-test"
OSP_ID = CONTRACTORS[0].id
PLACE = {"type": "Point", "coordinates": [-105.27, 40.01]}

ORDER: dict[str, Any] = {
    "ospId": str(OSP_ID),
    "location": PLACE,
    "jobType": "FNOL",
    "description": "Cable cut by an excavator",
}

CREATE = """
mutation Create($input: CreateEcoInput!) {
  createEco(input: $input) {
    __typename
    ... on EcoChanged { position eco { id status pagingState renderState jobNumber } }
    ... on Problem { code message path }
  }
}
"""


@dataclass
class Answer:
    status: int
    body: Any


@dataclass
class Served:
    """The server at `url`, over HTTP."""

    url: str
    session: aiohttp.ClientSession
    signer: IdentitySigner
    services: Services
    app: web.Application
    public: str = field(default="https://strike.example/in")

    def headers(self, email: str = OPERATOR.email, tenant: UUID | None = NOC_ID) -> dict[str, str]:
        token = self.signer.sign(Person(sub=email, email=email, name=email))
        named = {"X-Tenant-ID": str(tenant)} if tenant else {}
        return {"x-amzn-oidc-data": token, **named}

    async def post(
        self, query: str, variables: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        async with self.session.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": variables or {}},
            headers=self.headers() if headers is None else headers,
        ) as response:
            is_json = response.content_type == "application/json"
            return Answer(
                response.status, await response.json() if is_json else await response.text()
            )

    async def ask(self, query: str, variables: Any = None, **who: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = await self.post(query, variables, self.headers(**who))
        assert "errors" not in answer.body, answer.body
        data: dict[str, Any] = answer.body["data"]
        return data

    async def create(self, **changes: Any) -> dict[str, Any]:
        """What `createEco` answers."""
        data = await self.ask(CREATE, {"input": ORDER | changes})
        created: dict[str, Any] = data["createEco"]
        return created

    async def webhook(
        self,
        path: str,
        params: dict[str, str],
        *,
        token: str = AUTH_TOKEN,
        sent_to: str | None = None,
    ) -> Answer:
        """A signed request, as Twilio makes it to the public address; `sent_to`: forged."""
        params = {"AccountSid": ACCOUNT_SID, **params}
        signature = RequestValidator(token).compute_signature(f"{self.public}{path}", params)
        async with self.session.post(
            f"{self.url}{sent_to or path}", data=params, headers={"X-Twilio-Signature": signature}
        ) as response:
            return Answer(response.status, await response.text())


@contextmanager
def seeded(url: str, folder: Path) -> Iterator[Strike]:
    """Strike on a prepared database, with the demo's companies and a key in that folder."""
    settings = Settings(
        database_url=url,
        secrets_key_file=folder / "key",
        public_url=AnyHttpUrl("https://strike.example/in"),
        oidc_signer=DEFAULT_SIGNER,
        wait_for_seconds=5,
    )
    with open_strike(settings) as opened:
        outside = Outside("http://render.invalid", ACCOUNT_SID, AUTH_TOKEN, "strike", "secret")
        seed(opened.directory, opened.accounts, outside)
        yield opened


def new_signer() -> IdentitySigner:
    """A gateway's key."""
    return IdentitySigner(VirtualClock(), signer=DEFAULT_SIGNER, issuer="iss", client="strike")


@asynccontextmanager
async def serving(strike: Strike, signer: IdentitySigner, port: int = 0) -> AsyncIterator[Served]:
    """The whole server on that port, or a free one, which believes what `signer` signs."""
    from strike_app.server import create_app

    async def fetch_key(kid: str) -> str | None:
        return signer.public_key(UUID(kid))

    identity = LoadBalancerIdentity(
        LoadBalancerSettings(signer=DEFAULT_SIGNER, key_endpoint="https://keys.invalid"),
        fetch_key=fetch_key,
        now=lambda: datetime.now(UTC),
    )
    identities = Identities(identity, None)
    services = replace(open_services(strike, strike.settings), identity=identities)
    app = create_app(services)
    runner = StrikeRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    try:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield Served(url, session, signer, services, app)
    finally:
        await runner.cleanup()
        services.executor.shutdown()
