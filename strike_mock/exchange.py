"""The telephone exchange: lives every call through, from the queue to its end."""

from __future__ import annotations

import asyncio

from strike_mock.callbacks import StatusCallbacks, call_params
from strike_mock.calls import Call, CallBook, CallRequest, CallStatus
from strike_mock.clock import Clock, first_of
from strike_mock.conversation import Conversation
from strike_mock.courier import Courier, Letter, Params
from strike_mock.errors import TwimlFault, Undeliverable
from strike_mock.ids import Ids
from strike_mock.phones import Finger, Keypad, ring_outcome
from strike_mock.scenarios import Phone, Scenario
from strike_mock.settings import Account
from strike_mock.stage import Stage

_HTTP_RETRIEVAL_FAILURE = 11200


class Exchange:
    """Places calls and lives them, each in a task of its own, by the clock and the scenario."""

    def __init__(self, clock: Clock, courier: Courier, stage: Stage, ids: Ids) -> None:
        self.book = CallBook()
        self._clock = clock
        self._courier = courier
        self._stage = stage
        self._ids = ids
        self._callbacks = StatusCallbacks(clock, courier)
        self._lives: dict[str, asyncio.Task[None]] = {}

    def place(self, account: Account, request: CallRequest) -> Call:
        """Queue a call and return it; it goes on by itself."""
        now = self._clock.now()
        call = Call(self._ids.new("CA"), account, request, created=now, updated=now)
        self.book.add(call)
        scenario = self._stage.scenario
        phone = scenario.phone(request.to)
        life = asyncio.ensure_future(self._live(call, phone, scenario))
        self._lives[call.sid] = life
        life.add_done_callback(lambda _: self._lives.pop(call.sid, None))
        return call

    def cancel(self, call: Call) -> None:
        """End a call that was not answered yet; an answered one goes on, as with Twilio."""
        if call.status is not CallStatus.IN_PROGRESS:
            self._finish(call, CallStatus.CANCELED, sip_code=487)

    def hang_up(self, call: Call) -> None:
        """End a call whatever its state; unanswered it is `canceled`, as no audio flowed."""
        if call.status is CallStatus.IN_PROGRESS:
            self._finish(call, CallStatus.COMPLETED)
        else:
            self.cancel(call)

    async def close(self) -> None:
        """Drop every line, telling nobody."""
        lives = list(self._lives.values())
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
        await self._callbacks.close()

    async def _live(self, call: Call, phone: Phone, scenario: Scenario) -> None:
        timing = scenario.timing
        await self._clock.sleep(timing.queue_seconds)
        self._move(call, CallStatus.INITIATED)
        await self._clock.sleep(phone.rings_after)
        if phone.fails_with is not None:
            self._finish(call, CallStatus.FAILED, sip_code=phone.fails_with)
            return
        self._move(call, CallStatus.RINGING)
        outcome = ring_outcome(phone, call.request.timeout + timing.ring_slack)
        await self._clock.sleep(outcome.after)
        if outcome.status.is_final:
            self._finish(call, outcome.status, sip_code=outcome.sip_code)
            return
        call.sip_code = outcome.sip_code
        self._move(call, outcome.status)
        await self._until_hung_up(call, phone, scenario)
        self._finish(call, CallStatus.COMPLETED)

    async def _until_hung_up(self, call: Call, phone: Phone, scenario: Scenario) -> None:
        talk = self._talk(call, phone, scenario)
        if phone.hangs_up_after is None:
            await talk
        else:
            await first_of(talk, self._clock.sleep(phone.hangs_up_after))

    async def _talk(self, call: Call, phone: Phone, scenario: Scenario) -> None:
        timing = scenario.timing
        if call.request.machine_detection:
            await self._clock.sleep(timing.machine_detection_seconds)
            call.answered_by = phone.answered_by
        keypad = Keypad(call, self._clock)
        conversation = Conversation(
            fetch=lambda method, url, extra: self._fetch(call, method, url, extra),
            keypad=keypad,
            finger=Finger(phone, keypad, self._clock),
            clock=self._clock,
            words_per_second=timing.words_per_second,
            heard=call.heard,
            errors=call.errors,
        )
        request = call.request
        await conversation.run(request.url, request.method, request.twiml)

    async def _fetch(self, call: Call, method: str, url: str, extra: Params) -> str:
        params = call_params(call) + extra
        letter = Letter("twiml", call.sid, method, url, params, call.account.token)
        try:
            reply = await self._courier.deliver(letter)
        except Undeliverable as error:
            raise TwimlFault(_HTTP_RETRIEVAL_FAILURE, str(error)) from error
        if not 200 <= reply.status < 300:
            raise TwimlFault(_HTTP_RETRIEVAL_FAILURE, f"{url} answered {reply.status}")
        return reply.body

    def _move(self, call: Call, status: CallStatus) -> None:
        call.enter(status, self._clock.now())
        self._callbacks.tell(call)

    def _finish(self, call: Call, status: CallStatus, sip_code: int | None = None) -> None:
        life = self._lives.get(call.sid)
        if life is not None and life is not asyncio.current_task():
            life.cancel()
        call.sip_code = sip_code if sip_code is not None else call.sip_code
        self._move(call, status)
