"""Accounts and subaccounts: who may do what with whose token, and Twilio's Accounts resource.

https://www.twilio.com/docs/iam/api/account, https://www.twilio.com/docs/iam/api/subaccounts
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from strike_mock.clock import Clock
from strike_mock.credentials import basic_credentials
from strike_mock.errors import TwilioRefusal
from strike_mock.ids import Ids
from strike_mock.settings import Account
from strike_mock.twilio_forms import texts
from strike_mock.twilio_shapes import API, not_found, page_of, refused, rfc2822

_STATUSES = ("active", "suspended", "closed")

Handler = Callable[[web.Request, Account], Awaitable[web.Response]]


@dataclass
class _Entry:
    account: Account
    created: datetime
    updated: datetime


class Accounts:
    """Every account there is, and how many requests each has under way."""

    def __init__(self, known: Iterable[Account], clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids
        self._entries: dict[str, _Entry] = {}
        self._under_way: Counter[str] = Counter()
        for account in known:
            self._enter(account)

    @contextmanager
    def owner(self, request: web.Request) -> Iterator[Account]:
        """Let in a request by its credentials alone; yields the account that they are of.

        Raises TwilioRefusal: 20003 wrong credentials, 20403 an account that is not active, 20429
        more requests at once than it may have.
        """
        sid, token = basic_credentials(request.headers.get("Authorization", ""))
        account = self.get(sid)
        if account is None or not hmac.compare_digest(token.encode(), account.token.encode()):
            raise _unauthenticated()
        if not self.is_active(account):
            raise TwilioRefusal(403, 20403, "Forbidden: the account is not active")
        with self._counted(account):
            yield account

    @contextmanager
    def opened(self, request: web.Request) -> Iterator[Account]:
        """Let in a request to the account in its path; yields that account.

        Raises TwilioRefusal as `owner` does, 20003 for an account that the credentials do not open,
        and 20404 for one that does not exist.
        """
        with self.owner(request) as owner:
            account = self.get(request.match_info["account"])
            if account is None:
                raise not_found(request.path)
            if owner.sid not in (account.sid, account.parent):
                raise _unauthenticated()
            yield account

    def get(self, sid: str) -> Account | None:
        """Return the account as it is now."""
        entry = self._entries.get(sid)
        return entry.account if entry else None

    def is_active(self, account: Account) -> bool:
        """Whether it and its parent, if it has one, may use Twilio."""
        parent = self.get(account.parent) if account.parent is not None else None
        return account.status == "active" and (parent is None or parent.status == "active")

    def of(self, owner: Account) -> list[Account]:
        """Return an account and its subaccounts, in the order of their creation."""
        known = [entry.account for entry in self._entries.values()]
        return [account for account in known if owner.sid in (account.sid, account.parent)]

    def create(self, parent: Account, friendly_name: str) -> Account:
        """Add a subaccount with a token of its own. Raises TwilioRefusal (20003)."""
        if parent.parent is not None:
            raise _unauthenticated()
        name = friendly_name or f"SubAccount Created at {self._clock.now():%Y-%m-%d %I:%M %p}"
        sid, token = self._ids.new("AC"), self._ids.new("")
        return self._enter(
            Account(sid=sid, token=token, friendly_name=name[:64], parent=parent.sid)
        )

    def update(self, account: Account, friendly_name: str | None, status: str | None) -> Account:
        """Change an account; None leaves as it is.

        Raises TwilioRefusal: 21475 no such status, 21477 not a subaccount, 21479 closed for good.
        """
        changes: dict[str, Any] = {}
        if friendly_name is not None:
            changes["friendly_name"] = friendly_name[:64]
        if status is not None:
            _check_status(account, status)
            changes["status"] = status
        entry = self._entries[account.sid]
        entry.account = account.model_copy(update=changes)
        entry.updated = self._clock.now()
        return entry.account

    def as_resource(self, account: Account) -> dict[str, Any]:
        """Return the account as Twilio's JSON shows it."""
        entry, uri = self._entries[account.sid], f"{API}/Accounts/{account.sid}"
        return {
            "sid": account.sid,
            "auth_token": account.token,
            "friendly_name": account.friendly_name,
            "owner_account_sid": account.parent or account.sid,
            "status": account.status,
            "type": "Full",
            "date_created": rfc2822(entry.created),
            "date_updated": rfc2822(entry.updated),
            "uri": f"{uri}.json",
            "subresource_uris": {"calls": f"{uri}/Calls.json"},
        }

    def _enter(self, account: Account) -> Account:
        now = self._clock.now()
        self._entries[account.sid] = _Entry(account, now, now)
        return account

    @contextmanager
    def _counted(self, account: Account) -> Iterator[None]:
        limit = account.concurrency
        if limit is not None and self._under_way[account.sid] >= limit:
            raise TwilioRefusal(429, 20429, "Too Many Requests")
        self._under_way[account.sid] += 1
        try:
            yield
        finally:
            self._under_way[account.sid] -= 1


class AccountsApi:
    """The Accounts resource over HTTP."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes, named for the edge they are."""
        every, one = API + "/Accounts.json", API + "/Accounts/{account}.json"
        owner, opened = self._accounts.owner, self._accounts.opened
        router.add_get(every, guarded(owner, self._list), name="twilio.accounts.list")
        router.add_post(every, guarded(owner, self._create), name="twilio.accounts.create")
        router.add_get(one, guarded(opened, self._fetch), name="twilio.accounts.fetch")
        router.add_post(one, guarded(opened, self._update), name="twilio.accounts.update")

    async def _list(self, request: web.Request, owner: Account) -> web.Response:
        name, status = request.query.get("FriendlyName"), request.query.get("Status")
        found = [
            account
            for account in self._accounts.of(owner)
            if name in (None, account.friendly_name) and status in (None, account.status)
        ]
        return page_of(request, "accounts", found, self._accounts.as_resource)

    async def _create(self, request: web.Request, owner: Account) -> web.Response:
        form = texts(await request.post())
        created = self._accounts.create(owner, form.get("FriendlyName", ""))
        return web.json_response(self._accounts.as_resource(created), status=201)

    async def _fetch(self, request: web.Request, account: Account) -> web.Response:
        return web.json_response(self._accounts.as_resource(account))

    async def _update(self, request: web.Request, account: Account) -> web.Response:
        form = texts(await request.post())
        if "Status" in form and account.parent is not None and not _is_by(request, account.parent):
            raise _unauthenticated()
        changed = self._accounts.update(account, form.get("FriendlyName"), form.get("Status"))
        return web.json_response(self._accounts.as_resource(changed))


def guarded(
    admit: Callable[[web.Request], Any], handler: Handler
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return `handler` for whom `admit` lets in, with refusals in Twilio's form."""

    async def answer(request: web.Request) -> web.Response:
        try:
            with admit(request) as account:
                return await handler(request, account)
        except TwilioRefusal as refusal:
            return refused(refusal)

    return answer


def _check_status(account: Account, status: str) -> None:
    if status not in _STATUSES:
        raise TwilioRefusal(400, 21475, "Unable to update Status, invalid Status.")
    if account.parent is None:
        raise TwilioRefusal(400, 21477, "Unable to update Status for parent accounts")
    if account.status == "closed" and status != "closed":
        message = "Unable to update Status for subaccount, subaccount has been closed."
        raise TwilioRefusal(400, 21479, message)


def _is_by(request: web.Request, sid: str) -> bool:
    return basic_credentials(request.headers.get("Authorization", ""))[0] == sid


def _unauthenticated() -> TwilioRefusal:
    return TwilioRefusal(401, 20003, "Authenticate")
