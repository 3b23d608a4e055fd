"""What Twilio calls: to hear what to say, to tell the key that was pressed, how a call goes, what
became of a text.

Only a valid signature is believed. Every answer to a person is given within 5 seconds: if the
database delays it, they hear "one moment", and a redirect makes Twilio bring the same key again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias, TypeVar
from urllib.parse import urlencode
from uuid import UUID, uuid4

import structlog
from aiohttp import web

from strike_adapters.twilio.accounts import TwilioAccounts, WebhookUrls
from strike_adapters.twilio.signature import verify_webhook
from strike_adapters.twilio.states import CALL_STATES
from strike_adapters.twilio.twiml import render_twiml, render_wait
from strike_app.metrics import METRICS
from strike_app.posted import MULTIPART, URLENCODED, posted
from strike_app.settings import Settings
from strike_domain.contacts import Language
from strike_domain.errors import Conflict, Forbidden, NotFound, Rejected, Unavailable
from strike_domain.paging import CallReport, Paging
from strike_domain.voice import Speech

ANSWER_SECONDS = 5.0
"""How long Twilio, and the person who listens, is kept waiting at the most."""

MAX_REDIRECTS = 10

REMEMBERED_SECONDS = 60.0
"""How long what a key did is kept for the redirect that asks for it."""

MAX_BODY = 16_384
"""Largest webhook, in bytes; Twilio's have about one thousand."""

COUNTS: Counter[str] = Counter()
"""How many webhooks were taken, refused, or for calls that nobody knows; since the start."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Params: TypeAlias = Mapping[str, str]
Command = Callable[[CallReport], Speech]

logger = structlog.get_logger()


T = TypeVar("T")


class TwilioSide(Protocol):
    """What webhooks need: the part of `Services` that has to do with telephones."""

    @property
    def settings(self) -> Settings: ...

    @property
    def paging(self) -> Paging: ...

    @property
    def twilio_accounts(self) -> TwilioAccounts: ...

    @property
    def webhook_urls(self) -> WebhookUrls: ...

    async def run(self, command: Callable[[], T]) -> T:
        """As `Services.run`."""


class Webhooks:
    """The four addresses of one call: `/twilio/voice|key|status|text/{run}/{call}`."""

    def __init__(self, services: TwilioSide) -> None:
        self._services = services
        self._turns = Turns(services)

    def routes(self) -> list[web.RouteDef]:
        where = "{run}/{call}"
        return [
            web.post(f"/twilio/voice/{where}", _refusing(self.voice)),
            web.post(f"/twilio/key/{where}", _refusing(self.key)),
            web.post(f"/twilio/status/{where}", _refusing(self.status)),
            web.post(f"/twilio/text/{where}", _refusing(self.text)),
        ]

    async def voice(self, request: web.Request) -> web.Response:
        """Somebody answered: say what it is about."""
        params = await _params(request)
        address = self._services.webhook_urls.voice(*_call(request))
        return await self._speak(request, params, self._services.paging.answered, address)

    async def key(self, request: web.Request) -> web.Response:
        """A key was pressed, or none in time (empty)."""
        params = await _params(request)
        key = request.query.get("key", params.get("Digits", ""))
        address = self._services.webhook_urls.key(*_call(request))

        def command(report: CallReport) -> Speech:
            return self._services.paging.key_pressed(report, key)

        return await self._speak(request, params, command, address, {"key": key})

    async def status(self, request: web.Request) -> web.Response:
        """How the call goes. Nobody listens: it may take as long as it takes."""
        params = await _params(request)
        await self._verify(request, params)
        report = _report(request, params)
        await self._services.run(lambda: self._services.paging.reported(report))
        return web.Response(status=204)

    async def text(self, request: web.Request) -> web.Response:
        """What became of the text beside the call; only a failure is news."""
        params = await _params(request)
        await self._verify(request, params)
        run_id, call_id = _call(request)
        reason = _undelivered(params)
        await self._services.run(
            lambda: self._services.paging.text_reported(run_id, call_id, reason)
        )
        return web.Response(status=204)

    async def _speak(
        self,
        request: web.Request,
        params: Params,
        command: Command,
        address: str,
        kept: Mapping[str, str] | None = None,
    ) -> web.Response:
        """What `command` says; a redirect to `address` with what is `kept`, if that takes long."""
        turn = request.query.get("turn") or uuid4().hex
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._verify(request, params)
                speech = await self._turns.take(turn, command, _report(request, params))
        except (TimeoutError, Unavailable, Conflict):
            _count("one moment")
            again = {**(kept or {}), "turn": turn, "retry": str(_retry(request) + 1)}
            joint = "&" if "?" in address else "?"
            return _twiml(render_wait(f"{address}{joint}{urlencode(again)}", Language.ENGLISH))
        return _twiml(render_twiml(speech, self._services.webhook_urls.key(*_call(request))))

    async def _verify(self, request: web.Request, params: Params) -> None:
        """Check the signature over the public address. Raises `Forbidden` and `NotFound`."""
        url = f"{self._services.settings.webhook_base}{request.raw_path}"
        signature = request.headers.get("X-Twilio-Signature")
        accounts, paging = self._services.twilio_accounts, self._services.paging

        def verify() -> None:
            account = verify_webhook(accounts, url, params, signature)
            run_id, _ = _call(request)
            # One NOC's account says nothing about another's calls.
            if not accounts.serves(account.account_sid, paging.noc_of(run_id)):
                raise NotFound("call")

        await self._services.run(verify)


class Turns:
    """What is being done for people who wait: a redirect joins it, so that nothing is done twice.

    Only this process knows them. Another one that gets the redirect gives the command anew, and
    there the state of the call decides what is left to do.
    """

    def __init__(self, services: TwilioSide) -> None:
        self._services = services
        self._under_way: dict[str, asyncio.Task[Speech]] = {}

    async def take(self, turn: str, command: Command, report: CallReport) -> Speech:
        """Give `command`, or await it where it is under way. Goes on when the caller gives up."""
        task = self._under_way.get(turn)
        if task is None:
            task = asyncio.create_task(self._services.run(lambda: command(report)))
            self._under_way[turn] = task
            task.add_done_callback(lambda _: self._finish(turn, task))
        speech = await asyncio.shield(task)
        self._under_way.pop(turn, None)
        return speech

    def _finish(self, turn: str, task: asyncio.Task[Speech]) -> None:
        """Forget a failure at once, so that it is tried again; the rest if nobody comes for it."""
        has_failed = task.cancelled() or task.exception() is not None
        seconds = 0 if has_failed else REMEMBERED_SECONDS
        task.get_loop().call_later(seconds, self._under_way.pop, turn, None)


def _refusing(handler: Handler) -> Handler:
    """Turn refusals into answers that tell a stranger nothing."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except Forbidden:
            _count("bad signature")
            logger.warning("webhook with a bad signature", path=request.path)
            return web.Response(status=403)
        except (NotFound, Rejected):
            _count("unknown call")
            logger.warning("webhook for an unknown call", path=request.path)
            return web.Response(status=404)
        _count("taken")
        return response

    return handle


