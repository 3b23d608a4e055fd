"""Twilio's Calls resource over HTTP, in Twilio's shapes: the official SDK works unchanged.

https://www.twilio.com/docs/voice/api/call-resource
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from multidict import MultiMapping

from strike_mock.calls import Call, CallRequest
from strike_mock.credentials import basic_credentials
from strike_mock.errors import TwilioRefusal
from strike_mock.exchange import Exchange
from strike_mock.settings import Account

API = "/2010-04-01"
EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_PAGE_SIZE = 50
_MOST_PAGE_SIZE = 1000

Handler = Callable[[web.Request, Account], Awaitable[web.Response]]


class TwilioApi:
    """The routes. Each refusal is answered in Twilio's error form by number."""

    def __init__(self, exchange: Exchange, accounts: Mapping[str, Account]) -> None:
        self._exchange = exchange
        self._accounts = accounts

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes, named for the edge they are."""
        calls = API + "/Accounts/{account}/Calls.json"
        one = API + "/Accounts/{account}/Calls/{sid}.json"
        router.add_post(calls, self._guarded(self._create), name="twilio.calls.create")
        router.add_get(calls, self._guarded(self._list), name="twilio.calls.list")
        router.add_get(one, self._guarded(self._fetch), name="twilio.calls.fetch")
        router.add_post(one, self._guarded(self._update), name="twilio.calls.update")

    def _guarded(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def guarded(request: web.Request) -> web.Response:
            try:
                return await handler(request, self._authenticate(request))
            except TwilioRefusal as refusal:
                return _refused(refusal)

        return guarded

    def _authenticate(self, request: web.Request) -> Account:
        account = self._accounts.get(request.match_info["account"])
        login, password = basic_credentials(request.headers.get("Authorization", ""))
        if account is None or login != account.sid:
            raise TwilioRefusal(401, 20003, "Authenticate")
        if not hmac.compare_digest(password.encode(), account.token.encode()):
            raise TwilioRefusal(401, 20003, "Authenticate")
        return account

    async def _create(self, request: web.Request, account: Account) -> web.Response:
        form = await request.post()
        call = self._exchange.place(account, read_call_request(_texts(form)))
        return web.json_response(as_resource(call), status=201)

    async def _fetch(self, request: web.Request, account: Account) -> web.Response:
        return web.json_response(as_resource(self._find(request, account)))

    async def _update(self, request: web.Request, account: Account) -> web.Response:
        call = self._find(request, account)
        status = (await request.post()).get("Status")
        if status not in ("canceled", "completed"):
            raise TwilioRefusal(501, 20001, "strike_mock updates nothing but Status")
        if call.status.is_final:
            raise TwilioRefusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        if status == "canceled":
            self._exchange.cancel(call)
        else:
            self._exchange.hang_up(call)
        return web.json_response(as_resource(call))

    async def _list(self, request: web.Request, account: Account) -> web.Response:
        wanted = _filters(request.query)
        found = [c for c in self._exchange.book.of(account.sid) if all(f(c) for f in wanted)]
        page = _whole_number(request.query, "Page", 0)
        size = min(_whole_number(request.query, "PageSize", _PAGE_SIZE), _MOST_PAGE_SIZE) or 1
        return web.json_response(_page(request, found, page, size))

    def _find(self, request: web.Request, account: Account) -> Call:
        call = self._exchange.book.find(account.sid, request.match_info["sid"])
        if call is None:
            message = f"The requested resource {request.path} was not found"
            raise TwilioRefusal(404, 20404, message)
        return call


def read_call_request(form: MultiMapping[str]) -> CallRequest:
    """Return the request that a POST to Calls.json makes.

    Raises TwilioRefusal: 21211 wrong To, 21212 wrong From, 21205 no usable Url, 21609 wrong
    StatusCallback, 21626 unknown event, 20001 wrong Timeout.
    """
    twiml, url = form.get("Twiml"), form.get("Url")
    if not twiml and not _is_url(url):
        raise TwilioRefusal(400, 21205, f"Url is not a valid URL: {url or ''}")
    return CallRequest(
        to=_number(form, "To", 21211),
        from_=_number(form, "From", 21212),
        url=url,
        method=form.get("Method", "POST").upper(),
        twiml=twiml,
        timeout=_timeout(form.get("Timeout", "60")),
        status_callback=_callback_url(form.get("StatusCallback")),
        status_callback_method=form.get("StatusCallbackMethod", "POST").upper(),
        status_callback_events=_events(form.getall("StatusCallbackEvent", [])),
        machine_detection=form.get("MachineDetection") in ("Enable", "DetectMessageEnd"),
    )


def as_resource(call: Call) -> dict[str, Any]:
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
        "date_created": _rfc2822(call.created),
        "date_updated": _rfc2822(call.updated),
        "start_time": _rfc2822(call.times.get("initiated")),
        "end_time": _rfc2822(ended),
        "duration": str(call.duration) if ended else None,
        "direction": "outbound-api",
        "answered_by": call.answered_by,
        "api_version": "2010-04-01",
        "price": None,
        "price_unit": "USD",
        "forwarded_from": None,
        "group_sid": None,
        "caller_name": None,
        "queue_time": "0",
        "trunk_sid": None,
        "annotation": None,
        "uri": f"{uri}.json",
        "subresource_uris": {"events": f"{uri}/Events.json"},
    }


def _refused(refusal: TwilioRefusal) -> web.Response:
    body = {
        "code": refusal.code,
        "message": refusal.message,
        "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
        "status": refusal.status,
    }
    return web.json_response(body, status=refusal.status)


def _texts(form: Mapping[str, Any]) -> MultiMapping[str]:
    if not all(isinstance(value, str) for value in form.values()):
        raise TwilioRefusal(400, 20001, "form fields must be text")
    return form  # type: ignore[return-value]


def _number(form: MultiMapping[str], field: str, code: int) -> str:
    number = form.get(field, "")
    if not _E164.fullmatch(number):
        raise TwilioRefusal(400, code, f"Invalid '{field}' Phone Number: {number}")
    return number


def _is_url(url: str | None) -> bool:
    parts = urlsplit(url or "")
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _callback_url(url: str | None) -> str | None:
    if url and not _is_url(url):
        raise TwilioRefusal(400, 21609, f"Invalid 'StatusCallback' URL: {url}")
    return url or None


def _events(given: list[str]) -> frozenset[str]:
    unknown = set(given) - EVENTS
    if unknown:
        # Twilio answers 201 to these and then sends nothing; a refusal is found sooner.
        raise TwilioRefusal(400, 21626, f"Invalid StatusCallbackEvent: {sorted(unknown)}")
    return frozenset(given) or frozenset({"completed"})


def _timeout(text: str) -> float:
    if not text.isdecimal() or not 0 < int(text) <= 600:
        raise TwilioRefusal(400, 20001, f"Timeout must be 1 to 600 seconds, not {text}")
    return float(text)


def _whole_number(query: MultiMapping[str], field: str, default: int) -> int:
    text = query.get(field, "")
    if text and not text.isdecimal():
        raise TwilioRefusal(400, 20001, f"{field} must be a whole number, not {text}")
    return int(text) if text else default


def _filters(query: MultiMapping[str]) -> list[Callable[[Call], bool]]:
    """Filters on the start see no call that is still queued: it has no start_time."""
    filters: list[Callable[[Call], bool]] = []
    if to := query.get("To"):
        filters.append(lambda call: call.request.to == to)
    if from_ := query.get("From"):
        filters.append(lambda call: call.request.from_ == from_)
    if status := query.get("Status"):
        filters.append(lambda call: call.status == status)
    if on := query.get("StartTime"):
        day = _time(on).date()
        filters.append(lambda call: (s := _start(call)) is not None and s.date() == day)
    if before := query.get("StartTime<"):
        latest = _time(before)
        filters.append(lambda call: (s := _start(call)) is not None and s <= latest)
    if after := query.get("StartTime>"):
        earliest = _time(after)
        filters.append(lambda call: (s := _start(call)) is not None and s >= earliest)
    return filters


def _start(call: Call) -> datetime | None:
    started = call.times.get("initiated")
    return started.replace(microsecond=0) if started else None


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise TwilioRefusal(400, 20001, f"not a date or time: {text}") from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _page(request: web.Request, found: list[Call], page: int, size: int) -> dict[str, Any]:
    start = page * size
    shown = found[start : start + size]
    more = start + size < len(found)
    return {
        "calls": [as_resource(call) for call in shown],
        "page": page,
        "page_size": size,
        "start": start,
        "end": max(start, start + len(shown) - 1),
        "uri": request.path_qs,
        "first_page_uri": _page_uri(request, 0, size),
        "previous_page_uri": _page_uri(request, page - 1, size) if page else None,
        "next_page_uri": _page_uri(request, page + 1, size) if more else None,
    }


def _page_uri(request: web.Request, page: int, size: int) -> str:
    kept = [(k, v) for k, v in request.query.items() if k not in ("Page", "PageSize")]
    return f"{request.path}?{urlencode([*kept, ('PageSize', size), ('Page', page)])}"


def _rfc2822(at: datetime | None) -> str | None:
    return format_datetime(at) if at else None
