"""Links in texts: what they stand for can be read by anybody, and changed by nobody."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from strike_adapters.twilio.accounts import TwilioAccount, WebhookUrls
from strike_adapters.twilio.links import SignedLinks, claimed_by
from strike_app.scrubbing import scrubbed
from strike_domain.errors import Unavailable
from strike_domain.ports import JobLink

NOC, OTHER = UUID(int=1), UUID(int=2)
LINK = JobLink(
    run_id=UUID("3f0c5dd4-2b7f-4a66-9f4a-0f1f6e0e8a11"),
    call_id=UUID(int=7),
    phone="+13035550101",
    number=3,
    expires_at=datetime(2026, 1, 22, 3, tzinfo=UTC),
)


class Accounts:
    def __init__(self) -> None:
        self._tokens = {NOC: "the token of one", OTHER: "the token of another"}

    def for_noc(self, noc_id: UUID) -> TwilioAccount | None:
        token = self._tokens.get(noc_id)
        if token is None:
            return None
        return TwilioAccount(
            account_sid="AC" + "1" * 32, auth_token=SecretStr(token), from_number="+12025550199"
        )

    def by_sid(self, account_sid: str) -> TwilioAccount | None:
        return None

    def serves(self, account_sid: str, noc_id: UUID) -> bool:
        return False


LINKS = SignedLinks(Accounts(), WebhookUrls("https://strike.example/in/"))


def token_of(link: JobLink = LINK, noc_id: UUID = NOC) -> str:
    return LINKS.address(noc_id, link).removeprefix("https://strike.example/in/j/")


def is_good(token: str, link: JobLink = LINK, noc_id: UUID = NOC) -> bool:
    claimed = claimed_by(token)
    return claimed is not None and LINKS.is_signed(claimed, noc_id, link)


def test_a_link_is_short_and_says_what_it_stands_for() -> None:
    token = token_of()
    assert len(token) == 51
    claimed = claimed_by(token)
    assert claimed is not None
    assert (claimed.run_id, claimed.number) == (LINK.run_id, LINK.number)
    assert is_good(token)


@pytest.mark.parametrize(
    "other",
    [
        replace(LINK, run_id=UUID(int=9)),
        replace(LINK, number=4),
        replace(LINK, call_id=UUID(int=8)),
        replace(LINK, phone="+13035550102"),
        replace(LINK, expires_at=LINK.expires_at + timedelta(days=1)),
    ],
    ids=["run", "number", "call", "person", "end"],
)
def test_the_link_of_one_thing_is_not_that_of_another(other: JobLink) -> None:
    assert not is_good(token_of(), other)
    assert not is_good(token_of(other))


def test_the_link_of_one_noc_is_not_that_of_another() -> None:
    assert not is_good(token_of(), noc_id=OTHER)
    assert not is_good(token_of(), noc_id=UUID(int=3))


@given(st.integers(0, 38 * 8 - 1))
def test_a_token_of_which_any_bit_was_changed_is_none(bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(token_of() + "="))
    raw[bit // 8] ^= 1 << bit % 8
    assert not is_good(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


@given(st.text() | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_whatever_else_is_no_token(text: str) -> None:
    assert not is_good(text)


def test_another_spelling_of_the_same_bytes_is_no_token() -> None:
    token = token_of()
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(token[-1])
    other = (
        token[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last ^ 1]
    )
    assert base64.urlsafe_b64decode(other + "=") == base64.urlsafe_b64decode(token + "=")
    assert claimed_by(other) is None


def test_without_an_account_there_is_nothing_to_sign_with() -> None:
    with pytest.raises(Unavailable):
        LINKS.address(UUID(int=3), LINK)


def test_the_log_does_not_hold_a_link() -> None:
    assert token_of() not in scrubbed(f'GET /in/j/{token_of()} "sent https://x/j/{token_of()}"')
