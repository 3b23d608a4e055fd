"""The whole server behind the mock's gateway: by a load balancer, by Cloudflare, by both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, web
from pydantic import AnyHttpUrl

from strike_app.bootstrap import Strike, open_identities, open_services
from strike_app.demo.seed import NOC_ID, OPERATOR
from strike_app.mute import StrikeRunner
from strike_app.server import create_app
from strike_app.settings import Settings
from strike_mock.server import Mock
from strike_mock.settings import MockSettings, Person

OLIVIA = Person(sub="u-1", email=OPERATOR.email, name=OPERATOR.name)
LOGINS = ("load balancer", "Cloudflare", "both")
ME = {"query": "{ me { email } tenant { id } }"}


@dataclass
class Behind:
    """Somebody who has logged in at the gateway, and Strike behind it."""

    mock: Mock
    browser: ClientSession
    strike_url: str

    async def ask(self, url: str | None = None, **headers: str) -> tuple[int, Any]:
        async with self.browser.post(
            f"{url or self.mock.gateway_url}/graphql",
            json=ME,
            headers={"X-Tenant-ID": str(NOC_ID), **headers},
        ) as answer:
            return answer.status, await answer.json()

    async def spoil(self, what: str, flaw: str) -> None:
        path = "cloudflare/identity" if what == "Cloudflare" else "identity"
        async with self.browser.post(
            f"{self.mock.url}/_mock/{path}", json={"next": flaw}
        ) as answer:
            assert answer.status == 200, await answer.text()


def settings_of(strike: Strike, ready: dict[str, Any], login: str) -> Settings:
    """What an operator would set, with the mock in the place of both logins."""
    by_load_balancer = {
        "oidc_signer": ready["signer"],
        "oidc_issuer": ready["issuer"],
        "oidc_client": ready["client"],
        "oidc_keys": AnyHttpUrl(ready["kid_endpoint"]),
    }
    by_cloudflare = {
        "cloudflare_team": ready["cloudflare_issuer"].removeprefix("https://"),
        "cloudflare_audience": ready["cloudflare_audience"],
        "cloudflare_certs": AnyHttpUrl(ready["cloudflare_certs"]),
    }
    update: dict[str, Any] = {"oidc_signer": ""}
    update |= by_load_balancer if login != "Cloudflare" else {}
    update |= by_cloudflare if login != "load balancer" else {}
    return strike.settings.model_copy(update=update)


@asynccontextmanager
async def behind(strike: Strike, login: str) -> AsyncIterator[Behind]:
    mock_settings = MockSettings(people=(OLIVIA,), cloudflare_audience="tag-of-strike")
    async with (
        Mock(mock_settings) as mock,
        ClientSession(cookie_jar=CookieJar(unsafe=True)) as browser,
    ):
        services = open_services(strike, settings_of(strike, mock.ready(), login))
        runner = StrikeRunner(create_app(services), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        await browser.post(f"{mock.url}/_mock/upstream", json={"url": url})
        await browser.post(f"{mock.gateway_url}/login", json={"email": OLIVIA.email})
        yield Behind(mock, browser, url)
        await runner.cleanup()
        services.executor.shutdown()


@pytest.mark.parametrize("login", LOGINS)
async def test_a_person_is_known_by_the_logins_that_are_configured(
    strike: Strike, login: str
) -> None:
    async with behind(strike, login) as gate:
        status, body = await gate.ask()
        assert status == 200, body
        assert body["data"] == {"me": {"email": OLIVIA.email}, "tenant": {"id": str(NOC_ID)}}


@pytest.mark.parametrize("spoilt", ["load balancer", "Cloudflare"])
async def test_where_both_are_configured_neither_is_enough_alone(
    strike: Strike, spoilt: str
) -> None:
    async with behind(strike, "both") as gate:
        await gate.spoil(spoilt, "none")
        status, body = await gate.ask()
        assert (status, body["code"]) == (401, "TOKEN_MISSING")
        assert (await gate.ask())[0] == 200


@pytest.mark.parametrize("login", LOGINS)
async def test_who_goes_round_the_gateway_is_nobody(strike: Strike, login: str) -> None:
    async with behind(strike, login) as gate:
        status, body = await gate.ask(gate.strike_url)
        assert (status, body["code"]) == (401, "TOKEN_MISSING")


async def test_a_header_of_the_clients_own_does_not_pass_the_gateway(strike: Strike) -> None:
    async with behind(strike, "Cloudflare") as gate:
        await gate.spoil("Cloudflare", "none")
        forged = {"Cf-Access-Jwt-Assertion": "a.b.c", "x-amzn-oidc-data": "a.b.c"}
        status, body = await gate.ask(**forged)
        assert (status, body["code"]) == (401, "TOKEN_MISSING")


def test_a_server_that_trusts_nobody_does_not_start() -> None:
    with pytest.raises(ValueError, match="to believe"):
        open_identities(Settings(database_url=None, oidc_signer=""))
