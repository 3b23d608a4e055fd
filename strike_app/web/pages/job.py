"""The page behind the link in a text: one callout, for the one who was rung, without login.

Looking changes nothing: messengers open links to show what is behind them. Whoever has the link
acts as that person (`strike_domain/technicians.py`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp import web

from strike_adapters.twilio.accounts import JOB_PATH
from strike_adapters.twilio.links import claimed_by
from strike_app.callers import GOOD_TOKENS
from strike_app.claims import client_of
from strike_app.limits import FAILURES, TooMany
from strike_app.services import SERVICES, Services
from strike_app.web.forms import form_of
from strike_app.web.rendering import environment, html, own_path
from strike_app.web.shell import told
from strike_app.web.words import language_of
from strike_domain.administration import token_digest
from strike_domain.contacts import Language
from strike_domain.errors import (
    Conflict,
    InvalidTransition,
    NotFound,
    Rejected,
    StrikeError,
    Unavailable,
)
from strike_domain.ports import JobLink
from strike_domain.technicians import Technicians

LANGUAGES = {Language.ENGLISH: "en", Language.SPANISH: "es"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ANSWERS: dict[str, Callable[[Technicians, JobLink], None]] = {
    "accept": Technicians.accept,
    "decline": Technicians.decline,
    "on_my_way": Technicians.on_my_way,
    "done": Technicians.done,
}
"""What the buttons say, by their value."""


class Expired(StrikeError):
    """The link was good, and is too old."""


async def show(request: web.Request) -> web.StreamResponse:
    """How the job stands for whoever has the link."""
    services = request.app[SERVICES]
    link = await _opened(request)
    job = await services.run(lambda: services.technicians.job(link))
    text = environment(LANGUAGES[job.language]).get_template("job.html").render(job=job, own=_own)
    return html(text, services.settings)


async def answer(request: web.Request) -> web.StreamResponse:
    """One of `ANSWERS`, only from the page itself; the page then says what came of it."""
    services = request.app[SERVICES]
    say = ANSWERS.get((await form_of(request))["do"])
    if say is None:
        raise Rejected("ANSWER_UNKNOWN", f"Say one of {', '.join(ANSWERS)}.", ("do",))
    link = await _opened(request)
    # It may be somebody else's by now, or over: that is what the page shows.
    with suppress(InvalidTransition):
        await services.run(lambda: say(services.technicians, link))
    # As it is called where it was opened: a proxy may have put a path before it.
    return web.Response(status=303, headers={"Location": request.match_info["token"]})


async def _opened(request: web.Request) -> JobLink:
    """What the link stands for. Raises `NotFound`, `Expired` and `TooMany`."""
    services = request.app[SERVICES]
    token = request.match_info["token"]
    failures, known = request.app[FAILURES], request.app[GOOD_TOKENS]
    address = client_of(request, services.settings.trusted_networks)
    digest = token_digest(token)
    if digest not in known and failures.is_over(address):
        raise failures.refusal(address)
    link = await services.run(lambda: _proven(services, token))
    if link is None:
        failures.count(address)
        raise NotFound("job")
    known[digest] = True
    if services.clock.now() >= link.expires_at:
        raise Expired("LINK_EXPIRED", "This link is too old.")
    return link


def _proven(services: Services, token: str) -> JobLink | None:
    claimed = claimed_by(token)
    if claimed is None:
        return None
    try:
        noc_id, link = services.technicians.link(claimed.run_id, claimed.number)
    except NotFound:
        return None
    return link if services.links.is_signed(claimed, noc_id, link) else None


def _kindly(handle: Handler) -> Handler:
    """Who got a text is told what to do instead, in a sentence."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except TooMany as error:
            refusal = _gone(request, error.code, 429)
            refusal.headers["Retry-After"] = str(error.retry_after)
            return refusal
        except NotFound:
            return _gone(request, "LINK_UNKNOWN", 404)
        except Expired as error:
            return _gone(request, error.code, 410)
        except (Unavailable, Conflict) as error:
            return _gone(request, error.code, 503)

    return told(guarded)


def _gone(request: web.Request, code: str, status: int) -> web.Response:
    language = language_of(request.headers.get("Accept-Language", ""))
    template = environment(language).get_template("job_gone.html")
    text = template.render(code=code, status=status, language=language, own=_own)
    return html(text, request.app[SERVICES].settings, status)


def _own(name: str) -> str:
    """As `own_path`, from where the page was opened."""
    return f"..{own_path(name)}"


def routes() -> list[web.RouteDef]:
    address = f"{JOB_PATH}{{token:[A-Za-z0-9_-]+}}"
    return [web.get(address, _kindly(show)), web.post(address, _kindly(answer))]
