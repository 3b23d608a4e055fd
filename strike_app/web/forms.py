"""What a person sent: only from a page of ours, as text by name of the field."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from strike_app.claims import check_origin
from strike_app.services import SERVICES
from strike_domain.errors import Forbidden, Rejected

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

SAFE_SITES = ("same-origin", "none")


def check_same_site(request: web.Request) -> None:
    """Refuse what a page of another site made the browser send, with the reader's login.

    Every browser of the last years says who asks: by Sec-Fetch-Site, and by Origin with each POST.
    Who says neither is no browser of ours. Raises `Forbidden` (ORIGIN_FOREIGN).
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in SAFE_SITES:
        raise Forbidden("Send this from Strike's own pages.", "ORIGIN_FOREIGN")
    if site is None and "Origin" not in request.headers:
        raise Forbidden("Send this with a browser, from Strike's own pages.", "ORIGIN_FOREIGN")
    check_origin(request, request.app[SERVICES].settings)


async def form_of(request: web.Request) -> dict[str, str]:
    """The fields of a form, stripped. Raises `Forbidden`, and `Rejected` for no form."""
    check_same_site(request)
    if request.content_type not in FORM_TYPES:
        raise Rejected("FORM_EXPECTED", "Send the form of the page.")
    sent = await request.post()
    return {name: value.strip() for name, value in sent.items() if isinstance(value, str)}


def back_to(request: web.Request) -> str:
    """The page of ours that a form was on, for the way back; the start page if it names none."""
    came_from = urlsplit(request.headers.get("Referer", ""))
    if came_from.netloc != request.host or not came_from.path.startswith("/t/"):
        return "/"
    return came_from.path + (f"?{came_from.query}" if came_from.query else "")
