"""What a person sent: only from a page of ours, as text by name of the field."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, MultipartReader, web
from multidict import MultiDict

from strike_app.claims import check_origin
from strike_app.posted import reading_a_form
from strike_app.services import SERVICES
from strike_app.web.asking import Refused
from strike_app.web.refusals import Coded
from strike_domain.errors import Forbidden, Rejected

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

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


async def form_of(request: web.Request) -> dict[str, str]:
    """The fields of a form, stripped. Raises `Forbidden`, and `Rejected` for no form."""
    check_same_site(request)
    if request.content_type not in FORM_TYPES:
        raise Rejected("FORM_EXPECTED", "Send the form of the page.")
    with reading_a_form():
        sent = await request.post()
    return {name: value.strip() for name, value in sent.items() if isinstance(value, str)}


def back_to(request: web.Request) -> str:
    """The page of ours that a form was on, for the way back; the start page if it names none."""
    came_from = urlsplit(request.headers.get("Referer", ""))
    if came_from.netloc != request.host or not came_from.path.startswith("/t/"):
        return "/"
    return came_from.path + (f"?{came_from.query}" if came_from.query else "")


# Forms of many fields ----------------------------------------------------------------------

MAX_TEXT = 1_000_000
"""Most bytes of all the fields of a form together, its file left out."""

MAX_FILE = 5_000_000
"""Most bytes of a file that is read into a form."""

_PIECE = 65_536


@dataclass(frozen=True)
class Sent:
    """The fields of a form in their order, stripped, and the file that came with it."""

    fields: MultiDict[str]
    file_name: str = ""
    file: bytes = b""

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")


async def sent_by(request: web.Request) -> Sent:
    """As `form_of`, where fields repeat or a file is sent, which may be larger than the rest.

    Raises also `Rejected`: FORM_TOO_LARGE, FILE_TOO_LARGE.
    """
    check_same_site(request)
    if request.content_type != "multipart/form-data":
        await form_of(request)
        posted = await request.post()
        return Sent(MultiDict((name, str(value).strip()) for name, value in posted.items()))
    with reading_a_form():
        return await _parts_of(await request.multipart())


async def _parts_of(sent: MultipartReader) -> Sent:
    fields, file_name, file, room = MultiDict[str](), "", b"", MAX_TEXT
    async for part in sent:
        if not isinstance(part, BodyPartReader):
            raise Rejected("FORM_EXPECTED", "Send the form of the page.")
        if part.filename is not None:
            file_name, file = part.filename, await _content(part, MAX_FILE, "FILE_TOO_LARGE")
            continue
        content = await _content(part, room, "FORM_TOO_LARGE")
        room -= len(content)
        fields.add(part.name or "", content.decode("utf-8", "replace").strip())
    return Sent(fields, file_name, file)


async def _content(part: BodyPartReader, limit: int, code: str) -> bytes:
    content = bytearray()
    while piece := await part.read_chunk(_PIECE):
        content += piece
        if len(content) > limit:
            message = f"This is larger than {MAX_FILE / 1e6:g} MB; simplify its geometry."
            raise Rejected(code, message, ("file",))
    return bytes(content)


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
