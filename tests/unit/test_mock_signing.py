"""Callbacks are signed as Twilio signs them."""

import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from strike_mock.courier import Letter
from strike_mock.signing import signature

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
PARAMS = (
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+12349013030"),
    ("Digits", "1234"),
    ("From", "+12349013030"),
    ("To", "+18005551212"),
)


@pytest.mark.parametrize(
    ("caller", "signed"),
    [
        ("+12349013030", "0/KCTR6DLpKmkAf8muzZqo1nDgQ="),
        ("+14158675310", "GvWf1cFY/Q7PnoempGyD5oXAezc="),
    ],
)
def test_the_published_vectors(caller: str, signed: str) -> None:
    """Twilio's security page has shown this example with two different callers over the years."""
    params = [(k, caller if k in ("Caller", "From") else v) for k, v in PARAMS]
    assert signature("12345", URL, params) == signed


def test_a_fragment_is_never_signed() -> None:
    assert signature("12345", URL + "#rc=3", PARAMS) == signature("12345", URL, PARAMS)


def test_the_order_of_parameters_does_not_matter() -> None:
    assert signature("12345", URL, PARAMS[::-1]) == signature("12345", URL, PARAMS)


def test_twilios_own_validator_agrees() -> None:
    params = (*PARAMS, ("Note", "ärger & more"))
    signed = signature("secret", URL, params)
    assert RequestValidator("secret").validate(URL, dict(params), signed)
    assert not RequestValidator("other").validate(URL, dict(params), signed)


def test_a_get_signs_the_url_it_really_asks_for() -> None:
    letter = Letter("twiml", "CA1", "GET", "https://strike.example/t?a=1", PARAMS, "secret")
    assert letter.address().startswith("https://strike.example/t?a=1&CallSid=CA1234567890ABCDE")
    assert RequestValidator("secret").validate(letter.address(), {}, letter.signature())
