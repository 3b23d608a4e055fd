"""Following a tenant's changes over both transports: all of them, once, in order, while allowed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import psycopg
import pytest

from strike_adapters.postgres import change_lines
from strike_adapters.postgres.queries import Membership, User
from strike_app import event_stream
from strike_app.bootstrap import Strike
from strike_app.demo.seed import LOGINS, NOC_ID, NOCS, OPERATOR, _id
from strike_app.following import Reader, buffers, following, standings
from strike_app.graphql import sockets
from strike_app.metrics import METRICS
from strike_app.tokens import new_secret
from strike_domain import Actor, Role, Side
from strike_domain.actors import Scope
from tests.integration.served import Served
from tests.integration.streamed import CHANGES, TRANSPORTS, Ended, Transport, streaming

pytestmark = pytest.mark.usefixtures("followers")

both = pytest.mark.parametrize("transport", TRANSPORTS)

PAGED = "query ($id: UUID!) { eco(id: $id) { timeline { kind position } } }"

NOTE = """
mutation ($id: UUID!, $text: String!) {
  addNote(ecoId: $id, text: $text) { ... on EcoChanged { position } ... on Problem { code } }
}
"""
ECO = """
subscription ($id: UUID!, $after: Position) {
  ecoChanged(ecoId: $id, afterPosition: $after) { position timeline { line } }
}
"""


async def _eco(served: Served, **changes: Any) -> str:
    created = await served.create(**changes)
    await served.services.queries.wait_for(created["position"])
    eco_id: str = created["eco"]["id"]
    return eco_id


async def _paged_eco(served: Served) -> str:
    """With whatever the pager answers behind it: nothing of that comes between two remarks."""
    eco_id = await _eco(served)
    lines: list[dict[str, Any]] = []
    while not any(one["kind"] == "strike.run.started" for one in lines):
        lines = (await served.ask(PAGED, {"id": eco_id}))["eco"]["timeline"]
    await served.services.queries.wait_for(lines[-1]["position"])
    return eco_id


async def _note(served: Served, eco_id: str, text: str = "x") -> int:
    position: int = (await served.ask(NOTE, {"id": eco_id, "text": text}))["addNote"]["position"]
    return position


def _sql(strike: Strike, statement: str, *values: object) -> None:
    with psycopg.connect(strike.url, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def _open() -> int:
    """How many streams the process says are open."""
    return sum(int(METRICS.streams.labels(one)._value.get()) for one in ("websocket", "sse"))


async def _until_open(number: int) -> None:
    async with asyncio.timeout(20):
        while _open() != number:  # noqa: ASYNC110 - what is counted tells nobody
            await asyncio.sleep(0.02)


# Told ---------------------------------------------------------------------------------------


@both
async def test_each_change_is_told_once_and_in_order_whoever_resumes_where(
    served: Served, transport: Transport
) -> None:
    eco_id = await _paged_eco(served)
    async with streaming(served, transport, variables={"after": 0}) as stream:
        told = [await stream.change()]
        last = [await _note(served, eco_id, f"note {number}") for number in range(10)][-1]
        while told[-1]["position"] < last:
            told.append(await stream.change())
    positions = [one["position"] for one in told]
    assert positions == sorted(set(positions))
    assert [one["line"] for one in told if one["line"].startswith("Note")] == [
        f"Note: note {number}" for number in range(10)
    ]
    notes = [one for one in told if one["line"].startswith("Note")]
    assert all(one["eco"]["id"] == eco_id for one in notes)
    middle = positions[4]
    async with streaming(served, transport, variables={"after": middle}) as stream:
        again = [(await stream.change())["position"] for _ in positions[5:]]
    assert again == positions[5:]


async def test_a_browser_resumes_by_the_id_of_the_last_event(served: Served) -> None:
    eco_id = await _paged_eco(served)
    async with streaming(served, "sse") as stream:
        position = await _note(served, eco_id)
        while (await stream.change())["position"] < position:
            pass
        assert stream.last_id == str(position)
    missed = await _note(served, eco_id)
    headers = served.headers() | {"Last-Event-ID": str(position)}
    async with streaming(served, "sse", variables={"after": 0}, headers=headers) as stream:
        assert (await stream.change())["position"] == missed
    for wrong in ("abc", "-1", "1" * 30):
        headers = served.headers() | {"Last-Event-ID": wrong}
        answer = await _refused(served, headers)
        assert answer == (400, "LAST_EVENT_ID_INVALID")


async def _refused(served: Served, headers: dict[str, str], **changes: Any) -> tuple[int, str]:
    body: dict[str, Any] = {"json": {"query": CHANGES}} | changes
    async with served.session.post(
        f"{served.url}/graphql", headers={"Accept": "text/event-stream"} | headers, **body
    ) as answer:
        return answer.status, (await answer.json())["code"]


async def test_an_event_stream_is_as_closed_as_a_post(served: Served) -> None:
    assert await _refused(served, {}) == (401, "TOKEN_MISSING")
    named = served.headers(tenant=_id(NOCS[1]))
    assert await _refused(served, named) == (403, "NOT_A_MEMBER")
    form = {"json": None, "data": {"query": CHANGES}}
    assert await _refused(served, served.headers(), **form) == (415, "UNSUPPORTED_MEDIA_TYPE")
    wrong = {"json": {"query": 7}}
    assert await _refused(served, served.headers(), **wrong) == (400, "REQUEST_INVALID")
    async with streaming(served, "sse", headers=served.headers(tenant=None)) as stream:
        assert (await stream.refusal())["code"] == "NO_TENANT"
        with pytest.raises(Ended):
            await stream.next()


async def test_proxies_are_told_to_hold_nothing_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(event_stream, "WATCH_SECONDS", 0.01)
    eco_id = await _paged_eco(served)
    async with streaming(served, "sse") as stream:
        assert isinstance(stream.answer, aiohttp.ClientResponse)
        headers = stream.answer.headers
        await asyncio.sleep(0.1)
        await _note(served, eco_id)
        await stream.change()
    assert headers["Cache-Control"] == "no-store, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"].startswith("text/event-stream")
    assert stream.comments >= 3


@both
async def test_a_question_and_a_mistake_are_answered_too(
    served: Served, transport: Transport
) -> None:
    async with streaming(served, transport, "{ me { name } }") as stream:
        assert (await stream.next())["data"]["me"]["name"]
        with pytest.raises(Ended):
            await stream.next()
    async with streaming(served, transport, "subscription { nope }") as stream:
        assert (await stream.refusal())["code"] == "QUERY_INVALID"
    async with streaming(served, transport, variables={"after": -1}) as stream:
        assert (await stream.refusal())["code"] == "QUERY_INVALID"


@both
async def test_what_one_tenant_does_no_other_is_told(served: Served, transport: Transport) -> None:
    tom = served.headers(LOGINS[1].email, _id(NOCS[1]))
    async with (
        streaming(served, transport, headers=tom, variables={"after": 0}) as foreign,
        streaming(served, transport, variables={"after": 0}) as own,
    ):
        eco_id = await _eco(served)
        await _note(served, eco_id)
        await own.change()
        with pytest.raises(TimeoutError):
            await foreign.next(0.3)


async def test_a_change_is_read_once_however_many_are_told(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    eco_id = await _paged_eco(served)
    newest = await _note(served, eco_id)
    await served.services.queries.wait_for(newest)
    asked = []
    mine = served.services.queries.lines._mine

    async def counted(statement: str, **values: Any) -> Any:
        asked.append(statement)
        return await mine(statement, **values)

    monkeypatch.setattr(served.services.queries.lines, "_mine", counted)
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(
                streaming(served, transport, variables={"after": newest})
            )
            for transport in TRANSPORTS * 10
        ]
        position = await _note(served, eco_id)
        for one in streams:
            while (await one.change())["position"] < position:
                pass
    assert asked.count(change_lines.LINES) <= 4, "A page for each of a few wake-ups at the most."


# Positions ----------------------------------------------------------------------------------


@both
async def test_a_position_that_nobody_can_go_on_from_has_a_code(
    served: Served, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    eco_id = await _paged_eco(served)
    newest = [await _note(served, eco_id) for _ in range(5)][-1]
    await served.services.queries.wait_for(newest)
    async with streaming(served, transport, variables={"after": newest + 1_000}) as stream:
        refused = await stream.refusal()
    assert refused["code"] == "POSITION_UNKNOWN"
    assert refused["position"] <= newest
    monkeypatch.setattr(following, "MOST_BEHIND", 3)
    async with streaming(served, transport, variables={"after": 0}) as stream:
        assert (await stream.refusal())["code"] == "POSITION_TOO_OLD"
    async with streaming(served, transport, variables={"after": newest - 2}) as stream:
        assert (await stream.change())["position"] == newest - 1


@both
async def test_a_position_that_the_read_models_do_not_have_yet_is_waited_for(
    served: Served, strike: Strike, transport: Transport
) -> None:
    eco_id = await _paged_eco(served)
    position = await _note(served, eco_id)
    async with streaming(served, transport, variables={"after": position}) as stream:
        later = await _note(served, eco_id)
        told = [(await stream.change())["position"]]
        while told[-1] < later:  # The pager's answers to the callout may come in between.
            told.append((await stream.change())["position"])
    assert told[-1] == later and told[0] > position and told == sorted(set(told))


# Slow readers -------------------------------------------------------------------------------


@both
async def test_who_reads_too_slowly_is_told_where_to_go_on(
    served: Served, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "MOST_CHANGES", 3)
    eco_id = await _eco(served)
    hold = asyncio.Event()
    real = buffers.Buffer.next

    async def slow(buffer: buffers.Buffer) -> Any:
        change = await real(buffer)
        await hold.wait()
        buffer.check()
        return change

    monkeypatch.setattr(buffers.Buffer, "next", slow)
    async with streaming(served, transport, variables={"after": 0}) as stream:
        before = await stream.change()
        last = [await _note(served, eco_id, str(number)) for number in range(12)][-1]
        await served.services.queries.wait_for(last)
        await asyncio.sleep(0.3)
        hold.set()
        refused = await stream.refusal()
    assert refused["code"] == "RESUME_FROM"
    assert before["position"] <= refused["position"] < last
    monkeypatch.undo()
    async with streaming(served, transport, variables={"after": refused["position"]}) as stream:
        told = [await stream.change()]
        while told[-1]["position"] < last:
            told.append(await stream.change())
    assert [one["line"] for one in told if one["line"] == "Note: 11"] == ["Note: 11"]


@both
async def test_a_client_that_stops_reading_is_given_up_and_holds_no_memory(
    served: Served, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "WRITE_SECONDS", 0.5)
    monkeypatch.setattr(sockets, "WRITE_SECONDS", 0.5)
    eco_id = await _eco(served, description="long " * 300)
    many = " ".join(f"a{number}: description" for number in range(25))
    query = f"""subscription {{ ecosChanged(afterPosition: 0) {{
        position eco {{ timeline {{ line }} {many} }} }} }}"""
    before = _open()
    async with streaming(served, transport, query) as stream:
        await stream.change()
        _stop_reading(stream.answer)
        for number in range(200):
            await _note(served, eco_id, f"{number} " + "y" * 500)
            if _open() == before:
                break
        await _until_open(before)


def _stop_reading(answer: Any) -> None:
    """Let the kernel's buffers fill."""
    if isinstance(answer, aiohttp.ClientResponse):
        assert answer.connection and answer.connection.transport
        answer.connection.transport.pause_reading()
    else:
        answer._response.connection.transport.pause_reading()


