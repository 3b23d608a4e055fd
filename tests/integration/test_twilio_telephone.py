"""Strike's telephone, through Twilio's own SDK and real HTTP: it never lies about what rang."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain, repeat
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from strike_adapters.secrets import SecretError
from strike_adapters.twilio.accounts import TwilioAccount, WebhookUrls
from strike_adapters.twilio.http import OneTryHttp
from strike_adapters.twilio.states import CALL_STATES
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_domain.errors import OutcomeUnknown, Unavailable
from strike_domain.ports import CallOrder, ProviderCallState, Telephone
from strike_mock.calls import CallStatus
from strike_mock.clock import VirtualClock
from strike_mock.server import Mock
from strike_mock.settings import Account, MockSettings
from strike_mock.testing import ScriptedStrike

NOC, OTHER_NOC, POOR_NOC, LOCKED_OUT_NOC = (UUID(int=n) for n in range(1, 5))
FIRST = Account(sid="AC" + "1" * 32, token="token of the first")
OTHER = Account(sid="AC" + "2" * 32, token="token of the other")
ANSWERS, SILENT = "+15550100001", "+15550100003"
NUMBER = "+15550100099"
LONG = {"To": "1" * 200_000}


def account(known: Account, token: str | None = None) -> TwilioAccount:
    secret = SecretStr(token or known.token)
    return TwilioAccount(account_sid=known.sid, auth_token=secret, from_number=NUMBER)


class Accounts:
    def __init__(self) -> None:
        self.by_noc = {
            NOC: account(FIRST),
            OTHER_NOC: account(OTHER),
            LOCKED_OUT_NOC: account(Account(sid="AC" + "3" * 32, token="x")),
        }

    def for_noc(self, noc_id: UUID) -> TwilioAccount | None:
        return self.by_noc.get(noc_id)

    def serves(self, account_sid: str, noc_id: UUID) -> bool:
        return False

    def by_sid(self, account_sid: str) -> TwilioAccount | None:
        return None


class Faults:
    """What goes wrong at the mock's edge; nothing, until a test says so."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.body: str | None = None
        self.loses_connection = False
        self.hangs = False
        self.edges: list[str] = []

    async def __call__(
        self, edge: str, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        self.edges.append(edge)
        if self.status == 429:
            return self._refusal(429)
        answer = await handler(request)
        if self.loses_connection and request.transport is not None:
            request.transport.close()
        if self.hangs:
            await asyncio.Event().wait()
        if self.body is not None:
            return web.Response(text=self.body, status=201)
        return answer if self.status is None else self._refusal(self.status)

    def _refusal(self, status: int) -> web.Response:
        return web.json_response({"code": 20000 + status, "message": "No."}, status=status)


class Exchange:
    """A mock whose time stands still, and a telephone connected to it."""

    def __init__(self, mock: Mock, clock: VirtualClock, faults: Faults) -> None:
        self.mock = mock
        self.clock = clock
        self.faults = faults
        self.accounts = Accounts()
        self.telephone = self._connected()

    def break_down(self, fault: dict[str, Any]) -> None:
        vars(self.faults).update(fault)
        if self.faults.hangs:
            self.telephone.close()
            self.telephone = self._connected(read_seconds=0.2)

    def measure_by(self, times: Iterator[float]) -> None:
        """Let the telephone's own clock show these times, one after the other."""
        self.telephone.close()
        self.telephone = self._connected(monotonic=times.__next__)

    def _connected(
        self, read_seconds: float = 5.0, monotonic: Callable[[], float] = time.monotonic
    ) -> TwilioTelephone:
        urls = WebhookUrls("https://strike.example")
        return TwilioTelephone(
            self.accounts,
            urls,
            base_url=self.mock.url,
            read_seconds=read_seconds,
            monotonic=monotonic,
        )

    async def place(self, to: str = SILENT, noc: UUID = NOC) -> str:
        order = CallOrder(noc, uuid4(), uuid4(), to, answer_seconds=30)
        return await asyncio.to_thread(self.telephone.place, order)

    async def end(self, sid: str, noc: UUID = NOC) -> None:
        await asyncio.to_thread(self.telephone.end, noc, sid)

    async def state(self, sid: str, noc: UUID = NOC) -> ProviderCallState:
        return (await asyncio.to_thread(self.telephone.fetch, noc, sid)).state

    async def found(self, to: str = SILENT, **ago: float) -> list[str]:
        since = self.clock.now() - timedelta(**ago)
        return [one.sid for one in await asyncio.to_thread(self.telephone.find, NOC, to, since)]

    def rung(self) -> list[str]:
        return [call.request.to for call in self.mock.exchange.book.all()]


@pytest_asyncio.fixture
async def exchange() -> AsyncIterator[Exchange]:
    clock, faults = VirtualClock(), Faults()
    settings = MockSettings(accounts=(FIRST, OTHER))
    gather = '<Response><Gather timeout="60"><Say>Press 5.</Say></Gather></Response>'
    courier = ScriptedStrike(lambda letter: gather)
    mock = Mock(settings, clock=clock, courier=courier, faults=[faults])
    async with mock:
        built = Exchange(mock, clock, faults)
        yield built
        built.telephone.close()


@contextmanager
def unavailable(code: str, *, can_retry: bool) -> Iterator[None]:
    with pytest.raises(Unavailable) as refused:
        yield
    assert not isinstance(refused.value, OutcomeUnknown)
    assert (refused.value.code, refused.value.can_retry) == (code, can_retry)


def test_it_is_a_telephone_whose_times_stay_below_eight_seconds() -> None:
    urls = WebhookUrls("https://strike.example")
    telephone: Telephone = TwilioTelephone(Accounts(), urls)
    assert isinstance(telephone, TwilioTelephone)
    with pytest.raises(ValueError, match="less than 8 s"):
        TwilioTelephone(Accounts(), urls, connect_seconds=3, read_seconds=5)


def test_every_status_of_twilio_has_a_meaning() -> None:
    assert set(CALL_STATES) == {status.value for status in CallStatus}
    for status in CallStatus:
        assert CALL_STATES[status.value].is_final is status.is_final


async def test_a_call_is_placed_with_the_account_and_the_urls_of_its_own(
    exchange: Exchange,
) -> None:
    order = CallOrder(OTHER_NOC, uuid4(), uuid4(), ANSWERS, answer_seconds=25)
    sid = await asyncio.to_thread(exchange.telephone.place, order)
    call = exchange.mock.exchange.book.find(OTHER.sid, sid)
    assert call is not None
    request, tail = call.request, f"{order.run_id}/{order.call_id}"
    assert (request.to, request.from_, request.timeout) == (ANSWERS, NUMBER, 25)
    assert (request.method, request.status_callback_method) == ("POST", "POST")
    assert request.url == f"https://strike.example/twilio/voice/{tail}"
    assert request.status_callback == f"https://strike.example/twilio/status/{tail}"
    assert request.status_callback_events == {"initiated", "ringing", "answered", "completed"}


async def test_a_noc_without_an_account_cannot_call(exchange: Exchange) -> None:
    with unavailable("NO_TWILIO_ACCOUNT", can_retry=False):
        await exchange.place(noc=POOR_NOC)


def test_a_token_that_does_not_open_is_no_refusal() -> None:
    class Sealed(Accounts):
        def for_noc(self, noc_id: UUID) -> TwilioAccount | None:
            raise SecretError("KEY_UNAVAILABLE", "KMS does not answer.")

    telephone = TwilioTelephone(Sealed(), WebhookUrls("https://strike.example"))
    order = CallOrder(NOC, uuid4(), uuid4(), ANSWERS, answer_seconds=25)
    with pytest.raises(SecretError, match="KEY_UNAVAILABLE"):
        telephone.place(order)
    telephone.close()


async def test_a_changed_token_takes_effect_at_once(exchange: Exchange) -> None:
    sid = await exchange.place()
    exchange.accounts.by_noc[NOC] = account(FIRST, "an old token")
    with unavailable("TWILIO_20003", can_retry=False):
        await exchange.state(sid)
    exchange.accounts.by_noc[NOC] = account(FIRST)
    assert await exchange.state(sid) is ProviderCallState.QUEUED


async def test_the_environment_cannot_lend_its_credentials(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", FIRST.token)
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    exchange.accounts.by_noc[LOCKED_OUT_NOC] = TwilioAccount(
        account_sid=FIRST.sid, auth_token=SecretStr(""), from_number=NUMBER
    )
    with unavailable("TWILIO_20003", can_retry=False):
        await exchange.place(noc=LOCKED_OUT_NOC)
    assert await exchange.place()


async def test_a_refused_call_is_not_tried_again_and_hides_the_number(exchange: Exchange) -> None:
    with pytest.raises(Unavailable) as refused:
        await exchange.place("5550100001")
    assert (refused.value.code, refused.value.can_retry) == ("TWILIO_21211", False)
    assert "…0001" in refused.value.message and "5550100001" not in refused.value.message
    with unavailable("TWILIO_20003", can_retry=False):
        await exchange.place(noc=LOCKED_OUT_NOC)


async def test_too_many_requests_can_be_tried_again_but_not_by_itself(exchange: Exchange) -> None:
    exchange.faults.status = 429
    with unavailable("TWILIO_20429", can_retry=True):
        await exchange.place()
    assert exchange.faults.edges == ["twilio.calls.create"]
    assert exchange.rung() == []


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"hangs": True},
        {"loses_connection": True},
        {"body": "<html>"},
        {"body": "[]"},
        {"body": "{}"},
        {"body": ""},
    ],
)
async def test_a_lost_answer_leaves_the_outcome_unknown_and_nothing_is_sent_twice(
    exchange: Exchange, fault: dict[str, Any]
) -> None:
    exchange.break_down(fault)
    with pytest.raises(OutcomeUnknown):
        await exchange.place()
    assert exchange.faults.edges == ["twilio.calls.create"]
    assert exchange.rung() == [SILENT]


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"hangs": True}, {"loses_connection": True}, {"body": "<html>"}]
)
async def test_asking_in_vain_can_be_tried_again(exchange: Exchange, fault: dict[str, Any]) -> None:
    sid = await exchange.place()
    exchange.break_down(fault)
    for ask in (exchange.state(sid), exchange.found(), exchange.end(sid)):
        with pytest.raises(Unavailable) as failure:
            await ask
        assert failure.value.can_retry and not isinstance(failure.value, OutcomeUnknown)