def _count(what: str) -> None:
    COUNTS[what] += 1
    METRICS.webhooks.labels(what).inc()


async def _params(request: web.Request) -> Params:
    if request.content_type == MULTIPART:
        raise Forbidden("Nobody can have signed this.")
    if request.content_type != URLENCODED:
        return {}
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return dict((await posted(request.clone(client_max_size=MAX_BODY))).fields)
    except Rejected as error:
        raise Forbidden("Nobody can have signed this.") from error


def _report(request: web.Request, params: Params) -> CallReport:
    run_id, call_id = _call(request)
    return CallReport(
        run_id=run_id,
        call_id=call_id,
        sid=params.get("CallSid", ""),
        state=CALL_STATES.get(params.get("CallStatus", "")),
        answered_by=params.get("AnsweredBy"),
    )


def _undelivered(params: Params) -> str | None:
    """https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks"""
    if params.get("MessageStatus") not in ("failed", "undelivered"):
        return None
    return f"Twilio did not deliver it (error {params.get('ErrorCode') or 'unknown'})."


def _call(request: web.Request) -> tuple[UUID, UUID]:
    """The ids of run and call. Raises `NotFound` for what cannot be any."""
    try:
        return UUID(request.match_info["run"]), UUID(request.match_info["call"])
    except ValueError:
        raise NotFound("call") from None


def _retry(request: web.Request) -> int:
    """How often "one moment" was said already. Raises `HTTPServiceUnavailable` in the end."""
    text = request.query.get("retry", "0")
    retry = int(text) if text.isdecimal() else 0
    if retry >= MAX_REDIRECTS:
        raise web.HTTPServiceUnavailable
    return retry


def _twiml(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/xml")