async def test_a_socket_on_which_nothing_is_asked_is_closed(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "IDLE_SECONDS", 0.2)
    async with streaming(served, "websocket") as busy:
        async with served.session.ws_connect(
            f"{served.url}/graphql", protocols=("graphql-transport-ws",), headers=served.headers()
        ) as idle:
            await idle.send_json({"type": "connection_init"})
            await idle.receive_json()
            async with asyncio.timeout(5):
                closing = await idle.receive()
        assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, sockets.IDLE_CODE)
        eco_id = await _eco(served)
        await _note(served, eco_id)
        await busy.change()


@both
async def test_streams_are_counted_and_one_too_many_is_refused(
    served: Served, transport: Transport
) -> None:
    most = {"per_user": 2, "per_tenant": 3, "per_process": 10}
    for name, value in most.items():
        object.__setattr__(served.services.following._seats._most, name, value)
    before = _open()
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(streaming(served, transport))
        await _until_open(before + 2)
        async with streaming(served, transport) as stream:
            assert (await stream.refusal())["code"] == "TOO_MANY_STREAMS"
    await _until_open(before)
    assert METRICS.streams_cut_off.labels("TOO_MANY_STREAMS")._value.get() >= 1


# Rights -------------------------------------------------------------------------------------

HOW_FOUND = pytest.mark.parametrize("is_told", [True, False], ids=["told", "asked"])