async def test_nobody_listening_means_that_no_call_was_started(exchange: Exchange) -> None:
    exchange.telephone.close()
    urls = WebhookUrls("https://strike.example")
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    exchange.telephone = TwilioTelephone(
        exchange.accounts, urls, base_url=f"http://127.0.0.1:{port}"
    )
    with unavailable("UNAVAILABLE", can_retry=True):
        await exchange.place()


async def test_a_connection_that_took_too_long_sends_nothing(exchange: Exchange) -> None:
    exchange.measure_by(chain([0.0], repeat(2.1)))
    with unavailable("UNAVAILABLE", can_retry=True):
        await exchange.place()
    assert exchange.rung() == [] and exchange.faults.edges == []


async def test_an_answer_that_drips_is_given_up(exchange: Exchange) -> None:
    exchange.measure_by(chain([0.0, 1.0], repeat(7.1)))
    with pytest.raises(OutcomeUnknown):
        await exchange.place()
    assert exchange.rung() == [SILENT]


def test_a_request_that_was_given_up_does_not_get_through_later() -> None:
    """The network takes nothing for a while; when it does again, nothing may come of it."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen()
        http = OneTryHttp(connect_seconds=0.3, read_seconds=0.3)
        with pytest.raises((httpx.ReadTimeout, httpx.WriteTimeout)):
            http.request("POST", f"http://127.0.0.1:{server.getsockname()[1]}/", data=LONG)
        connection, _ = server.accept()
        arrived: list[bytes] = []
        with connection, pytest.raises(ConnectionResetError):
            arrived.extend(iter(lambda: connection.recv(65_536), b""))
        assert sum(map(len, arrived)) < len(LONG["To"])


async def test_a_call_still_in_the_queue_is_found(exchange: Exchange) -> None:
    sid = await exchange.place()
    assert await exchange.found() == [sid]
    assert await exchange.found(ANSWERS) == []


async def test_only_calls_since_then_are_found_newest_last(exchange: Exchange) -> None:
    sids = []
    for _ in range(3):
        sids.append(await exchange.place())
        await exchange.clock.advance(10)
    sids.append(await exchange.place())
    assert await exchange.found(seconds=20) == sids[1:]
    assert await exchange.found(hours=1) == sids
    assert await exchange.found(seconds=-1) == []


async def test_a_call_of_the_same_second_is_found(exchange: Exchange) -> None:
    await exchange.clock.advance(0.2)
    sid = await exchange.place()
    await exchange.clock.advance(0.7)
    assert await exchange.found() == [sid]


async def test_an_unknown_call_is_refused_and_not_asked_for_again(exchange: Exchange) -> None:
    sid = await exchange.place(noc=OTHER_NOC)
    for ask in (exchange.state(sid), exchange.end(sid), exchange.state("CA" + "9" * 32)):
        with unavailable("TWILIO_20404", can_retry=False):
            await ask


async def test_the_state_of_a_call_is_followed(exchange: Exchange) -> None:
    sid = await exchange.place(ANSWERS)
    seen = [await exchange.state(sid)]
    for seconds in (0.3, 1.0, 3.0, 600.0):
        await exchange.clock.advance(seconds)
        seen.append(await exchange.state(sid))
    assert [state.value for state in seen] == [
        "QUEUED",
        "QUEUED",
        "RINGING",
        "IN_PROGRESS",
        "COMPLETED",
    ]


@pytest.mark.parametrize(
    ("after", "last"),
    [
        (0.0, ProviderCallState.CANCELED),
        (0.3, ProviderCallState.CANCELED),
        (1.5, ProviderCallState.CANCELED),
        (4.5, ProviderCallState.COMPLETED),
        (600.0, ProviderCallState.COMPLETED),
    ],
)
async def test_a_call_is_ended_whatever_its_state(
    exchange: Exchange, after: float, last: ProviderCallState
) -> None:
    sid = await exchange.place(ANSWERS)
    await exchange.clock.advance(after)
    await exchange.end(sid)
    assert await exchange.state(sid) is last
    await exchange.end(sid)


async def test_a_call_that_goes_on_although_ended_is_reported(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = await exchange.place()
    monkeypatch.setattr(exchange.mock.exchange, "hang_up", lambda call: None)
    monkeypatch.setattr(exchange.mock.exchange, "cancel", lambda call: None)
    with unavailable("TWILIO_CALL_GOES_ON", can_retry=True):
        await exchange.end(sid)


async def test_what_completed_does_not_end_is_canceled(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    sid = await exchange.place()
    monkeypatch.setattr(exchange.mock.exchange, "hang_up", lambda call: None)
    await exchange.end(sid)
    assert await exchange.state(sid) is ProviderCallState.CANCELED


async def test_many_threads_each_get_their_own_answer(exchange: Exchange) -> None:
    nocs = [NOC, OTHER_NOC] * 20
    numbers = [f"+155501001{n:02}" for n in range(len(nocs))]
    loop = asyncio.get_running_loop()

    def call_and_look(noc: UUID, to: str) -> str:
        sid = exchange.telephone.place(CallOrder(noc, uuid4(), uuid4(), to, 30))
        return exchange.telephone.fetch(noc, sid).to

    with ThreadPoolExecutor(16) as pool:
        jobs = zip(nocs, numbers, strict=True)
        asked = [loop.run_in_executor(pool, call_and_look, noc, to) for noc, to in jobs]
        assert await asyncio.gather(*asked) == numbers
    assert sorted(exchange.rung()) == numbers
