"""What a person sent: only from a page of ours, as text by name of the field."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from multidict import MultiDict

from strike_app.claims import check_origin
from strike_app.posted import Posted, posted
from strike_app.services import SERVICES
from strike_app.web.asking import Refused
from strike_app.web.refusals import Coded
from strike_domain.errors import Forbidden

MAX_INT = 2**31 - 1
"""What GraphQL calls an Int."""

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


async def form_of(request: web.Request) -> Posted:
    """The form of a page of ours, stripped. Raises `Forbidden`, and `Rejected` as `posted`."""
    check_same_site(request)
    sent = await posted(request)
    fields = MultiDict((name, value.strip()) for name, value in sent.fields.items())
    return replace(sent, fields=fields)


def back_to(request: web.Request) -> str:
    """The page of ours that a form was on, for the way back; the start page if it names none."""
    came_from = urlsplit(request.headers.get("Referer", ""))
    if came_from.netloc != request.host or not came_from.path.startswith("/t/"):
        return "/"
    return came_from.path + (f"?{came_from.query}" if came_from.query else "")


@dataclass
class Filled:
    """What a form holds, and what is wrong with it, by name of the field; "" is all of it."""

    values: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, Coded] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        return self.values.get(name, "")

    def refuse(self, refused: Refused) -> None:
        """Put a refusal beside its field. Raises `Forbidden` for what is no fault of the form."""
        if refused.code in ("ROLE_MISSING", "WRONG_SIDE", "SCOPE_MISSING"):
            raise Forbidden(refused.message, refused.code)
        is_known = refused.field in self.values
        self.errors[refused.field if is_known else ""] = refused

    def whole(self, name: str) -> int | None:
        """A whole number, None for an empty field. Raises `Refused` (NUMBER_EXPECTED)."""
        text = str(self.get(name))
        try:
            number = int(text) if text else None
        except ValueError:
            raise Refused("NUMBER_EXPECTED", "Write a whole number.", (name,)) from None
        if number is not None and abs(number) > MAX_INT:
            raise Refused("NUMBER_EXPECTED", "This number is too large.", (name,))
        return number

    def number(self, name: str) -> float | None:
        """As `whole`, with decimals."""
        text = str(self.get(name)).replace(",", ".")
        try:
            number = float(text) if text else None
        except ValueError:
            number = math.nan
        if number is not None and not math.isfinite(number):
            raise Refused("NUMBER_EXPECTED", "Write a number.", (name,))
        return number


def see(address: str, said: str = "") -> web.Response:
    """Go there; `said` is a key of `SAID`, what the page then says."""
    query = f"?said={said}" if said else ""
    return web.Response(status=303, headers={"Location": address + query})
