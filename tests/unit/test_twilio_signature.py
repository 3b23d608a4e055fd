"""A webhook is believed only with the signature of the account that it names."""

from collections.abc import Mapping
from uuid import UUID

import pytest
from pydantic import SecretStr

from strike_adapters.secrets import SecretError
from strike_adapters.twilio.accounts import TwilioAccount, WebhookUrls
from strike_adapters.twilio.signature import verify_webhook
from strike_domain.errors import Forbidden, Unavailable
from strike_mock.signing import signature

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMS = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+12349013030",
    "Digits": "1234",
    "From": "+12349013030",
    "To": "+18005551212",
}
RUN = UUID(int=1)
CALL = UUID(int=2)


class Accounts:
    def __init__(self, **tokens: str) -> None:
        self._tokens = tokens

    def for_noc(self, noc_id: UUID) -> TwilioAccount | None:
        return None

    def serves(self, account_sid: str, noc_id: UUID) -> bool:
        return False

    def by_sid(self, account_sid: str) -> TwilioAccount | None:
        token = self._tokens.get(account_sid)
        if token is None:
            return None
        return TwilioAccount(
            account_sid=account_sid, auth_token=SecretStr(token), from_number="+15550100099"
        )


KNOWN = Accounts(AC1="12345", AC2="another", EMPTY="", BLANK=" ")


def signed(token: str, params: Mapping[str, str], url: str = URL) -> str:
    return signature(token, url, params.items())


def test_the_published_vector_is_what_the_mock_signs_with() -> None:
    assert signature("12345", URL, PARAMS.items()) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


def test_the_official_vector_with_the_other_caller_is_accepted() -> None:
    class Only(Accounts):
        def by_sid(self, account_sid: str) -> TwilioAccount | None:
            return super().by_sid("AC1")

    params = PARAMS | {"Caller": "+14158675310", "From": "+14158675310"}
    accounts = Only(AC1="12345")
    found = verify_webhook(accounts, URL, params, "GvWf1cFY/Q7PnoempGyD5oXAezc=")
    assert found.account_sid == "AC1"


def test_a_webhook_is_of_the_account_whose_token_signed_it() -> None:
    for sid, token in (("AC1", "12345"), ("AC2", "another")):
        params = PARAMS | {"AccountSid": sid}
        assert verify_webhook(KNOWN, URL, params, signed(token, params)).account_sid == sid


def test_the_port_in_the_public_url_may_be_signed_or_not() -> None:
    params = {"AccountSid": "AC1"}
    given = signed("12345", params, "https://strike.example/twilio")
    found = verify_webhook(KNOWN, "https://strike.example:443/twilio", params, given)
    assert found.account_sid == "AC1"


@pytest.mark.parametrize(
    ("sid", "token"),
    [
        ("AC1", "another"),
        ("AC2", "12345"),
        ("AC3", "12345"),
        ("EMPTY", ""),
        ("BLANK", " "),
        ("", "12345"),
    ],
)
def test_a_signature_with_any_other_token_is_refused(sid: str, token: str) -> None:
    params = PARAMS | {"AccountSid": sid}
    with pytest.raises(Forbidden) as refusal:
        verify_webhook(KNOWN, URL, params, signed(token, params))
    assert refusal.value.code == "BAD_SIGNATURE"


@pytest.mark.parametrize("given", [None, "", "x", "ü" * 28, "0/KCTR6DLpKmkAf8muzZqo1nDgQ="])
def test_a_missing_or_made_up_signature_is_refused(given: str | None) -> None:
    with pytest.raises(Forbidden):
        verify_webhook(KNOWN, URL, PARAMS | {"AccountSid": "AC1"}, given)


def test_without_an_account_nothing_is_believed() -> None:
    with pytest.raises(Forbidden):
        verify_webhook(KNOWN, URL, PARAMS, signed("12345", PARAMS))


@pytest.mark.parametrize(
    ("url", "change"),
    [
        (URL, {"Digits": "1"}),
        (URL, {"More": "1"}),
        (URL.replace("https", "http"), {}),
        (URL + "&x=1", {}),
        ("https://evil.example/myapp.php?foo=1&bar=2", {}),
        ("https://mycompany.com:99999/", {}),
    ],
)
def test_what_was_changed_on_the_way_is_refused(url: str, change: dict[str, str]) -> None:
    params = PARAMS | {"AccountSid": "AC1"}
    with pytest.raises(Forbidden):
        verify_webhook(KNOWN, url, params | change, signed("12345", params))


def test_every_refusal_reads_the_same_and_holds_no_secret() -> None:
    messages = set()
    for sid in ("AC1", "AC3", "EMPTY"):
        with pytest.raises(Forbidden) as refusal:
            verify_webhook(KNOWN, URL, {"AccountSid": sid}, "wrong")
        messages.add(str(refusal.value))
    assert len(messages) == 1 and "12345" not in messages.pop()


def test_a_token_does_not_show_in_logs() -> None:
    assert "12345" not in repr(KNOWN.by_sid("AC1"))


def test_webhook_urls_stand_on_the_public_url_with_its_path() -> None:
    urls = WebhookUrls("https://strike.example/base/")
    tail = f"{RUN}/{CALL}"
    assert urls.voice(RUN, CALL) == f"https://strike.example/base/twilio/voice/{tail}"
    assert urls.key(RUN, CALL) == f"https://strike.example/base/twilio/key/{tail}"
    assert urls.status(RUN, CALL) == f"https://strike.example/base/twilio/status/{tail}"


def test_a_token_whose_key_does_not_answer_is_a_passing_trouble_and_a_damaged_one_is_none() -> None:
    class Sealed(Accounts):
        code = "KEY_UNAVAILABLE"

        def by_sid(self, account_sid: str) -> TwilioAccount | None:
            raise SecretError(self.code, "It does not open.")

    accounts, params = Sealed(), PARAMS | {"AccountSid": "AC1"}
    with pytest.raises(Unavailable, match="KEY_UNAVAILABLE") as error:
        verify_webhook(accounts, URL, params, signed("12345", params))
    assert error.value.can_retry
    accounts.code = "SECRET_UNREADABLE"
    with pytest.raises(SecretError):
        verify_webhook(accounts, URL, params, signed("12345", params))