def _found_by(served: Served, monkeypatch: pytest.MonkeyPatch, *, is_told: bool) -> None:
    """Lost rights are told of at once, or found within `MEMBER_SECONDS`."""
    if not is_told:
        monkeypatch.setattr(standings, "MEMBER_SECONDS", 0.2)
        monkeypatch.setattr(served.services.changes, "take_access", lambda _: None)


@HOW_FOUND
@both
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM memberships m USING users u WHERE u.id = m.user_id AND u.email = %s",
        "DELETE FROM users WHERE email = %s",
    ],
    ids=["member", "user"],
)
async def test_who_is_no_member_any_more_is_told_nothing_more(
    served: Served,
    strike: Strike,
    transport: Transport,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    *,
    is_told: bool,
) -> None:
    _found_by(served, monkeypatch, is_told=is_told)
    eco_id = await _eco(served)
    async with streaming(served, transport, variables={"after": 0}) as stream:
        await stream.change()
        async with streaming(served, transport, ECO, {"id": eco_id}) as single:
            await single.change()
            await asyncio.to_thread(_sql, strike, statement, OPERATOR.email)
            for one in (stream, single):
                assert (await one.refusal(3))["code"] == "NOT_A_MEMBER"
                with pytest.raises(Ended):
                    await one.next()


