"""How Twilio's answers look: resources, pages of lists, refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from strike_mock.calls import Call
from strike_mock.errors import TwilioRefusal
from strike_mock.texts import Text

API = "/2010-04-01"
_PAGE_SIZE = 50
_MOST_PAGE_SIZE = 1000

T = TypeVar("T")


def refused(refusal: TwilioRefusal) -> web.Response:
    """Return the answer that tells of a refusal by number.

    https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions
    """
    body = {
        "code": refusal.code,
        "message": refusal.message,
        "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
        "status": refusal.status,
    }
    return web.json_response(body, status=refusal.status)


def not_found(path: str) -> TwilioRefusal:
    """Return the refusal of what does not exist."""
    return TwilioRefusal(404, 20404, f"The requested resource {path} was not found")


def call_resource(call: Call) -> dict[str, Any]:
    """Return the call as Twilio's JSON shows it."""
    request, ended = call.request, call.times.get("ended")
    uri = f"{API}/Accounts/{call.account.sid}/Calls/{call.sid}"
    return {
        "sid": call.sid,
        "account_sid": call.account.sid,
        "parent_call_sid": None,
        "to": request.to,
        "to_formatted": request.to,
        "from": request.from_,
        "from_formatted": request.from_,
        "phone_number_sid": None,
        "status": call.status.value,
        "date_created": rfc2822(call.created),
        "date_updated": rfc2822(call.updated),
        "start_time": rfc2822(call.times.get("initiated")),
        "end_time": rfc2822(ended),
        "duration": str(call.duration) if ended else None,
        "direction": "outbound-api",
        "answered_by": call.answered_by,
        "api_version": "2010-04-01",
        "price": None,
        "price_unit": "USD",
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": str(call.queue_ms),
        "trunk_sid": None,
        "annotation": None,
        "uri": f"{uri}.json",
        "subresource_uris": {"events": f"{uri}/Events.json"},
    }


def text_resource(text: Text) -> dict[str, Any]:
    """Return the text as Twilio's JSON shows it."""
    request, is_over = text.request, text.updated != text.created
    uri = f"{API}/Accounts/{text.account.sid}/Messages/{text.sid}"
    return {
        "sid": text.sid,
        "account_sid": text.account.sid,
        "messaging_service_sid": None,
        "to": request.to,
        "from": request.from_,
        "body": request.body,
        "status": text.status.value,
        "error_code": text.error,
        "error_message": None,
        "date_created": rfc2822(text.created),
        "date_updated": rfc2822(text.updated),
        "date_sent": rfc2822(text.updated) if is_over else None,
        "direction": "outbound-api",
        "api_version": "2010-04-01",
        "num_segments": "1",
        "num_media": "0",
        "price": None,
        "price_unit": "USD",
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


def page_of(
    request: web.Request, key: str, found: Sequence[T], shape: Callable[[T], dict[str, Any]]
) -> web.Response:
    """Return the page that `request` asks for, with its neighbours' addresses.

    https://www.twilio.com/docs/usage/twilios-response#pagination
    """
    page = whole_number(request.query, "Page", 0)
    size = min(whole_number(request.query, "PageSize", _PAGE_SIZE), _MOST_PAGE_SIZE) or 1
    start = page * size
    shown = found[start : start + size]
    more = start + size < len(found)
    body = {
        key: [shape(one) for one in shown],
        "page": page,
        "page_size": size,
        "start": start,
        "end": max(start, start + len(shown) - 1),
        "uri": request.path_qs,
        "first_page_uri": _page_uri(request, 0, size),
        "previous_page_uri": _page_uri(request, page - 1, size) if page else None,
        "next_page_uri": _page_uri(request, page + 1, size) if more else None,
    }
    return web.json_response(body)


def whole_number(fields: MultiMapping[str], name: str, default: int) -> int:
    """Return a field that is a number. Raises TwilioRefusal (20001)."""
    text = fields.get(name, "")
    if text and not text.isdecimal():
        raise TwilioRefusal(400, 20001, f"{name} must be a whole number, not {text}")
    return int(text) if text else default


def rfc2822(at: datetime | None) -> str | None:
    """Return a time in Twilio's form."""
    return format_datetime(at) if at else None


def _page_uri(request: web.Request, page: int, size: int) -> str:
    kept = [(k, v) for k, v in request.query.items() if k not in ("Page", "PageSize")]
    return f"{request.path}?{urlencode([*kept, ('PageSize', size), ('Page', page)])}"
