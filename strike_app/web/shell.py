"""What surrounds every page: who asks, the checks, and what is shown when it goes wrong."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import orjson
import structlog
from aiohttp import web

from strike_adapters.identity import Unauthenticated
from strike_adapters.postgres.replica import may_be_behind, must_have
from strike_app.claims import correlation_id
from strike_app.limits import TooMany
from strike_app.services import SERVICES
from strike_app.web.asking import WROTE, Refused
from strike_app.web.forms import check_same_site
from strike_app.web.refusals import Coded
from strike_app.web.rendering import HTMX, environment, html, own_path
from strike_app.web.viewer import Viewer, language_in, viewer_of
from strike_domain.errors import StrikeError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Page = Callable[[Viewer], Awaitable[web.StreamResponse]]

WROTE_COOKIE = "strike_wrote"
"""A position: once the replica has been behind for too long it is not asked, so it may expire."""

MOST_DIGITS = 18

STATUSES = {
    "NOT_FOUND": 404,
    "NOT_A_MEMBER": 403,
    "NOT_A_PERSON": 403,
    "WRONG_SIDE": 403,
    "ROLE_MISSING": 403,
    "SCOPE_MISSING": 403,
    "FORBIDDEN": 403,
    "ORIGIN_FOREIGN": 403,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "OUTCOME_UNKNOWN": 503,
    "WAIT_TIMED_OUT": 503,
}

logger = structlog.get_logger()


def page(show: Page) -> Handler:
    """The handler of a page of one tenant; a refusal becomes a page that says what to do."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return await show(await viewer_of(request))

    return told(handle)


def whole_page(show: Page) -> Handler:
    """As `page`, which a replica may answer if it has what this browser has written.

    Not so its parts that are asked for when something has changed: they would miss it.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        viewer = await viewer_of(request)
        if HTMX in request.headers:
            return await show(viewer)
        with may_be_behind():
            wrote = request.cookies.get(WROTE_COOKIE, "")
            if wrote.isascii() and wrote.isdecimal() and len(wrote) <= MOST_DIGITS:
                must_have(int(wrote))
            return await show(viewer)

    return told(handle)


def form(take: Page) -> Handler:
    """As `page`, for what is sent: only from a page of ours."""

    async def handle(request: web.Request) -> web.StreamResponse:
        check_same_site(request)
        viewer = await viewer_of(request)
        try:
            return _remembered(viewer, await take(viewer))
        except web.HTTPRedirection as elsewhere:
            _remembered(viewer, elsewhere)
            raise

    return told(handle)


def _remembered(viewer: Viewer, response: web.StreamResponse) -> web.StreamResponse:
    """The browser brings the position of what it has written to its next pages."""
    settings = viewer.services.settings
    if settings.read_database_url and (wrote := viewer.request.get(WROTE)):
        seconds = math.ceil(settings.replica_lag_seconds) + 1
        response.set_cookie(
            WROTE_COOKIE, str(wrote), max_age=seconds, httponly=True, samesite="Lax"
        )
    return response


def told(handle: Handler) -> Handler:
    """Refusals and failures as a page, in the reader's language, with the code to look up."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handle(request)
        except (web.HTTPException, web.RequestPayloadError, TooMany, Unauthenticated):
            raise
        except (StrikeError, Refused) as error:
            return failure(request, error)
        except Exception:
            logger.exception("page failed", path=request.path)
            return failure(request, StrikeError("INTERNAL", "Something went wrong here."))

    return guarded


@web.middleware
async def in_words(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What is refused before a page is reached, for a browser that asked for a page, as a page."""
    response = await handler(request)
    is_page = request.path == "/" or request.path.startswith("/t/")
    wants_page = is_page and "text/html" in request.headers.get("Accept", "")
    is_refusal = response.status >= 400 and response.content_type == "application/json"
    if not (wants_page and is_refusal and isinstance(response, web.Response)):
        return response
    told = orjson.loads(response.body or b"{}")  # type: ignore[arg-type]
    page = failure(request, StrikeError(told.get("code", "INTERNAL"), told.get("message", "")))
    page.set_status(response.status)
    if "Retry-After" in response.headers:
        page.headers["Retry-After"] = response.headers["Retry-After"]
    return page


def failure(request: web.Request, error: Coded) -> web.Response:
    language = language_in(request)
    number = correlation_id(request)
    text = (
        environment(language)
        .get_template("failure.html")
        .render(error=error, language=language, own=own_path, correlation_id=number)
    )
    return html(text, request.app[SERVICES].settings, STATUSES.get(error.code, 400))
