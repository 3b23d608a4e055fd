"""Twilio's REST API as the official SDK sees it: accounts, permissions, refusals by number."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession, encode_basic_auth, web
from aiohttp.typedefs import Handler
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from strike_mock.calls import CallRequest, Detection
from strike_mock.clock import VirtualClock
from strike_mock.courier import Letter
from strike_mock.edges import Fault
from strike_mock.scenarios import Ending, Phone, Scenario
from strike_mock.server import Mock
from strike_mock.settings import Account, MockSettings
from strike_mock.testing import ScriptedStrike

PARENT = Account(sid="AC" + "1" * 32, token="token of the parent", friendly_name="Osprey")
CHILD = Account(
    sid="AC" + "2" * 32, token="token of the child", friendly_name="NOC North", parent=PARENT.sid
)
SIBLING = Account(
    sid="AC" + "3" * 32, token="token of the sibling", friendly_name="NOC South", parent=PARENT.sid
)
STRANGER = Account(sid="AC" + "4" * 32, token="token of the stranger")
ALL = (PARENT, CHILD, SIBLING, STRANGER)
FROM = "+15550100099"
TO = "+15550100001"


class Side:
    """A mock whose time stands still, and SDK clients for its accounts."""

    def __init__(self, mock: Mock, clock: VirtualClock, strike: ScriptedStrike) -> None:
        self.mock = mock
        self.clock = clock
        self.strike = strike

    def sdk(self, login: Account, account_sid: str | None = None) -> Any:
        client = Client(login.sid, login.token, account_sid)
        client.api.base_url = self.mock.url
        return client

    async def dial(self, client: Any, **changes: Any) -> Any:
        asked = {"to": TO, "from_": FROM, "url": "https://strike.example/voice"}
        return await asyncio.to_thread(client.calls.create, **asked | changes)


@asynccontextmanager
async def side(
    *accounts: Account, faults: Sequence[Fault] = (), **phone: Any
) -> AsyncIterator[Side]:
    scenario = Scenario(
        name="test",
        title="t",
        story="s",
        phones=(Phone(number="+15550100001", **phone), Phone(number="*")),
        ending=Ending(status="OPEN", paging="EXHAUSTED", render="TASKED"),
    )
    strike = ScriptedStrike(lambda letter: "<Response><Pause length='60'/></Response>")
    clock = VirtualClock()
    settings = MockSettings(accounts=accounts or ALL)
    mock = Mock(settings, clock=clock, scenario=scenario, courier=strike, faults=faults)
    async with mock:
        yield Side(mock, clock, strike)


@contextmanager
def refused(status: int, code: int) -> Iterator[None]:
    with pytest.raises(TwilioRestException) as refusal:
        yield
    assert (refusal.value.status, refusal.value.code) == (status, code)


async def test_the_parents_token_opens_the_subaccounts_calls() -> None:
    async with side() as twilio:
        call = await twilio.dial(twilio.sdk(PARENT, CHILD.sid))
        assert call.account_sid == CHILD.sid
        own = await asyncio.to_thread(twilio.sdk(CHILD).calls(call.sid).fetch)
        assert own.sid == call.sid
        assert await asyncio.to_thread(twilio.sdk(PARENT).calls.list) == []


async def test_callbacks_are_signed_with_the_token_of_the_account_that_owns_the_call() -> None:
    async with side() as twilio:
        status = "https://strike.example/status"
        await twilio.dial(twilio.sdk(PARENT, CHILD.sid), status_callback=status)
        await twilio.clock.advance(120)
        told = [letter for letter in twilio.strike.letters if letter.kind == "status"]
        assert [letter.token for letter in told] == [CHILD.token]


@pytest.mark.parametrize(
    ("login", "account_sid"),
    [
        (CHILD, PARENT.sid),
        (CHILD, SIBLING.sid),
        (STRANGER, CHILD.sid),
        (PARENT, STRANGER.sid),
        (PARENT.model_copy(update={"token": "wrong"}), PARENT.sid),
        (Account(sid="AC" + "9" * 32, token="x"), PARENT.sid),
    ],
)
async def test_no_other_token_opens_an_account(login: Account, account_sid: str) -> None:
    async with side() as twilio:
        with refused(401, 20003):
            await twilio.dial(twilio.sdk(login, account_sid))
        with refused(401, 20003):
            await asyncio.to_thread(twilio.sdk(login).api.accounts(account_sid).fetch)
        assert twilio.mock.exchange.book.all() == []


async def test_without_credentials_nothing_is_open() -> None:
    async with (
        side() as twilio,
        ClientSession() as http,
        http.get(f"{twilio.mock.url}/2010-04-01/Accounts/{PARENT.sid}/Calls.json") as answer,
    ):
        assert answer.status == 401
        assert await answer.json() == {
            "code": 20003,
            "message": "Authenticate",
            "more_info": "https://www.twilio.com/docs/errors/20003",
            "status": 401,
        }


@pytest.mark.parametrize("path", ["Accounts/{0}/Faxes.json", "Accounts/{0}.xml", "Nothing"])
async def test_what_does_not_exist_is_not_found_in_twilios_form(path: str) -> None:
    path = "/2010-04-01/" + path.format(PARENT.sid)
    async with (
        side() as twilio,
        ClientSession() as http,
        http.get(twilio.mock.url + path) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (404, 20404)


async def test_an_unknown_call_or_account_is_not_found() -> None:
    async with side() as twilio:
        with refused(404, 20404):
            await asyncio.to_thread(twilio.sdk(PARENT).calls("CA" + "0" * 32).fetch)
        with refused(404, 20404):
            await asyncio.to_thread(
                twilio.sdk(PARENT).calls("CA" + "0" * 32).update, status="canceled"
            )
        with refused(404, 20404):
            await twilio.dial(twilio.sdk(PARENT, "AC" + "0" * 32))


async def test_accounts_are_listed_by_name_and_status() -> None:
    async with side() as twilio:
        accounts = twilio.sdk(PARENT).api.accounts

        async def found(**filters: str) -> list[str]:
            return [one.sid for one in await asyncio.to_thread(accounts.list, **filters)]

        assert await found() == [PARENT.sid, CHILD.sid, SIBLING.sid]
        assert await found(friendly_name="NOC South") == [SIBLING.sid]
        await asyncio.to_thread(accounts(CHILD.sid).update, status="suspended")
        assert await found(status="suspended") == [CHILD.sid]
        assert await found(status="active", friendly_name="NOC North") == []
        pages = await asyncio.to_thread(accounts.list, page_size=1)
        assert [one.sid for one in pages] == [PARENT.sid, CHILD.sid, SIBLING.sid]


async def test_a_subaccount_sees_only_itself() -> None:
    async with side() as twilio:
        found = await asyncio.to_thread(twilio.sdk(CHILD).api.accounts.list)
        assert [one.sid for one in found] == [CHILD.sid]


async def test_a_subaccount_is_created_with_a_token_of_its_own() -> None:
    async with side() as twilio:
        accounts = twilio.sdk(PARENT).api.accounts
        made = await asyncio.to_thread(accounts.create, friendly_name="NOC West")
        assert (made.status, made.owner_account_sid) == ("active", PARENT.sid)
        assert made.auth_token not in {account.token for account in ALL}
        own = Account(sid=made.sid, token=made.auth_token)
        call = await twilio.dial(twilio.sdk(own))
        assert call.account_sid == made.sid
        fetched = await asyncio.to_thread(accounts(made.sid).fetch)
        assert (fetched.friendly_name, fetched.type) == ("NOC West", "Full")
        nameless = await asyncio.to_thread(accounts.create)
        assert nameless.friendly_name == "SubAccount Created at 2026-01-01 12:00 AM"
        with refused(401, 20003):
            await asyncio.to_thread(twilio.sdk(own).api.accounts.create)


async def test_the_parent_of_a_parent_is_itself() -> None:
    async with side() as twilio:
        fetched = await asyncio.to_thread(twilio.sdk(PARENT).api.accounts(PARENT.sid).fetch)
        assert fetched.owner_account_sid == PARENT.sid
        assert fetched.date_created == twilio.clock.now()


async def test_an_account_is_renamed() -> None:
    async with side() as twilio:
        own = twilio.sdk(CHILD).api.accounts(CHILD.sid)
        await twilio.clock.advance(60)
        renamed = await asyncio.to_thread(own.update, friendly_name="NOC Arctic")
        assert renamed.friendly_name == "NOC Arctic"
        assert (renamed.date_updated - renamed.date_created).total_seconds() == 60


async def test_a_suspended_subaccount_is_refused_until_it_is_active_again() -> None:
    async with side() as twilio:
        child = twilio.sdk(PARENT).api.accounts(CHILD.sid)
        await asyncio.to_thread(child.update, status="suspended")
        with refused(403, 20403):
            await twilio.dial(twilio.sdk(CHILD))
        with refused(400, 10001):
            await twilio.dial(twilio.sdk(PARENT, CHILD.sid))
        assert await asyncio.to_thread(twilio.sdk(PARENT, CHILD.sid).calls.list) == []
        await asyncio.to_thread(child.update, status="active")
        assert (await twilio.dial(twilio.sdk(CHILD))).status == "queued"


async def test_a_suspended_parent_takes_its_subaccounts_with_it() -> None:
    asleep = PARENT.model_copy(update={"status": "suspended"})
    async with side(asleep, CHILD) as twilio:
        for login in (PARENT, CHILD):
            with refused(403, 20403):
                await twilio.dial(twilio.sdk(login))


async def test_the_status_of_an_account_changes_only_as_it_may() -> None:
    async with side() as twilio:
        accounts = twilio.sdk(PARENT).api.accounts
        with refused(400, 21475):
            await asyncio.to_thread(accounts(CHILD.sid).update, status="asleep")
        with refused(400, 21477):
            await asyncio.to_thread(accounts(PARENT.sid).update, status="suspended")
        with refused(401, 20003):
            own = twilio.sdk(CHILD).api.accounts(CHILD.sid)
            await asyncio.to_thread(own.update, status="suspended")
        await asyncio.to_thread(accounts(CHILD.sid).update, status="closed")
        with refused(400, 21479):
            await asyncio.to_thread(accounts(CHILD.sid).update, status="active")


async def test_an_account_calls_only_from_its_own_numbers() -> None:
    owner = PARENT.model_copy(update={"numbers": (FROM,)})
    async with side(owner) as twilio:
        with refused(400, 21210):
            await twilio.dial(twilio.sdk(owner), from_="+15550100098")
        with refused(400, 21212):
            await twilio.dial(twilio.sdk(owner), from_="5550100099")
        assert (await twilio.dial(twilio.sdk(owner))).status == "queued"


async def test_an_account_calls_only_the_countries_it_may() -> None:
    local = PARENT.model_copy(update={"countries": ("+1", "+354")})
    async with side(local) as twilio:
        with refused(400, 21215):
            await twilio.dial(twilio.sdk(local), to="+4930123456")
        assert (await twilio.dial(twilio.sdk(local), to="+3545551234")).status == "queued"


@pytest.mark.parametrize(
    ("phone", "code"), [({"unreachable": True}, 21214), ({"blocked": True}, 21216)]
)
async def test_some_numbers_cannot_be_called(phone: dict[str, Any], code: int) -> None:
    async with side(PARENT, **phone) as twilio:
        with refused(400, code):
            await twilio.dial(twilio.sdk(PARENT))
        assert (await twilio.dial(twilio.sdk(PARENT), to="+15550100002")).status == "queued"
        assert len(twilio.mock.exchange.book.all()) == 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"to": "5550100001"}, 21211),
        ({"to": ""}, 21211),
        ({"from_": "nobody"}, 21212),
        ({"url": "not a url"}, 21205),
        ({"url": "ftp://strike.example"}, 21205),
        ({"status_callback": "ftp://x"}, 21609),
        ({"status_callback_event": ["initiated ringing"]}, 21626),
        ({"timeout": 601}, 20001),
        ({"timeout": 0}, 20001),
        ({"method": "PUT"}, 20001),
        ({"machine_detection": "Maybe"}, 20001),
        ({"machine_detection": "Enable", "machine_detection_timeout": 60}, 20001),
        ({"machine_detection": "Enable", "async_amd_status_callback": "x"}, 21609),
    ],
)
async def test_a_wrong_request_is_refused_by_number(wrong: dict[str, Any], code: int) -> None:
    async with side(PARENT) as twilio:
        with refused(400, code):
            await twilio.dial(twilio.sdk(PARENT), **wrong)
        assert twilio.mock.exchange.book.all() == []


async def test_what_a_call_is_asked_for_with_arrives() -> None:
    async with side(PARENT) as twilio:
        await twilio.dial(
            twilio.sdk(PARENT),
            method="GET",
            timeout=25,
            status_callback="https://strike.example/status",
            status_callback_method="GET",
            status_callback_event=["initiated", "completed"],
            machine_detection="DetectMessageEnd",
            machine_detection_timeout=20,
            async_amd="true",
            async_amd_status_callback="https://strike.example/amd",
        )
        (call,) = twilio.mock.exchange.book.all()
        assert call.request == CallRequest(
            to=TO,
            from_=FROM,
            url="https://strike.example/voice",
            method="GET",
            timeout=25,
            status_callback="https://strike.example/status",
            status_callback_method="GET",
            status_callback_events=frozenset({"initiated", "completed"}),
            detection=Detection(
                mode="DetectMessageEnd",
                in_background=True,
                callback="https://strike.example/amd",
                timeout=20,
            ),
        )


async def test_a_call_asked_for_little_has_twilios_defaults() -> None:
    async with side(PARENT) as twilio:
        await twilio.dial(twilio.sdk(PARENT), url=None, twiml="<Response/>")
        (call,) = twilio.mock.exchange.book.all()
        assert call.request == CallRequest(to=TO, from_=FROM, twiml="<Response/>", timeout=60)


@pytest.mark.parametrize("wrong", [{"status": "busy"}, {}, {"time_limit": 5}])
async def test_an_update_must_say_what_for(wrong: dict[str, Any]) -> None:
    async with side(PARENT) as twilio:
        call = await twilio.dial(twilio.sdk(PARENT))
        with refused(400, 20001):
            await asyncio.to_thread(twilio.sdk(PARENT).calls(call.sid).update, **wrong)


def test_a_subaccounts_parent_must_exist_and_have_none() -> None:
    with pytest.raises(ValueError, match="no account of its own right"):
        MockSettings(accounts=(CHILD,))
    grandchild = Account(sid="AC" + "5" * 32, token="x", parent=CHILD.sid)
    with pytest.raises(ValueError, match="no account of its own right"):
        MockSettings(accounts=(PARENT, CHILD, grandchild))


async def test_more_requests_at_once_than_allowed_are_refused_and_have_no_effect() -> None:
    """A request whose body has not arrived yet is under way."""
    narrow = PARENT.model_copy(update={"concurrency": 1})
    arrived, body = asyncio.Event(), asyncio.Event()

    async def note(edge: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        arrived.set()
        return await handler(request)

    async with side(narrow, STRANGER, faults=[note]) as twilio, ClientSession() as http:
        path = f"{twilio.mock.url}/2010-04-01/Accounts/{narrow.sid}/Calls.json"

        async def slowly() -> AsyncIterator[bytes]:
            yield b"To=%2B15550100001&From=%2B15550100099"
            await body.wait()
            yield b"&Url=https://strike.example/voice"

        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": encode_basic_auth(narrow.sid, narrow.token),
        }
        first = asyncio.ensure_future(http.post(path, data=slowly(), headers=headers))
        await arrived.wait()
        with refused(429, 20429):
            await twilio.dial(twilio.sdk(narrow))
        assert (await twilio.dial(twilio.sdk(STRANGER))).status == "queued"
        body.set()
        async with await first as answer:
            assert answer.status == 201
        assert (await twilio.dial(twilio.sdk(narrow))).status == "queued"
        assert len(twilio.mock.exchange.book.of(narrow.sid)) == 2


async def test_a_waiting_call_tells_its_place_in_the_queue() -> None:
    async with side(PARENT) as twilio:
        calls = [await twilio.dial(twilio.sdk(PARENT)) for _ in range(3)]
        assert [call.queue_time for call in calls] == ["0", "1000", "2000"]
        await twilio.clock.advance(0.5)
        await asyncio.to_thread(twilio.sdk(PARENT).calls(calls[1].sid).update, status="canceled")
        await twilio.clock.advance(1)
        waiting = await asyncio.to_thread(twilio.sdk(PARENT).calls.list, status="queued")
        assert waiting == []


async def test_calls_are_listed_by_status_number_and_end() -> None:
    async with side(PARENT, fails_with=404) as twilio:
        calls = twilio.sdk(PARENT).calls
        dead = await twilio.dial(twilio.sdk(PARENT))
        ringing = await twilio.dial(twilio.sdk(PARENT), to="+15550100002")
        await twilio.clock.advance(5)

        async def found(**filters: Any) -> list[str]:
            return [call.sid for call in await asyncio.to_thread(calls.list, **filters)]

        now = twilio.clock.now()
        assert await found() == [ringing.sid, dead.sid]
        assert await found(status="failed") == [dead.sid]
        assert await found(status="ringing", to="+15550100002") == [ringing.sid]
        assert await found(from_="+15550100098") == []
        assert await found(end_time=now) == [dead.sid]
        assert await found(end_time_after=now) == []
        assert await found(start_time=now, page_size=1) == [ringing.sid, dead.sid]
        start = (await asyncio.to_thread(calls(dead.sid).fetch)).start_time
        assert await found(start_time_before=start) == [dead.sid]
        assert await found(start_time_after=start + timedelta(seconds=1)) == [ringing.sid]
        assert await found(start_time=now + timedelta(days=1)) == []


def test_the_sdks_validator_accepts_what_twilio_published_and_what_we_sign() -> None:
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    params = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    published = "GvWf1cFY/Q7PnoempGyD5oXAezc="
    ours = Letter("status", "CA1234567890ABCDE", "POST", url, tuple(params.items()), "12345")
    assert RequestValidator("12345").validate(url, params, published)
    assert ours.signature() == published
