"""Twilio's webhooks over HTTP, on real PostgreSQL, with a telephone that only remembers."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4
from xml.etree import ElementTree

import psycopg
import pytest
from pydantic import SecretStr

from strike_adapters.memory import FakeTelephone
from strike_adapters.twilio.accounts import TwilioAccount
from strike_app import webhooks
from strike_app.bootstrap import Strike
from strike_app.demo.seed import NOC_ID, NOCS, _id
from strike_app.webhooks import COUNTS
from strike_domain.actors import Actor, Role, Side
from strike_domain.callouts import EcoOrder
from strike_domain.errors import OutcomeUnknown
from strike_domain.pager_run import Call, CallOutcome, CallState, PagerRun
from strike_domain.ringer import Ringer
from tests.integration.served import OSP_ID, PLACE, Answer, Served

OLIVIA = Actor(name="user:olivia", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)


@dataclass
class Ringing:
    """The phone of the first contact rings."""

    served: Served
    strike: Strike
    run_id: UUID
    call_id: UUID
    sid: str

    def path(self, what: str, query: str = "") -> str:
        return f"/twilio/{what}/{self.run_id}/{self.call_id}{query}"

    async def says(self, what: str, query: str = "", **params: str) -> Answer:
        """A webhook of this call, properly signed."""
        return await self.served.webhook(self.path(what, query), {"CallSid": self.sid, **params})

    async def goes_on(self, answer: Answer, **params: str) -> Answer:
        """Follow the redirect of `answer`, as Twilio does."""
        url = _redirect(answer)
        assert url.startswith(self.served.public), "It must lead through the proxy again."
        again = url.removeprefix(self.served.public)
        return await self.served.webhook(again, {"CallSid": self.sid, **params})

    def run(self) -> PagerRun:
        return self.strike.log.run(self.run_id)

    def call(self) -> Call:
        return self.run().call(self.call_id)

    def position(self) -> int:
        return self.strike.log.position()


@pytest.fixture
def ringing(served: Served, strike: Strike) -> Ringing:
    order = EcoOrder(osp_id=OSP_ID, location=PLACE, job_type="FNOL", description="Cut cable")
    eco = strike.callouts().create_eco(order, OLIVIA).aggregate
    dispatched = strike.paging().dispatch(eco.id, OLIVIA).aggregate
    assert dispatched.latest_run_id
    telephone = FakeTelephone(strike.clock)
    run = Ringer(strike.log, telephone, strike.clock).work_on(dispatched.latest_run_id)
    call = next(iter(run.calls.values()))
    assert call.sid
    return Ringing(served, strike, run.id, call.id, call.sid)


class Gate:
    """A database that lets nothing through until it is opened; counts who wanted in."""

    def __init__(self, ringing: Ringing, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self._open, self._done = threading.Event(), threading.Event()
        self.came = 0
        paging = ringing.served.services.paging
        real = getattr(paging, name)

        def slow(*args: Any) -> Any:
            self.came += 1
            assert self._open.wait(20)
            result = real(*args)
            self._done.set()
            return result

        monkeypatch.setattr(paging, name, slow)
        monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 0.2)

    def open(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 5.0)
        self._open.set()

    async def is_done(self) -> bool:
        return await asyncio.to_thread(self._done.wait, 20)


def _redirect(answer: Answer) -> str:
    assert answer.status == 200, answer
    text = ElementTree.fromstring(answer.body).findtext("Redirect")  # noqa: S314
    assert text, answer.body
    return text


def _heard(answer: Answer) -> str:
    assert answer.status == 200, answer
    return " ".join(ElementTree.fromstring(answer.body).itertext())  # noqa: S314


async def test_who_answers_hears_the_job_and_accepts_with_a_key(ringing: Ringing) -> None:
    prompt = await ringing.says("voice", CallStatus="in-progress")
    assert "To accept, press 1" in _heard(prompt)
    gather = ElementTree.fromstring(prompt.body).find("Gather")  # noqa: S314
    assert gather is not None
    assert gather.get("action") == f"{ringing.served.public}{ringing.path('key')}"
    assert ringing.call().outcome is None, "An answer alone accepts nothing."
    assert "is yours" in _heard(await ringing.says("key", Digits="1", CallStatus="in-progress"))
    assert ringing.call().outcome is CallOutcome.ACCEPTED
    accepted_by = ringing.run().accepted_by
    assert accepted_by and accepted_by.name == "Ana Reyes"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("queued", CallState.PLACED),
        ("initiated", CallState.PLACED),
        ("ringing", CallState.RINGING),
        ("in-progress", CallState.ANSWERED),
        ("completed", CallState.ENDED),
        ("busy", CallState.ENDED),
        ("no-answer", CallState.ENDED),
        ("canceled", CallState.ENDED),
        ("failed", CallState.ENDED),
        ("a-word-of-next-year", CallState.PLACED),
    ],
)
async def test_every_word_of_twilio_for_a_call_is_understood(
    ringing: Ringing, status: str, state: CallState
) -> None:
    assert (await ringing.says("status", CallStatus=status)).status == 204
    assert ringing.call().state is state


async def test_a_machine_that_answers_is_on_record_and_accepts_nothing(ringing: Ringing) -> None:
    answer = await ringing.says("status", CallStatus="completed", AnsweredBy="machine_start")
    assert answer.status == 204
    assert ringing.call().outcome is CallOutcome.VOICEMAIL
    assert ringing.run().accepted_by is None


async def test_a_webhook_that_comes_twice_or_late_changes_nothing(ringing: Ringing) -> None:
    await ringing.says("key", Digits="1", CallStatus="in-progress")
    await ringing.says("status", CallStatus="completed")
    before = ringing.position()
    assert "is yours" in _heard(await ringing.says("key", Digits="1", CallStatus="in-progress"))
    for status in ("ringing", "completed", "in-progress", "no-answer"):
        assert (await ringing.says("status", CallStatus=status)).status == 204
    assert ringing.position() == before
    assert ringing.call().outcome is CallOutcome.ACCEPTED


@pytest.mark.parametrize("what", ["voice", "key", "status"])
async def test_a_bad_signature_is_refused_and_nothing_is_stored(
    ringing: Ringing, what: str
) -> None:
    before, refused = ringing.position(), COUNTS["bad signature"]
    params = {"CallSid": ringing.sid, "Digits": "1", "CallStatus": "in-progress"}
    served = ringing.served
    answers = [
        await served.webhook(ringing.path(what), params, token="of somebody else"),
        await served.webhook(ringing.path(what), params | {"AccountSid": f"AC{8:032d}"}),
        await served.webhook(ringing.path(what), params | {"AccountSid": ""}),
    ]
    async with served.session.post(f"{served.url}{ringing.path(what)}", data=params) as unsigned:
        answers.append(Answer(unsigned.status, await unsigned.text()))
    assert [(one.status, one.body) for one in answers] == [(403, "")] * 4
    assert ringing.position() == before
    assert COUNTS["bad signature"] == refused + 4


async def test_a_signature_covers_the_query_and_the_call_that_it_was_made_for(
    ringing: Ringing,
) -> None:
    served, before = ringing.served, ringing.position()
    signed_for = ringing.path("key", "?key=2&retry=1")
    sent_to = ringing.path("key", "?key=1&retry=1")
    answer = await served.webhook(signed_for, {"CallSid": ringing.sid}, sent_to=sent_to)
    assert answer.status == 403
    assert ringing.position() == before


@pytest.mark.parametrize("what", ["voice", "key", "status"])
async def test_a_sibling_account_s_token_signs_nothing_in_this_account_s_name(
    ringing: Ringing, what: str
) -> None:
    sibling = TwilioAccount(
        account_sid=f"AC{8:032d}", auth_token=SecretStr("sibling"), from_number="+12025550198"
    )
    ringing.strike.accounts.save_twilio(_id(NOCS[1]), sibling)
    before, refused = ringing.position(), COUNTS["bad signature"]
    params = {"CallSid": ringing.sid, "Digits": "1", "CallStatus": "in-progress"}
    answer = await ringing.served.webhook(ringing.path(what), params, token="sibling")
    assert (answer.status, answer.body) == (403, "")
    assert COUNTS["bad signature"] == refused + 1
    assert ringing.position() == before


@pytest.mark.parametrize("what", ["voice", "key", "status"])
async def test_another_noc_s_account_says_nothing_about_this_noc_s_calls(
    ringing: Ringing, what: str
) -> None:
    other = TwilioAccount(
        account_sid=f"AC{8:032d}", auth_token=SecretStr("other"), from_number="+12025550198"
    )
    ringing.strike.accounts.save_twilio(_id(NOCS[1]), other)
    before, unknown = ringing.position(), COUNTS["unknown call"]
    params = {"CallSid": ringing.sid, "Digits": "1", "AccountSid": other.account_sid}
    answer = await ringing.served.webhook(ringing.path(what), params, token="other")
    assert answer.status == 404
    assert COUNTS["unknown call"] == unknown + 1
    assert ringing.position() == before


@pytest.mark.parametrize("what", ["voice", "key", "status"])
async def test_a_webhook_for_an_unknown_call_is_not_found_and_counted(
    ringing: Ringing, what: str
) -> None:
    before, unknown = ringing.position(), COUNTS["unknown call"]
    params = {"CallSid": ringing.sid, "Digits": "1", "CallStatus": "in-progress"}
    for ids in (
        f"{ringing.run_id}/{uuid4()}",
        f"{uuid4()}/{ringing.call_id}",
        f"{ringing.call_id}/{ringing.run_id}",
        "nonsense/nonsense",
    ):
        assert (await ringing.served.webhook(f"/twilio/{what}/{ids}", params)).status == 404
    assert COUNTS["unknown call"] == unknown + 4
    assert ringing.position() == before


async def test_too_large_a_webhook_is_refused(ringing: Ringing) -> None:
    answer = await ringing.says("status", CallStatus="ringing", Filler="x" * webhooks.MAX_BODY)
    assert answer.status == 413


@pytest.mark.parametrize(
    ("key", "heard"), [("1", "is yours"), ("2", "You declined"), ("9", "To accept, press 1")]
)
async def test_a_key_that_the_database_delays_is_kept_and_applied_once(
    ringing: Ringing, monkeypatch: pytest.MonkeyPatch, key: str, heard: str
) -> None:
    gate = Gate(ringing, monkeypatch, "key_pressed")
    answer = await ringing.says("key", Digits=key, CallStatus="in-progress")
    assert "One moment" in _heard(answer)
    query = parse_qs(urlsplit(_redirect(answer)).query)
    assert (query["key"], query["retry"]) == ([key], ["1"])
    again = await ringing.goes_on(answer, CallStatus="in-progress")
    assert parse_qs(urlsplit(_redirect(again)).query)["retry"] == ["2"]
    gate.open(monkeypatch)
    assert heard in _heard(await ringing.goes_on(again, CallStatus="in-progress"))
    assert gate.came == 1


async def test_silence_that_the_database_delays_does_not_count_twice(
    ringing: Ringing, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ringing.says("voice", CallStatus="in-progress")
    gate = Gate(ringing, monkeypatch, "key_pressed")
    answer = await ringing.says("key", CallStatus="in-progress")
    gate.open(monkeypatch)
    assert "To accept, press 1" in _heard(await ringing.goes_on(answer))
    assert ringing.call().outcome is None, "The prompt is said once more before it is given up."


async def test_what_a_key_did_is_said_even_if_the_redirect_comes_after_it_was_done(
    ringing: Ringing, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(ringing, monkeypatch, "key_pressed")
    answer = await ringing.says("key", Digits="2", CallStatus="in-progress")
    gate.open(monkeypatch)
    assert await gate.is_done()
    assert ringing.call().outcome is CallOutcome.DECLINED
    before = ringing.position()
    assert "You declined" in _heard(await ringing.goes_on(answer))
    assert (gate.came, ringing.position()) == (1, before)


async def test_another_process_that_gets_the_redirect_says_what_was_done(
    ringing: Ringing, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(ringing, monkeypatch, "key_pressed")
    answer = await ringing.says("key", Digits="1", CallStatus="in-progress")
    gate.open(monkeypatch)
    assert await gate.is_done()
    assert ringing.call().outcome is CallOutcome.ACCEPTED
    before = ringing.position()
    forgetful = answer.body.replace("turn=", "turn=forgotten-")
    assert "is yours" in _heard(await ringing.goes_on(replace(answer, body=forgetful)))
    assert ringing.position() == before


async def test_a_prompt_that_the_database_delays_is_asked_for_again(
    ringing: Ringing, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(ringing, monkeypatch, "answered")
    answer = await ringing.says("voice", CallStatus="in-progress")
    assert "/twilio/voice/" in _redirect(answer)
    gate.open(monkeypatch)
    assert "To accept, press 1" in _heard(await ringing.goes_on(answer))


async def test_a_key_pressed_while_the_database_is_away_is_applied_when_it_is_back(
    ringing: Ringing, monkeypatch: pytest.MonkeyPatch
) -> None:
    paging = ringing.served.services.paging
    real = paging.key_pressed

    def away(*_: Any) -> None:
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(paging, "key_pressed", away)
    answer = await ringing.says("key", Digits="1", CallStatus="in-progress")
    assert "One moment" in _heard(answer)
    monkeypatch.setattr(paging, "key_pressed", real)
    assert "is yours" in _heard(await ringing.goes_on(answer, CallStatus="in-progress"))
    assert ringing.call().outcome is CallOutcome.ACCEPTED


async def test_an_account_that_cannot_be_looked_up_in_time_delays_no_answer(
    ringing: Ringing, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts: Any = ringing.served.services.twilio_accounts
    real, stuck = accounts.by_sid, threading.Event()

    def slow(account_sid: str) -> Any:
        assert stuck.wait(20)
        return real(account_sid)

    monkeypatch.setattr(accounts, "by_sid", slow)
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 0.2)
    before = ringing.position()
    answer = await ringing.says("key", Digits="1", CallStatus="in-progress")
    assert "One moment" in _heard(answer)
    assert ringing.position() == before, "Nothing is done before the signature has been checked."
    monkeypatch.setattr(webhooks, "ANSWER_SECONDS", 5.0)
    stuck.set()
    assert "is yours" in _heard(await ringing.goes_on(answer, CallStatus="in-progress"))


async def test_one_moment_is_not_said_for_ever(
    ringing: Ringing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any) -> None:
        raise OutcomeUnknown("Who knows.")

    monkeypatch.setattr(ringing.served.services.paging, "key_pressed", unknown)
    answer = await ringing.says("key", Digits="1")
    for _ in range(webhooks.MAX_REDIRECTS - 1):
        answer = await ringing.goes_on(answer)
    assert (await ringing.goes_on(answer)).status == 503
    assert "One moment" in _heard(await ringing.says("key", "?key=1&retry=nonsense"))
