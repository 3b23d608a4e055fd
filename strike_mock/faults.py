"""What goes wrong on the way: the scenario's `[[faults]]`, on every edge in both directions.

A rule is applied with a certain probability, by a seed of its own for each rule and request, so
that the same story meets the same faults whatever else happens in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from random import Random

from aiohttp import web
from aiohttp.typedefs import Handler

from strike_mock.clock import Clock
from strike_mock.courier import Courier, Letter, Reply
from strike_mock.errors import Undeliverable
from strike_mock.scenarios import FaultRule
from strike_mock.stage import Stage

OnDeath = Callable[[str], Awaitable[None]]
"""Called with the edge on which the client dies, so that whoever runs Strike can kill it."""


class Dropped(Exception):
    """The connection breaks: before an answer was sent, or in the middle of `answer`."""

    def __init__(self, answer: web.Response | None = None) -> None:
        super().__init__("the connection was dropped")
        self.answer = answer


@dataclass(frozen=True)
class Hit:
    """A rule was applied. `about` is the call's sid for a webhook, else the request's path."""

    at: datetime
    edge: str
    kind: str
    about: str


class Faults:
    """Applies the rules of whatever scenario is on stage; `hits` tells each time it did."""

    def __init__(
        self,
        stage: Stage,
        clock: Clock,
        seed: int | None = None,
        on_death: OnDeath | None = None,
    ) -> None:
        self.hits: list[Hit] = []
        self.counts: Counter[str] = Counter()
        self._stage = stage
        self._clock = clock
        self._seed = Random().getrandbits(64) if seed is None else seed  # noqa: S311
        self._on_death = on_death
        self._asked: Counter[tuple[FaultRule, int]] = Counter()
        self._done: Counter[tuple[FaultRule, int]] = Counter()

    async def on_request(
        self, edge: str, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """What comes of a request to Twilio or Render (a `strike_mock.edges.Fault`).

        Raises Dropped where there is no answer.
        """
        self._stage.begin(self._clock.now())
        for rule, chance in self._hits(edge, request.path):
            match rule.kind:
                case "refuse":
                    return _refusal(edge, rule)
                case "delay":
                    await self._clock.sleep(chance.uniform(*rule.seconds))
                case "hang":
                    await self._clock.sleep(chance.uniform(*rule.seconds))
                    raise Dropped
                case "lose":
                    raise Dropped
                case "lose_answer":
                    await handler(request)
                    raise Dropped
                case "cut":
                    answer = await handler(request)
                    raise Dropped(answer if isinstance(answer, web.Response) else None)
                case "die":
                    await self._die(edge)
                    raise Dropped
                case "die_after":
                    await handler(request)
                    await self._die(edge)
                    raise Dropped
                case _:
                    continue
        return await handler(request)

    def around(self, courier: Courier) -> Courier:
        """A courier that has bad luck with the requests that go to Strike."""
        return _UnluckyCourier(self, courier)

    async def on_letter(self, letter: Letter, courier: Courier) -> Reply:
        """What comes of a request of Twilio to Strike. Raises Undeliverable."""
        self._stage.begin(self._clock.now())
        for rule, chance in self._hits(f"webhook.{letter.kind}", letter.call_sid):
            match rule.kind:
                case "lose" if letter.kind == "status":
                    return Reply(204, "")  # Gone, and Twilio thinks that it arrived.
                case "lose" | "refuse" | "hang":
                    raise Undeliverable(f"{letter.url}: lost by rule")
                case "delay":
                    await self._clock.sleep(chance.uniform(*rule.seconds))
                case "double":
                    await courier.deliver(letter)
                case "corrupt":
                    sealed = letter.signature()
                    letter = replace(letter, params=_spoilt(letter), sealed=sealed)
                case "lose_answer":
                    await courier.deliver(letter)
                    raise Undeliverable(f"{letter.url}: its answer was lost by rule")
                case _:
                    continue
        return await courier.deliver(letter)

    def _hits(self, edge: str, about: str) -> list[tuple[FaultRule, Random]]:
        hits = []
        for number, rule in enumerate(self._stage.scenario.faults):
            if not fnmatchcase(edge, rule.edge) or not self._is_time(rule):
                continue
            key = (rule, number)
            self._asked[key] += 1
            chance = Random(f"{self._seed}/{number}/{self._asked[key]}")  # noqa: S311
            if self._asked[key] <= rule.skip or chance.random() >= rule.share:
                continue
            if rule.times is not None and self._done[key] >= rule.times:
                continue
            self._done[key] += 1
            self.counts[f"{edge} {rule.kind}"] += 1
            self.hits.append(Hit(self._clock.now(), edge, rule.kind, about))
            hits.append((rule, chance))
        return hits

    def _is_time(self, rule: FaultRule) -> bool:
        passed = self._stage.seconds(self._clock.now())
        return rule.from_seconds <= passed < (rule.until_seconds or float("inf"))

    async def _die(self, edge: str) -> None:
        if self._on_death is not None:
            await self._on_death(edge)


class _UnluckyCourier:
    def __init__(self, faults: Faults, courier: Courier) -> None:
        self._faults = faults
        self._courier = courier

    async def deliver(self, letter: Letter) -> Reply:
        return await self._faults.on_letter(letter, self._courier)


async def broken_connections(
    edge: str, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """Break the connection where a fault says so (the outermost fault of a real server)."""
    try:
        return await handler(request)
    except Dropped as dropped:
        cut = web.StreamResponse()
        if dropped.answer is not None and isinstance(dropped.answer.body, bytes):
            body = dropped.answer.body
            cut = web.StreamResponse(status=dropped.answer.status, headers=dropped.answer.headers)
            cut.content_length = len(body)
            await cut.prepare(request)
            await cut.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return cut


def _refusal(edge: str, rule: FaultRule) -> web.Response:
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    message = f"{edge} is refused by the scenario"
    if edge.startswith("twilio."):
        code = rule.code or _TWILIO_CODES.get(rule.status, 20500)
        more = f"https://www.twilio.com/docs/errors/{code}"
        body = {"code": code, "message": message, "more_info": more, "status": rule.status}
    else:
        body = {"error": {"code": "unavailable", "message": message}}
    return web.json_response(body, status=rule.status, headers=headers)


_TWILIO_CODES = {429: 20429, 503: 20503, 401: 20003, 404: 20404}


def _spoilt(letter: Letter) -> tuple[tuple[str, str], ...]:
    """The same parameters, with a digit more in the caller's number than was signed."""
    return tuple((name, f"{value}0" if name == "From" else value) for name, value in letter.params)
