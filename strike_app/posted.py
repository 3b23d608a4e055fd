"""What is sent as a form, read without a temporary file; what is none becomes one refusal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict

from strike_domain.errors import Rejected

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"

MAX_FIELDS = 10_000

MAX_TEXT = 1_000_000
"""Most bytes of all the fields of a form in parts, its file left out."""

MAX_FILE = 5_000_000
"""Most bytes of a file that is read into a form."""

_PIECE = 65_536

# No boundary, or another one; parts inside parts, without an end, or with headers that are none;
# an unknown charset or encoding, and bytes that are not of it.
_UNREADABLE = (ValueError, LookupError, AssertionError, RuntimeError, HttpProcessingError)


@dataclass(frozen=True)
class Posted:
    """The fields of a form in their order, and the last file that came with them."""

    fields: MultiDict[str]
    file_name: str = ""
    file: bytes = b""

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")


async def posted(request: web.Request) -> Posted:
    """The form that a request brings.

    Raises `Rejected`: FORM_EXPECTED if it is none, FORM_TOO_LARGE, FILE_TOO_LARGE.
    """
    with _reading_a_form():
        if request.content_type == MULTIPART:
            return await _parts_of(await request.multipart())
        if request.content_type != URLENCODED:
            raise _no_form()
        sent = await request.post()
        return Posted(MultiDict((name, str(value)) for name, value in sent.items()))


@contextmanager
def _reading_a_form() -> Iterator[None]:
    try:
        yield
    except _UNREADABLE:
        raise _no_form() from None


def _no_form() -> Rejected:
    return Rejected("FORM_EXPECTED", "Send the form of the page.")


async def _parts_of(sent: MultipartReader) -> Posted:
    """Not by `request.post`: what that had written of a form without an end stays open."""
    fields, file_name, file, room = MultiDict[str](), "", b"", MAX_TEXT
    async for part in sent:
        if not isinstance(part, BodyPartReader):
            raise _no_form()
        if part.filename is not None:
            file_name, file = part.filename, await _content(part, MAX_FILE, "FILE_TOO_LARGE")
            continue
        content = await _content(part, room, "FORM_TOO_LARGE")
        room -= len(content)
        fields.add(part.name or "", content.decode("utf-8", "replace"))
        if len(fields) > MAX_FIELDS:
            raise Rejected("FORM_TOO_LARGE", f"A form has at most {MAX_FIELDS:,} fields.")
    return Posted(fields, file_name, file)


async def _content(part: BodyPartReader, limit: int, code: str) -> bytes:
    content = bytearray()
    while piece := await part.read_chunk(_PIECE):
        content += piece
        if len(content) > limit:
            message = f"This is larger than {MAX_FILE / 1e6:g} MB; simplify its geometry."
            raise Rejected(code, message, ("file",))
    return bytes(content)
