"""The links in texts: addresses that are signed with the token of the NOC's Twilio account.

Whoever knows that token can sign key presses in Twilio's name already, so that a link gives nobody
more than they had; and there is no further secret to keep, to change and to lose. A token that is
changed makes earlier links invalid.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from strike_adapters.twilio.accounts import TwilioAccounts, WebhookUrls
from strike_domain.errors import Unavailable
from strike_domain.ports import JobLink

_PURPOSE = b"strike job link, version 1"
_FORM = struct.Struct(">16sHI")
_SIGNATURE = 16
"""Bytes: half of SHA-256, of which nothing can be guessed either. A text is short."""

_BYTES = _FORM.size + _SIGNATURE


@dataclass(frozen=True)
class Claimed:
    """What a token says of itself; nothing is proven yet."""

    run_id: UUID
    number: int
    expires_at: datetime
    signature: bytes


class SignedLinks:
    """`JobLinks`, and whether a token is one of them."""

    def __init__(self, accounts: TwilioAccounts, urls: WebhookUrls) -> None:
        self._accounts = accounts
        self._urls = urls

    def address(self, noc_id: UUID, link: JobLink) -> str:
        """Raises `Unavailable` (NO_TWILIO_ACCOUNT) where there is nothing to sign with."""
        key = self._key(noc_id)
        if key is None:
            message = "This NOC has no Twilio account to text with."
            raise Unavailable(message, "NO_TWILIO_ACCOUNT", can_retry=False)
        token = base64.urlsafe_b64encode(_payload(link) + _signed(key, link)).rstrip(b"=")
        return self._urls.job(token.decode())

    def is_signed(self, claimed: Claimed, noc_id: UUID, link: JobLink) -> bool:
        """Whether `claimed` is the token of `link`, of that NOC. Does not look at the time."""
        key = self._key(noc_id)
        stands_for = (link.run_id, link.number, link.expires_at)
        if key is None or stands_for != (claimed.run_id, claimed.number, claimed.expires_at):
            return False
        return hmac.compare_digest(claimed.signature, _signed(key, link))

    def _key(self, noc_id: UUID) -> bytes | None:
        account = self._accounts.for_noc(noc_id)
        token = account.auth_token.get_secret_value() if account else ""
        # HMAC accepts an empty key: a forgotten token would let everybody sign.
        if not token.strip():
            return None
        return hmac.digest(token.encode(), _PURPOSE, hashlib.sha256)


def claimed_by(token: str) -> Claimed | None:
    """What a token says, if it has the form of one."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    # A last character with other loose bits would be another token of the same bytes.
    if len(raw) != _BYTES or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        return None
    run_id, number, expires = _FORM.unpack(raw[: _FORM.size])
    expires_at = datetime.fromtimestamp(expires, UTC)
    return Claimed(UUID(bytes=run_id), number, expires_at, raw[_FORM.size :])


def _payload(link: JobLink) -> bytes:
    return _FORM.pack(link.run_id.bytes, link.number, int(link.expires_at.timestamp()))


def _signed(key: bytes, link: JobLink) -> bytes:
    told = _payload(link) + link.call_id.bytes + link.phone.encode()
    return hmac.digest(key, told, hashlib.sha256)[:_SIGNATURE]
