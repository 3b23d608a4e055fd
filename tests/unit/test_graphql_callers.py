"""Who is let in: the middleware and the server's edges, with made-up identities and no database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import aiohttp
import psycopg
import pytest
from aiohttp.test_utils import TestClient, TestServer
from eventsourcing import persistence

from strike_adapters.identity import Identity, Unauthenticated
from strike_adapters.postgres.queries import Membership, User
from strike_adapters.twilio.accounts import WebhookUrls
from strike_app import server
from strike_app.callers import actor_of
from strike_app.services import SERVICES, Services
from strike_app.settings import Settings
from strike_domain import ManualClock
from strike_domain.actors import Actor, Role, Side
from strike_domain.errors import Forbidden, OutcomeUnknown, Unavailable

NOC = Membership(uuid4(), "Bluestem", Side.NOC, Role.OPERATOR)
OSP = Membership(uuid4(), "Front Range", Side.OSP, Role.VIEWER)
OLIVIA = User(uuid4(), "olivia@bluestem.example", "Olivia Park", (NOC, OSP))

ME = {"query": "{ me { email memberships { role tenant { name } } } }"}
TOKEN = {"x-amzn-oidc-data": "olivia"}


class FakeIdentity:
    async def verify(self, headers: Mapping[str, str]) -> Identity:
        token = headers.get("x-amzn-oidc-data")
        if token != "olivia":
            code = "TOKEN_INVALID" if token else "TOKEN_MISSING"
            raise Unauthenticated(code, "You are not logged in.")
        return Identity(subject="sub-1", email="Olivia@Bluestem.example")


class FakeQueries:
    """Knows Olivia only; `fails` is raised by every other question."""

    fails: Exception | None = None
    reasons: tuple[str, ...] = ()
    replica: None = None

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def user_of_login(self, subject: str, email: str | None) -> User | None:
        if self.fails:
            raise self.fails
        return OLIVIA if (subject, email) == ("sub-1", "Olivia@Bluestem.example") else None

    async def not_ready(self) -> list[str]:
        return list(self.reasons)


class FakeChanges:
    is_connected = False

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class FakeFollowing(FakeChanges):
    """Whoever asks over a socket keeps the rights that they came with."""

    @property
    def standings(self) -> FakeFollowing:
        return self

    @asynccontextmanager
    async def of(self, user: User, actor: Actor, tenant_id: UUID) -> AsyncIterator[Any]:
        yield SimpleNamespace(check=lambda: None, actor=actor)


def _services(settings: Settings | None = None) -> Services:
    nothing = cast(Any, None)
    return Services(
        settings=settings or Settings(database_url=None),
        clock=ManualClock(),
        paging_seen_by=nothing,
        administration=nothing,
        checks=nothing,
        callouts=nothing,
        drafting=nothing,
        paging=nothing,
        queries=cast(Any, FakeQueries()),
        changes=cast(Any, FakeChanges()),
        following=cast(Any, FakeFollowing()),
        identity=cast(Any, FakeIdentity()),
        places=nothing,
        technicians=nothing,
        links=nothing,
        twilio_accounts=nothing,
        webhook_urls=WebhookUrls("https://strike.example"),
        executor=ThreadPoolExecutor(1),
    )


Client = TestClient[Any, Any]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with TestClient(TestServer(server.create_app(_services()))) as opened:
        yield opened


def _queries(client: Client) -> FakeQueries:
    services = client.app[SERVICES]
    return cast(FakeQueries, services.queries)


async def test_a_known_user_is_told_where_they_belong_without_naming_a_tenant(
    client: Client,
) -> None:
    async with client.post("/graphql", json=ME, headers=TOKEN) as answer:
        me = (await answer.json())["data"]["me"]
    assert me["email"] == OLIVIA.email
    assert [one["tenant"]["name"] for one in me["memberships"]] == ["Bluestem", "Front Range"]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "TOKEN_MISSING"),
        ({"x-amzn-oidc-data": "forged"}, 401, "TOKEN_INVALID"),
        (TOKEN | {"X-Tenant-ID": str(uuid4())}, 403, "NOT_A_MEMBER"),
        (TOKEN | {"X-Tenant-ID": "nonsense"}, 403, "NOT_A_MEMBER"),
    ],
)
async def test_others_are_refused_in_json_with_a_code(
    client: Client, headers: dict[str, str], status: int, code: str
) -> None:
    async with client.post("/graphql", json=ME, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (status, code)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/graphql", protocols=("graphql-transport-ws",), headers=headers)
    assert refused.value.status == status, "A socket is refused before it is opened."


async def test_headers_from_outside_the_trusted_proxies_are_ignored() -> None:
    settings = Settings(database_url=None, trusted_proxies="10.0.0.0/8")
    app = server.create_app(_services(settings))
    async with (
        TestClient(TestServer(app)) as client,
        client.post("/graphql", json=ME, headers=TOKEN) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (401, "TOKEN_MISSING")


async def test_a_page_of_another_site_cannot_open_a_socket_in_a_users_name(client: Client) -> None:
    headers = TOKEN | {"Origin": "https://evil.example"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/graphql", protocols=("graphql-transport-ws",), headers=headers)
    assert refused.value.status == 403


async def test_a_socket_that_names_a_foreign_tenant_is_closed(client: Client) -> None:
    async with client.ws_connect(
        "/graphql", protocols=("graphql-transport-ws",), headers=TOKEN
    ) as socket:
        payload = {"tenantId": str(uuid4())}
        await socket.send_json({"type": "connection_init", "payload": payload})
        await socket.receive()
        assert socket.close_code == 4403


async def test_an_open_socket_does_not_hold_up_the_end() -> None:
    running = TestServer(server.create_app(_services()))
    client: Client = TestClient(running)
    await client.start_server()
    socket = await client.ws_connect("/graphql", protocols=("graphql-transport-ws",), headers=TOKEN)
    await socket.send_json({"type": "connection_init"})
    await socket.receive_json()
    closing = asyncio.create_task(running.close())
    async with asyncio.timeout(5):
        await socket.receive()
        await closing
    assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
    await client.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b'[{"query": "{ me { id } }"}]',
        b"{",
        b'{"query": 5}',
        b'{"query": "{ me { id } }", "variables": {"x": NaN}}',
        b"[" * 100_000,
        b'{"variables":' * 5_000,
        b'{"query": "\xff"}',
        b'{"query": "", "variables": {"x": "\\ud800"}}',
    ],
)
async def test_what_is_no_request_is_refused_as_such(client: Client, body: bytes) -> None:
    headers = TOKEN | {"Content-Type": "application/json"}
    async with client.post("/graphql", data=body, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "REQUEST_INVALID")


async def test_a_form_that_any_site_could_send_is_refused(client: Client) -> None:
    async with client.post("/graphql", data=b'{"query": "{ me { id } }"}', headers=TOKEN) as answer:
        assert answer.status == 415
    async with client.get("/graphql", params=ME, headers=TOKEN) as answer:
        assert answer.status == 400


async def test_too_large_a_request_and_a_missing_page_are_answered_in_json(client: Client) -> None:
    big = b'{"query": "' + b"y" * server.MAX_BODY + b'"}'
    headers = TOKEN | {"Content-Type": "application/json"}
    async with client.post("/graphql", data=big, headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (413, "REQUEST_ENTITY_TOO_LARGE")
    async with client.get("/nowhere") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "NOT_FOUND")


async def test_a_failing_database_and_a_bug_tell_a_stranger_nothing(client: Client) -> None:
    _queries(client).fails = Unavailable("It does not answer.", "DATABASE_UNAVAILABLE")
    async with client.post("/graphql", json=ME, headers=TOKEN) as answer:
        assert (answer.status, (await answer.json())["code"]) == (503, "DATABASE_UNAVAILABLE")
    _queries(client).fails = RuntimeError("secret-detail")
    wanted = str(uuid4())
    async with client.post(
        "/graphql", json=ME, headers=TOKEN | {"X-Correlation-ID": wanted}
    ) as answer:
        assert answer.status == 500
        assert await answer.json() == {"code": "INTERNAL", "correlationId": wanted}


async def test_a_request_that_takes_too_long_ends_with_a_clear_error(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(server, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(server, "ordinary_answer", never)
    async with client.post("/graphql", json=ME, headers=TOKEN) as answer:
        assert (answer.status, (await answer.json())["code"]) == (504, "TIMED_OUT")


async def test_health_is_told_to_everybody(client: Client) -> None:
    async with client.get("/healthz") as answer:
        assert answer.status == 200
    async with client.get("/readyz") as answer:
        told = {"ready": True, "stopping": False, "reasons": []}
        known = {"database": "ok", "changes": "unavailable", "followers": "unknown"}
        assert answer.status == 200
        assert await answer.json() == told | {"dependencies": known}
    _queries(client).reasons = ("the database cannot be reached",)
    async with client.get("/readyz") as answer:
        assert answer.status == 503
        assert (await answer.json())["reasons"] == ["the database cannot be reached"]


async def test_graphiql_comes_from_this_server_alone(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    headers = TOKEN | {"Accept": "text/html"}
    (tmp_path / "graphiql.min.js").write_text("")
    monkeypatch.setattr(server, "ASSETS", tmp_path)
    async with client.get("/graphql", headers=headers) as answer:
        page = await answer.text()
    assert str(NOC.tenant_id) in page
    assert "http://" not in page and "https://" not in page
    (tmp_path / "graphiql.min.js").unlink()
    async with client.get("/graphql", headers=headers) as answer:
        assert "missing" in await answer.text()
    async with client.get("/graphql", headers={"Accept": "text/html"}) as answer:
        assert answer.status == 401


@pytest.mark.parametrize("membership", [NOC, OSP])
def test_an_actor_has_the_role_and_side_of_the_tenant_that_was_named(
    membership: Membership,
) -> None:
    actor = actor_of(OLIVIA, str(membership.tenant_id).upper())
    assert actor is not None
    assert (actor.name, actor.tenant_id) == (f"user:{OLIVIA.email}", membership.tenant_id)
    assert (actor.side, actor.role) == (membership.side, membership.role)


def test_without_a_tenant_nobody_acts_and_a_foreign_one_is_refused() -> None:
    assert actor_of(OLIVIA, None) is None
    with pytest.raises(Forbidden):
        actor_of(OLIVIA, str(UUID(int=0)))


@pytest.mark.parametrize(
    "failure",
    [
        psycopg.OperationalError("password=secret"),
        persistence.OperationalError("password=secret"),
        persistence.InterfaceError("password=secret"),
    ],
)
async def test_a_command_that_the_database_failed_has_an_unknown_outcome(
    failure: Exception,
) -> None:
    def command() -> None:
        raise failure

    with pytest.raises(OutcomeUnknown) as unknown:
        await _services().run(command)
    assert "secret" not in str(unknown.value)


def test_settings_never_show_the_password_of_the_database() -> None:
    assert "hunter2" not in repr(Settings(database_url="postgresql://u:hunter2@db/strike"))
