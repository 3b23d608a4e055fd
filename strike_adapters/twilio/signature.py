"""Whether a webhook really comes from Twilio.

https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

from collections.abc import Mapping

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from strike_adapters.secrets import KEY_UNAVAILABLE, SecretError
from strike_adapters.twilio.accounts import TwilioAccount, TwilioAccounts
from strike_domain.errors import Forbidden, Unavailable


def verify_webhook(
    accounts: TwilioAccounts, url: str, params: Mapping[str, str], signature: str | None
) -> TwilioAccount:
    """Return the account whose token signed the POST of `params` to `url`.

    `url` is the public one with its query, as Twilio was told it: built from settings, never from
    forwarded headers. `signature` is the header `X-Twilio-Signature`. Raises `Forbidden`
    (BAD_SIGNATURE), which does not say what is wrong, and `Unavailable` (KEY_UNAVAILABLE) if the
    token's key cannot be asked for the moment.
    """
    account = _account(accounts, params.get("AccountSid", ""))
    token = account.auth_token.get_secret_value() if account else ""
    # HMAC accepts an empty key: a forgotten token would let everybody sign.
    if account is None or not token.strip() or not signature:
        raise _forbidden()
    if not _is_signed(token, url, params, signature):
        raise _forbidden()
    return account


def _account(accounts: TwilioAccounts, sid: str) -> TwilioAccount | None:
    try:
        return accounts.by_sid(sid)
    except SecretError as error:
        if error.code != KEY_UNAVAILABLE:
            raise
        raise Unavailable(error.message, error.code) from error


def _is_signed(token: str, url: str, params: Mapping[str, str], signature: str) -> bool:
    # A Mapping with getlist or getall (a multidict) is signed with all its values.
    try:
        return bool(RequestValidator(token).validate(url, params, signature))
    except (ValueError, UnicodeError):  # a port or a surrogate that no real request has
        return False


def _forbidden() -> Forbidden:
    return Forbidden("The request is not signed as it must be.", "BAD_SIGNATURE")
