"""The telephone exchange: lives every call through, from the queue to its end."""

from __future__ import annotations

import asyncio

from strike_mock.callbacks import StatusCallbacks, call_params
from strike_mock.calls import Call, CallBook, CallRequest, CallStatus, Detection, Document
from strike_mock.clock import Clock
from strike_mock.conversation import Conversation
from strike_mock.courier import Courier, Letter, Params, Reply
from strike_mock.errors import NotNow, TwilioRefusal, TwimlFault, Undeliverable
from strike_mock.ids import Ids
from strike_mock.lines import Line
from strike_mock.phones import answered_by, failure, ring_outcome
from strike_mock.scenarios import Phone
from strike_mock.settings import Account
from strike_mock.stage import Stage
from strike_mock.tracing import NoTraces, Traces
from strike_mock.turns import Turns

_HTTP_RETRIEVAL_FAILURE = 11200
_KEYS = "0123456789*#"


class Exchange:
    """Places calls and lives them, each in a task of its own, by the clock and the scenario.

    What the scenario says of a phone holds until somebody takes it by hand (`pick_up`, `reject`,
    `press`, `put_down`); each of these raises NotNow when the call is not in a state for it.
    """

    def __init__(
        self,
        clock: Clock,
        courier: Courier,
        stage: Stage,
        ids: Ids,
        traces: Traces | None = None,
    ) -> None:
        self._traces = traces or NoTraces()
        self.book = CallBook()
        self._clock = clock
        self._courier = courier
        self._stage = stage
        self._ids = ids
        self._callbacks = StatusCallbacks(clock, courier)
        self._lines: dict[str, Line] = {}
        self._under_way: set[asyncio.Future[Reply]] = set()
        self._turns: dict[str, Turns] = {}

    def phone(self, number: str) -> Phone:
        """Return how the phone of `number` behaves."""
        return self._stage.scenario.phone(number)

    def place(self, account: Account, request: CallRequest) -> Call:
        """Queue a call and return it; it goes on by itself."""
        now = self._clock.now()
        call = Call(self._ids.new("CA"), account, request, created=now, updated=now)
        self.book.add(call)
        scenario = self._stage.scenario
        line = Line(call, scenario.phone(request.to), scenario.timing, self._clock)
        call.queue_ms = round(self._seconds_in_queue(line) * 1000)
        self._lines[call.sid] = line
        line.goes_on(self._connect(line))
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

    def redirect(self, call: Call, document: Document) -> None:
        """The answered call leaves what it hears and obeys `document`.

        Raises TwilioRefusal (21220) for a call that is not in progress.
        """
        line = self._lines.get(call.sid)
        if line is None or call.status is not CallStatus.IN_PROGRESS:
            raise TwilioRefusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        call.updated = self._clock.now()
        line.goes_on(self._converse(line, document))

    def pick_up(self, call: Call) -> None:
        """The callee answers the ringing phone. Raises NotNow."""
        line = self._taken(call, CallStatus.RINGING, "picked up")
        self._answer(line)

    def reject(self, call: Call) -> None:
        """The callee declines the ringing call. Raises NotNow."""
        line = self._taken(call, CallStatus.RINGING, "rejected")
        self._finish(call, CallStatus.BUSY, sip_code=line.phone.rejects_with)

    def press(self, call: Call, key: str) -> None:
        """The callee presses `key`; it is lost unless a Gather waits for one. Raises NotNow.

        Raises ValueError for what is not one of 0 to 9, * and #.
        """
        if len(key) != 1 or key not in _KEYS:
            raise ValueError(f"a phone has no key {key!r}")
        line = self._taken(call, CallStatus.IN_PROGRESS, "used to press a key")
        line.keypad.press(key)

    def put_down(self, call: Call) -> None:
        """The callee hangs up. Raises NotNow."""
        self._taken(call, CallStatus.IN_PROGRESS, "put down")
        self._finish(call, CallStatus.COMPLETED)

    async def close(self) -> None:
        """Drop every line, telling nobody."""
        tasks = [task for line in self._lines.values() for task in line.tasks()]
        for line in self._lines.values():
            line.drop()
        requests = list(self._under_way)
        for request in requests:
            request.cancel()
        await asyncio.gather(*tasks, *requests, return_exceptions=True)
        await self._callbacks.close()

    def _taken(self, call: Call, needed: CallStatus, what: str) -> Line:
        line = self._lines.get(call.sid)
        if line is None or call.status is not needed:
            reason = f"the call to it is {call.status.value}, not {needed.value}"
            raise NotNow(f"The phone {call.request.to} cannot be {what} now: {reason}.")
        line.take_in_hand()
        return line

    def _queue(self, account: Account) -> Turns:
        return self._turns.setdefault(account.sid, Turns(self._clock))

    def _seconds_in_queue(self, line: Line) -> float:
        account = line.call.account
        others = [one for one in self._lines.values() if one.call.account.sid == account.sid]
        ahead = sum(one.waits_for_turn for one in others)
        return self._queue(account).seconds_left() + ahead / line.timing.calls_per_second

    async def _connect(self, line: Line) -> None:
        call, phone, timing = line.call, line.phone, line.timing
        await self._queue(call.account).take(timing.calls_per_second)
        line.waits_for_turn = False
        await self._clock.sleep(timing.queue_seconds)
        self._move(call, CallStatus.INITIATED)
        await self._clock.sleep(phone.rings_after)
        if phone.fails_with is not None:
            self._finish(call, failure(phone.fails_with), sip_code=phone.fails_with)
            return
        self._move(call, CallStatus.RINGING)
        outcome = ring_outcome(phone, call.request.timeout + timing.ring_slack)
        await self._clock.sleep(outcome.after)
        if outcome.status.is_final:
            self._finish(call, outcome.status, sip_code=outcome.sip_code)
        else:
            self._answer(line)

    def _answer(self, line: Line) -> None:
        line.call.sip_code = 200
        self._move(line.call, CallStatus.IN_PROGRESS)
        if line.follows_script:
            line.finger.answered()
            if line.phone.hangs_up_after is not None:
                line.scripted(self._hang_up_after(line, line.phone.hangs_up_after))
        line.goes_on(self._begin_talk(line))

    async def _hang_up_after(self, line: Line, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._finish(line.call, CallStatus.COMPLETED)

    async def _begin_talk(self, line: Line) -> None:
        detection = line.call.request.detection
        if detection is not None and detection.in_background:
            line.besides(self._detect(line, detection))
        elif detection is not None:
            await self._detect(line, detection)
        await self._converse(line, line.call.request.document)

    async def _detect(self, line: Line, detection: Detection) -> None:
        seconds, verdict = answered_by(line.phone, detection, line.timing)
        await self._clock.sleep(seconds)
        line.call.detection_ms = round(seconds * 1000)
        line.call.answered_by = verdict
        if detection.in_background:
            self._callbacks.tell_who_answered(line.call, detection)

    async def _converse(self, line: Line, document: Document) -> None:
        call = line.call
        conversation = Conversation(
            fetch=lambda method, url, extra: self._fetch(call, method, url, extra),
            keypad=line.keypad,
            finger=line.finger,
            clock=self._clock,
            timing=line.timing,
            heard=call.heard,
            errors=call.errors,
        )
        await conversation.run(document.url, document.method, document.twiml)
        self._finish(call, CallStatus.COMPLETED)

    async def _fetch(self, call: Call, method: str, url: str, extra: Params) -> str:
        params = call_params(call) + extra
        letter = Letter("twiml", call.sid, method, url, params, call.account.token)
        try:
            # What is on its way when somebody hangs up still arrives.
            request = asyncio.ensure_future(self._courier.deliver(letter))
            self._under_way.add(request)
            request.add_done_callback(self._arrived)
            reply = await asyncio.shield(request)
        except Undeliverable as error:
            raise TwimlFault(_HTTP_RETRIEVAL_FAILURE, str(error)) from error
        if not 200 <= reply.status < 300:
            raise TwimlFault(_HTTP_RETRIEVAL_FAILURE, f"{url} answered {reply.status}")
        return reply.body

    def _arrived(self, request: asyncio.Future[Reply]) -> None:
        self._under_way.discard(request)
        if not request.cancelled():
            request.exception()  # Whoever asked may be gone by then.

    def _move(self, call: Call, status: CallStatus) -> None:
        call.enter(status, self._clock.now())
        self._callbacks.tell(call)

    def _finish(self, call: Call, status: CallStatus, sip_code: int | None = None) -> None:
        line = self._lines.pop(call.sid, None)
        if line is not None:
            line.drop()
        call.sip_code = sip_code if sip_code is not None else call.sip_code
        self._move(call, status)
        self._traces.ended(call)
