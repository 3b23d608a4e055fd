"""The mock as one thing: two ports, started and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self
from uuid import UUID

from aiohttp import web

from strike_mock.accounts import Accounts
from strike_mock.clock import Clock, SteppedClock
from strike_mock.cloudflare import CLOUDFLARE_ISSUER, CloudflareSigner
from strike_mock.cloudflare_api import CERTS_PATH, CloudflareApi
from strike_mock.control import ControlApi
from strike_mock.courier import Courier, HttpCourier
from strike_mock.dashboard import Dashboard
from strike_mock.edges import Fault, rest_edge
from strike_mock.exchange import Exchange
from strike_mock.faults import Faults, OnDeath, broken_connections
from strike_mock.gateway import Gateway
from strike_mock.identity import IdentitySigner
from strike_mock.identity_control import IdentityControl
from strike_mock.ids import Ids
from strike_mock.journal import Journal
from strike_mock.proxy import Proxy
from strike_mock.render import RenderApi, refusals_in_form
from strike_mock.scenarios import Scenario, load
from strike_mock.settings import MockSettings
from strike_mock.stage import Stage
from strike_mock.texts import PostOffice
from strike_mock.tracing import traces
from strike_mock.twilio import TwilioApi
from strike_mock.whole import Whole

# Open sockets get a second to say goodbye; the demo's Ctrl-C must feel immediate.
_RUN: dict[str, Any] = {"access_log": None, "shutdown_timeout": 1.0}


class Mock:
    """Twilio, Render, control API and keys on one port, the login gateway on another.

    For tests: `clock` replaces the scaled one, `scenario` the named one, `courier` the way to
    Strike, `faults` are put on the edge where REST requests come in, and `on_death` is called
    where the scenario wants Strike's process to die.
    """

    def __init__(
        self,
        settings: MockSettings,
        *,
        clock: Clock | None = None,
        scenario: Scenario | None = None,
        courier: Courier | None = None,
        faults: Sequence[Fault] = (),
        on_death: OnDeath | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SteppedClock(settings.speed, settings.epoch, paused=settings.paused)
        self.stage = Stage(scenario or load(settings.scenario))
        ids = Ids(settings.seed)
        self._traces = traces()
        self._http_courier = HttpCourier(traces=self._traces)
        self.faults = Faults(self.stage, self.clock, settings.seed, on_death)
        self.journal = Journal(self.clock)
        out = self.faults.around(self.journal.around(courier or self._http_courier))
        self.exchange = Exchange(self.clock, out, self.stage, ids, self._traces)
        self.post = PostOffice(self.clock, out, self.stage, ids)
        self.accounts = Accounts(settings.accounts, self.clock, ids)
        clients = {client.id: client for client in settings.render_clients}
        self.render = RenderApi(self.clock, self.stage, ids, clients)
        self.identity = IdentitySigner(
            self.clock, signer=settings.signer, issuer=settings.issuer, client=settings.client
        )
        audience = settings.cloudflare_audience
        self.cloudflare = CloudflareSigner(self.clock, audience=audience) if audience else None
        self._proxy = Proxy(settings.upstream)
        self._edges = (
            broken_connections,
            self.journal.on_request,
            *faults,
            self.faults.on_request,
            refusals_in_form,
        )
        self._runners: list[web.AppRunner] = []
        self._url = self._gateway_url = ""

    @property
    def url(self) -> str:
        """Base URL of Twilio, Render, `/keys/` and `/_mock/`, without a trailing slash."""
        return self._url

    @property
    def gateway_url(self) -> str:
        """Base URL of the login gateway, without a trailing slash."""
        return self._gateway_url

    async def start(self) -> None:
        """Listen on both ports. Raises OSError if one is taken; then neither stays open."""
        try:
            self._url = await self._listen(web.AppRunner(self.app(), **_RUN), self.settings.port)
            dashboard = f"{self.url}/_mock/"
            people = self.settings.people
            gateway = Gateway(people, self.identity, self.cloudflare, self._proxy, dashboard)
            # A browser that goes away must end the event stream held open for it: cancellation.
            forwarding = web.AppRunner(gateway.app(), handler_cancellation=True, **_RUN)
            self._gateway_url = await self._listen(forwarding, self.settings.gateway_port)
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close both ports, drop every call, send the crews home."""
        while self._runners:
            await self._runners.pop().cleanup()
        await self.exchange.close()
        await self.post.close()
        await self.render.crew.close()
        await self._http_courier.close()
        await asyncio.to_thread(self._traces.close)
        await self._proxy.close()
        if isinstance(self.clock, SteppedClock):
            await self.clock.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    def ready(self) -> dict[str, str]:
        """Return what whoever starts the mock must know; keys are at `kid_endpoint`/{kid}.

        What begins with `cloudflare_` is there only if Cloudflare is.
        """
        facts = {
            "url": self.url,
            "gateway_url": self.gateway_url,
            "signer": self.settings.signer,
            "kid_endpoint": f"{self.url}/keys",
            "issuer": self.settings.issuer,
            "client": self.settings.client,
        }
        return facts | self._cloudflare_facts()

    def app(self, *, on_a_wire: bool = True) -> web.Application:
        """A new application with everything of the main port.

        Whoever calls it without a connection (`on_a_wire` False) gets `faults.Dropped` raised
        where the connection would break.
        """
        edges = self._edges if on_a_wire else self._edges[1:]
        app = web.Application(middlewares=[rest_edge(edges)])
        TwilioApi(self.exchange, self.post, self.accounts, self._traces).add_routes(app.router)
        self.render.add_routes(app.router)
        app.router.add_get("/keys/{kid}", self._key)
        whole = Whole(
            self.clock,
            self.stage,
            self.exchange,
            self.post,
            self.render,
            self.faults,
            self.journal,
        )
        ControlApi(whole, self._proxy).add_routes(app.router)
        Dashboard(whole).add_to(app)
        IdentityControl(self.identity).add_routes(app.router)
        if self.cloudflare is not None:
            CloudflareApi(self.cloudflare).add_routes(app.router)
        return app

    def _cloudflare_facts(self) -> dict[str, str]:
        if self.settings.cloudflare_audience is None:
            return {}
        return {
            "cloudflare_certs": f"{self.url}{CERTS_PATH}",
            "cloudflare_issuer": CLOUDFLARE_ISSUER,
            "cloudflare_audience": self.settings.cloudflare_audience,
        }

    async def _key(self, request: web.Request) -> web.Response:
        try:
            pem = self.identity.public_key(UUID(request.match_info["kid"]))
        except ValueError:
            pem = None
        if pem is None:
            return web.Response(status=404, text="no such key")
        return web.Response(text=pem, content_type="application/x-pem-file")

    async def _listen(self, runner: web.AppRunner, port: int) -> str:
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, self.settings.host, port).start()
        host, bound = runner.addresses[0][:2]
        return f"http://[{host}]:{bound}" if ":" in host else f"http://{host}:{bound}"


async def run_mock(
    settings: MockSettings,
    *,
    on_ready: Callable[[Mock], None] | None = None,
    until: asyncio.Event | None = None,
) -> None:
    """Run a mock until `until` is set, or for ever; `on_ready` is called when it listens."""
    async with Mock(settings) as mock:
        if on_ready is not None:
            on_ready(mock)
        await (until or asyncio.Event()).wait()
