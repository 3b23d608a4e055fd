"""Twilio's Calls and Messages over HTTP, in Twilio's shapes: the official SDK works unchanged.

https://www.twilio.com/docs/voice/api/call-resource
https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

from aiohttp import web

from strike_mock.accounts import Accounts, AccountsApi, guarded
from strike_mock.calls import Call, CallStatus, Document
from strike_mock.errors import TwilioRefusal
from strike_mock.exchange import Exchange
from strike_mock.settings import Account
from strike_mock.texts import PostOffice
from strike_mock.tracing import Traces
from strike_mock.twilio_forms import (
    check_may_text,
    check_permitted,
    read_call_request,
    read_call_update,
    read_filters,
    read_text_request,
)
from strike_mock.twilio_shapes import (
    API,
    call_resource,
    not_found,
    page_of,
    refused,
    text_resource,
)


class TwilioApi:
    """The routes. Each refusal is answered in Twilio's error form by number."""

    def __init__(
        self, exchange: Exchange, post: PostOffice, accounts: Accounts, traces: Traces
    ) -> None:
        self._traces = traces
        self._exchange = exchange
        self._post = post
        self._accounts = accounts

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes, named for the edge they are."""
        calls = API + "/Accounts/{account}/Calls.json"
        one = API + "/Accounts/{account}/Calls/{sid}.json"
        opened = self._accounts.opened
        router.add_post(calls, guarded(opened, self._create), name="twilio.calls.create")
        router.add_get(calls, guarded(opened, self._list), name="twilio.calls.list")
        router.add_get(one, guarded(opened, self._fetch), name="twilio.calls.fetch")
        router.add_post(one, guarded(opened, self._update), name="twilio.calls.update")
        texts = API + "/Accounts/{account}/Messages.json"
        text = API + "/Accounts/{account}/Messages/{sid}.json"
        router.add_post(texts, guarded(opened, self._send), name="twilio.messages.create")
        router.add_get(texts, guarded(opened, self._list_texts), name="twilio.messages.list")
        router.add_get(text, guarded(opened, self._fetch_text), name="twilio.messages.fetch")
        AccountsApi(self._accounts).add_routes(router)
        router.add_route("*", API + "/{rest:.*}", _nothing_there)

    async def _create(self, request: web.Request, account: Account) -> web.Response:
        if not self._accounts.is_active(account):
            raise TwilioRefusal(400, 10001, "Account is not active")
        asked = read_call_request(await request.post())
        check_permitted(account, asked, self._exchange.phone(asked.to))
        call = self._exchange.place(account, asked)
        self._traces.rings(call, request.headers)
        return web.json_response(call_resource(call), status=201)

    async def _fetch(self, request: web.Request, account: Account) -> web.Response:
        return web.json_response(call_resource(self._find(request, account)))

    async def _update(self, request: web.Request, account: Account) -> web.Response:
        asked = read_call_update(await request.post())
        call = self._find(request, account)
        if isinstance(asked, Document):
            self._exchange.redirect(call, asked)
        elif call.status.is_final:
            raise TwilioRefusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        elif asked is CallStatus.CANCELED:
            self._exchange.cancel(call)
        else:
            self._exchange.hang_up(call)
        return web.json_response(call_resource(call))

    async def _list(self, request: web.Request, account: Account) -> web.Response:
        wanted = read_filters(request.query)
        found = [c for c in self._exchange.book.of(account.sid) if all(f(c) for f in wanted)]
        return page_of(request, "calls", found, call_resource)

    async def _send(self, request: web.Request, account: Account) -> web.Response:
        if not self._accounts.is_active(account):
            raise TwilioRefusal(400, 10001, "Account is not active")
        asked = read_text_request(await request.post())
        check_may_text(account, asked, self._exchange.phone(asked.to))
        return web.json_response(text_resource(self._post.send(account, asked)), status=201)

    async def _fetch_text(self, request: web.Request, account: Account) -> web.Response:
        text = self._post.find(account.sid, request.match_info["sid"])
        if text is None:
            raise not_found(request.path)
        return web.json_response(text_resource(text))

    async def _list_texts(self, request: web.Request, account: Account) -> web.Response:
        to = request.query.get("To")
        found = [one for one in self._post.of(account.sid) if to in (None, one.request.to)]
        return page_of(request, "messages", found, text_resource)

    def _find(self, request: web.Request, account: Account) -> Call:
        call = self._exchange.book.find(account.sid, request.match_info["sid"])
        if call is None:
            raise not_found(request.path)
        return call


async def _nothing_there(request: web.Request) -> web.Response:
    return refused(not_found(request.path))