@HOW_FOUND
@both
@pytest.mark.parametrize(
    "change", ["revoked_at = now()", "expires_at = now() + interval '300 ms'"], ids=str
)
async def test_an_api_token_that_is_no_longer_good_ends_its_streams(
    served: Served,
    strike: Strike,
    transport: Transport,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    *,
    is_told: bool,
) -> None:
    _found_by(served, monkeypatch, is_told=is_told)
    await _eco(served)
    secret = new_secret()
    boss = Actor(name="user:boss", tenant_id=NOC_ID, side=Side.NOC, role=Role.ADMIN)
    do = strike.administration()
    await asyncio.to_thread(
        do.create_token, "alarm", Role.VIEWER, frozenset({Scope.READ}), 1, secret, boss
    )
    headers = {"Authorization": f"Bearer {secret.get_secret_value()}"}
    async with streaming(served, transport, headers=headers, variables={"after": 0}) as stream:
        await stream.change()
        await asyncio.to_thread(_sql, strike, f"UPDATE api_tokens SET {change}")  # noqa: S608
        assert (await stream.refusal(4))["code"] == "API_TOKEN_INVALID"


@both
async def test_a_scope_that_was_taken_away_ends_the_stream(
    served: Served, strike: Strike, transport: Transport
) -> None:
    await _eco(served)
    secret = new_secret()
    boss = Actor(name="user:boss", tenant_id=NOC_ID, side=Side.NOC, role=Role.ADMIN)
    await asyncio.to_thread(
        strike.administration().create_token,
        "alarm",
        Role.VIEWER,
        frozenset({Scope.READ}),
        1,
        secret,
        boss,
    )
    headers = {"Authorization": f"Bearer {secret.get_secret_value()}"}
    async with streaming(served, transport, headers=headers, variables={"after": 0}) as stream:
        await stream.change()
        await asyncio.to_thread(_sql, strike, "UPDATE api_tokens SET scopes = '{CALLOUT}'")
        assert (await stream.refusal(4))["code"] == "SCOPE_MISSING"


@both
async def test_a_suspended_link_ends_nothing_because_old_callouts_stay_visible(
    served: Served, strike: Strike, transport: Transport
) -> None:
    """Specification, section 6: suspending a link stops new ECOs only."""
    eco_id = await _eco(served)
    async with streaming(served, transport) as stream:
        await asyncio.to_thread(_sql, strike, "UPDATE links SET status = 'SUSPENDED'")
        position = await _note(served, eco_id)
        while (await stream.change())["position"] < position:
            pass


async def test_on_an_open_socket_nobody_without_rights_can_ask_for_anything(
    served: Served, strike: Strike
) -> None:
    eco_id = await _eco(served)
    async with streaming(served, "websocket", variables={"after": 0}) as stream:
        socket = stream.answer
        assert isinstance(socket, aiohttp.ClientWebSocketResponse)
        await stream.change()  # So it is open, and is ended; before, it would be refused.
        await asyncio.to_thread(_sql, strike, "DELETE FROM memberships")
        assert (await stream.refusal())["code"] == "NOT_A_MEMBER"
        with pytest.raises(Ended):
            await stream.next()
        payload = {"query": NOTE, "variables": {"id": eco_id, "text": "I am still here"}}
        await socket.send_json({"id": "2", "type": "subscribe", "payload": payload})
        assert (await stream.refusal())["code"] == "NOT_A_MEMBER"
    assert "still here" not in str(strike.log.eco(UUID(eco_id)))


# On the server ------------------------------------------------------------------------------


async def test_a_page_of_the_server_follows_without_graphql(served: Served) -> None:
    user = await served.services.queries.user_of_login("", OPERATOR.email)
    assert user
    one = next(one for one in user.memberships if one.tenant_id == NOC_ID)
    actor = Actor(name="user:x", tenant_id=NOC_ID, side=one.side, role=one.role)
    reader = Reader(user, actor, NOC_ID, "console")
    eco_id = await _eco(served)
    async with aclosing(served.services.following.changes(reader, 0)) as changes:
        async for change in changes:
            assert str(change.eco_id) == eco_id
            assert change.row and change.row["noc_id"] == NOC_ID
            break
    stranger = User(uuid4(), "x@x.example", "X", (Membership(NOC_ID, "x", one.side, one.role),))
    async with aclosing(
        served.services.following.changes(Reader(stranger, actor, NOC_ID, "console"))
    ) as changes:
        with pytest.raises(Exception, match="NOT_A_MEMBER"):
            await anext(changes)
