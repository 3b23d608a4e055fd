"""What Twilio calls: to hear what to say, to tell the key that was pressed, how a call goes.

Only a valid signature is believed. Every answer is given within 5 seconds: a key whose effect the
database delays is kept in a redirect, and Twilio brings it again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode
from uuid import UUID

import structlog
from aiohttp import web

from strike_adapters.twilio.signature import verify_webhook
from strike_adapters.twilio.states import CALL_STATES
from strike_adapters.twilio.twiml import render_twiml, render_wait
from strike_app.services import Services
from strike_domain.contacts import Language
from strike_domain.errors import Forbidden, NotFound, Rejected
from strike_domain.paging import CallReport
from strike_domain.voice import Speech

ANSWER_SECONDS = 5.0
"""How long Twilio, and the person who listens, is kept waiting at the most."""

MAX_REDIRECTS = 10

COUNTS: Counter[str] = Counter()
"""How many webhooks were taken, refused, or for calls that nobody knows; since the start."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

logger = structlog.get_logger()


class Webhooks:
    """The three addresses of one call: `/twilio/voice|key|status/{run}/{call}`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        where = "{run}/{call}"
        return [
            web.post(f"/twilio/voice/{where}", self._refusing(self.voice)),
            web.post(f"/twilio/key/{where}", self._refusing(self.key)),
            web.post(f"/twilio/status/{where}", self._refusing(self.status)),
        ]

    async def voice(self, request: web.Request) -> web.Response:
        """Somebody answered: say what it is about."""
        report = await self._report(request)
        paging = self._services.paging
        return await self._speak(request, report, lambda: paging.answered(report))

    async def key(self, request: web.Request) -> web.Response:
        """A key was pressed, or none in time (empty)."""
        report = await self._report(request)
        pressed = request.query.get("key", (await _params(request)).get("Digits", ""))
        paging = self._services.paging
        return await self._speak(
            request, report, lambda: paging.key_pressed(report, pressed), key=pressed
        )

    async def status(self, request: web.Request) -> web.Response:
        """How the call goes. Nobody listens: it may take as long as it takes."""
        report = await self._report(request)
        await self._services.run(lambda: self._services.paging.reported(report))
        return web.Response(status=204)

    async def _report(self, request: web.Request) -> CallReport:
        """Check the signature, then read what is said. Raises `Forbidden` and `NotFound`."""
        params = await _params(request)
        url = f"{self._services.settings.webhook_base}{request.raw_path}"
        signature = request.headers.get("X-Twilio-Signature")
        accounts = self._services.twilio_accounts
        await self._services.run(lambda: verify_webhook(accounts, url, params, signature))
        return CallReport(
            run_id=_uuid(request.match_info["run"]),
            call_id=_uuid(request.match_info["call"]),
            sid=params.get("CallSid", ""),
            state=CALL_STATES.get(params.get("CallStatus", "")),
            answered_by=params.get("AnsweredBy"),
        )

    async def _speak(
        self,
        request: web.Request,
        report: CallReport,
        command: Callable[[], Speech],
        key: str | None = None,
    ) -> web.Response:
        work = asyncio.ensure_future(self._services.run(command))
        try:
            speech = await asyncio.wait_for(asyncio.shield(work), ANSWER_SECONDS)
        except TimeoutError:
            # What was begun goes on; taking the same key again changes nothing.
            work.add_done_callback(_look_at)
            return _twiml(render_wait(_again(request, key), Language.ENGLISH))
        key_url = self._services.webhook_urls.key(report.run_id, report.call_id)
        return _twiml(render_twiml(speech, key_url))

    def _refusing(self, handler: Handler) -> Handler:
        """Turn refusals into answers that tell a stranger nothing."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                response = await handler(request)
            except Forbidden:
                COUNTS["bad signature"] += 1
                logger.warning("webhook with a bad signature", path=request.path)
                return web.Response(status=403)
            except (NotFound, Rejected):
                COUNTS["unknown call"] += 1
                logger.warning("webhook for an unknown call", path=request.path)
                return web.Response(status=404)
            COUNTS["taken"] += 1
            return response

        return handle


async def _params(request: web.Request) -> Mapping[str, str]:
    form = await request.post()
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("call") from None


def _again(request: web.Request, key: str | None) -> str:
    """The same address once more, with the key that was pressed and how often we asked to wait."""
    waited = int(request.query.get("waited", "0")) + 1
    if waited > MAX_REDIRECTS:
        raise web.HTTPServiceUnavailable
    query = {"waited": waited} if key is None else {"waited": waited, "key": key}
    return f"{request.path}?{urlencode(query)}"


def _look_at(work: asyncio.Future[Speech]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        logger.error("webhook failed after its answer", exc_info=error)


def _twiml(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/xml")
