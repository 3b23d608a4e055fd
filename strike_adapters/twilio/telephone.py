"""Rings people through Twilio's Calls resource, with Twilio's own SDK, and texts them.

https://www.twilio.com/docs/voice/api/call-resource
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr
from twilio.base.exceptions import (  # type: ignore[import-untyped]
    TwilioRestException,
    TwilioServiceException,
)
from twilio.rest import Client  # type: ignore[import-untyped]

from strike_adapters.twilio.accounts import TwilioAccount, TwilioAccounts, WebhookUrls
from strike_adapters.twilio.failures import asking, placing
from strike_adapters.twilio.http import OneTryHttp
from strike_adapters.twilio.states import CALL_STATES
from strike_domain.errors import OutcomeUnknown, Unavailable
from strike_domain.ports import MOST_PLACING_SECONDS, CallOrder, ProviderCall, TextOrder

MOST_CALLS = 100
"""How many calls to one number `find` looks at: one page of Twilio's list, newest first."""

_EVENTS = ("initiated", "ringing", "answered", "completed")
_OVER = (400, 409)


class TwilioTelephone:
    """A `Telephone` and `Texts`; may be used by many threads at once.

    Each NOC's calls go through its own account; a NOC without one gets `Unavailable`
    (NO_TWILIO_ACCOUNT, no retry). Refusals have the code TWILIO_ and Twilio's error number
    (https://www.twilio.com/docs/api/errors). Nothing is ever sent twice by itself. A token that
    cannot be opened is a `SecretError` and on purpose no refusal, which would use up the list: the
    run stays as it is and is claimed again. `base_url` replaces https://api.twilio.com; both times
    are in seconds and together below `MOST_PLACING_SECONDS`. `transport` and `monotonic` replace
    the network and the clock that times it.
    """

    def __init__(
        self,
        accounts: TwilioAccounts,
        urls: WebhookUrls,
        *,
        base_url: str | None = None,
        connect_seconds: float = 2.0,
        read_seconds: float = 5.0,
        transport: httpx.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if connect_seconds + read_seconds >= MOST_PLACING_SECONDS:
            raise ValueError(
                f"connecting and reading must take less than {MOST_PLACING_SECONDS:g} s"
            )
        self._accounts = accounts
        self._urls = urls
        self._base_url = base_url
        self._http = OneTryHttp(connect_seconds, read_seconds, transport, monotonic)
        self._clients: dict[str, tuple[TwilioAccount, Any]] = {}
        self._lock = Lock()

    def place(self, order: CallOrder) -> str:
        """Start the call and return its sid; raises as `Telephone.place` says."""
        account = self._account(order.noc_id)
        client = self._client(account)
        with placing():
            sid = client.calls.create(
                to=order.to,
                from_=account.from_number,
                url=self._urls.voice(order.run_id, order.call_id),
                method="POST",
                status_callback=self._urls.status(order.run_id, order.call_id),
                status_callback_method="POST",
                status_callback_event=list(_EVENTS),
                timeout=order.answer_seconds,
            ).sid
        if not sid:
            raise OutcomeUnknown("Twilio took the call and named no sid.")
        return str(sid)

    def send_text(self, order: TextOrder) -> str:
        """Hand a text to Twilio's Messages resource, once, and return its sid.

        Raises as `Texts.send_text` says. https://www.twilio.com/docs/messaging/api/message-resource
        """
        account = self._account(order.noc_id)
        client = self._client(account)
        with placing():
            sid = client.messages.create(
                to=order.to,
                from_=account.from_number,
                body=order.body,
                status_callback=self._urls.text(order.run_id, order.call_id),
            ).sid
        if not sid:
            raise OutcomeUnknown("Twilio took the text and named no sid.")
        return str(sid)

    def find(self, noc_id: UUID, to: str, since: datetime) -> Sequence[ProviderCall]:
        """The calls to that number created at or after the second of `since`, newest last.

        Twilio's own filter goes by the start, which a queued call does not have yet; so the last
        `MOST_CALLS` are read and compared here, by whole seconds, as Twilio gives them.
        """
        earliest = since.astimezone(UTC).replace(microsecond=0)
        client = self._client(self._account(noc_id))
        with asking():
            listed = client.calls.list(to=to, limit=MOST_CALLS, page_size=MOST_CALLS)
            recent = [one for one in listed if _created(one, earliest) >= earliest]
        recent.reverse()
        recent.sort(key=lambda one: _created(one, earliest))
        return [_provider_call(one) for one in recent]

    def fetch(self, noc_id: UUID, sid: str) -> ProviderCall:
        """The true state of one call; a sid unknown to Twilio is TWILIO_20404, no retry."""
        client = self._client(self._account(noc_id))
        with asking():
            return _provider_call(client.calls(sid).fetch())

    def end(self, noc_id: UUID, sid: str) -> None:
        """End the call, and make sure of it.

        Raises `Unavailable` also (TWILIO_CALL_GOES_ON) if Twilio accepted and it still goes on.
        """
        client = self._client(self._account(noc_id))
        with asking():
            ended = any(_is_ended_by(client, sid, status) for status in ("completed", "canceled"))
        if not ended:
            raise Unavailable("Twilio did not end the call.", "TWILIO_CALL_GOES_ON")

    def warm_up(self) -> None:
        """Load the SDK's parts now: at the first call that would cost most of a second."""
        nobody = TwilioAccount(
            account_sid=f"AC{0:032d}", auth_token=SecretStr("unused"), from_number="+12025550199"
        )
        self._new_client(nobody)

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()

    def _account(self, noc_id: UUID) -> TwilioAccount:
        account = self._accounts.for_noc(noc_id)
        if account is None:
            message = "This NOC has no Twilio account to call with."
            raise Unavailable(message, "NO_TWILIO_ACCOUNT", can_retry=False)
        return account

    def _client(self, account: TwilioAccount) -> Any:
        with self._lock:
            known = self._clients.get(account.account_sid)
            if known is None or known[0] != account:
                known = (account, self._new_client(account))
                self._clients[account.account_sid] = known
            return known[1]

    def _new_client(self, account: TwilioAccount) -> Any:
        token = account.auth_token.get_secret_value()
        # The environment's TWILIO_EDGE would move base_url, its TWILIO_AUTH_TOKEN stand in for an
        # empty token; and one that is empty is taken for none.
        client = Client(account.account_sid, token, http_client=self._http, environment={"": ""})
        if self._base_url is not None:
            client.api.base_url = self._base_url
        # The SDK makes its parts at their first use, without a lock.
        _ = client.calls, client.messages
        return client


def _is_ended_by(client: Any, sid: str, status: str) -> bool:
    """Ask for `status` and return whether the call is over, by the answer or by looking again."""
    try:
        if _provider_call(client.calls(sid).update(status=status)).state.is_final:
            return True
    except (TwilioRestException, TwilioServiceException) as error:
        # 21220: over already. Also what a call is refused that left the state asked about.
        if error.status not in _OVER:
            raise
    return _provider_call(client.calls(sid).fetch()).state.is_final


def _created(call: Any, unknown: datetime) -> datetime:
    """When Twilio took the call; `unknown` if it does not say, which nobody has seen it do."""
    created = call.date_created
    if not isinstance(created, datetime):
        return unknown
    return created if created.tzinfo else created.replace(tzinfo=UTC)


def _provider_call(call: Any) -> ProviderCall:
    state = CALL_STATES.get(call.status)
    if state is None:
        raise Unavailable(f"Twilio gave a call no known state: {call.status}", "TWILIO_STATE")
    return ProviderCall(str(call.sid), str(call.to), state, call.answered_by or None)
