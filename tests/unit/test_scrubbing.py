"""What never reaches the log: secrets in every form they come in, and whole phone numbers."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from strike_adapters.secrets import SecretBox
from strike_app import scrubbing
from strike_app.scrubbing import HIDDEN, ScrubbingFilter, hide, scrub, scrubbed

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJvbGl2aWEifQ==.c2lnbmF0dXJlLW9mLWl0-_w=="
API_TOKEN = "strike_" + "Ab3-_" * 9
VALUE = "k9Qz+Lm/3v=="


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"the token {JWT} has expired", JWT),
        (f"x={JWT}", "eyJzdWIiOiJvbGl2aWEifQ"),
        (f"who has {API_TOKEN}?", API_TOKEN),
        (f"Bearer {API_TOKEN}", API_TOKEN),
        (f"bearer {VALUE}", VALUE),
        (f"Authorization: Basic {VALUE}", VALUE),
        (f"{{'Authorization': 'Basic {VALUE}', 'Accept': '*/*'}}", VALUE),
        (f"[(b'authorization', b'{VALUE}')]", VALUE),
        (json.dumps({"x-amzn-oidc-data": VALUE}), VALUE),
        (json.dumps(json.dumps({"Cf-Access-Jwt-Assertion": VALUE})), VALUE),
        (f"X-Twilio-Signature: {VALUE}", VALUE),
        (f"<CIMultiDictProxy('X-Twilio-Signature': '{VALUE}')>", VALUE),
        ("postgresql://strike:h@un/ter2@db:5432/strike".replace("/t", "t"), "h@unter2"),
        ("cannot connect to postgres://:hunter2@db/strike?sslmode=require", "hunter2"),
        ("host=db user=strike password=hunter2 dbname=strike", "hunter2"),
        ("password='hunter 2'", "hunter 2"),
        (f"auth_token={VALUE}&x=1", VALUE),
        (f"TwilioAccount(auth_token='{VALUE}')", VALUE),
        (f"TWILIO_AUTH_TOKEN={VALUE}", VALUE),
        (f'{{"client_secret": "{VALUE}"}}', VALUE),
    ],
)
def test_a_secret_is_taken_out_of_a_text(text: str, secret: str) -> None:
    assert secret not in scrubbed(text)
    assert HIDDEN in scrubbed(text)


def test_what_stands_around_a_secret_stays_to_be_read() -> None:
    assert scrubbed("connecting to postgresql://u:hunter2@db/strike failed") == (
        "connecting to postgresql://u:[hidden]@db/strike failed"
    )
    assert scrubbed(f"{{'Authorization': 'x{VALUE}', 'Accept': '*/*'}}") == (
        "{'Authorization': '[hidden]', 'Accept': '*/*'}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-01T12:00:00+00:00 ECO 26-0001 of strike_app.graphql.subscription opened",
        "authorization was refused, and the token of nobody was asked for",
        "https://strike.example/in/twilio/key/1?turn=abc",
        "CA0123456789abcdef0123456789abcdef at -105.27,40.01 after 1234567890123 ms",
        "a basic truth",
    ],
)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert scrubbed(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("calling +13035550101 now", "calling ***0101 now"),
        ("to=%2B13035550101&x", "to=***0101&x"),
        ("+1 (303) 555-0101, +44 20 7946 0958", "***0101, ***0958"),
    ],
)
def test_phone_numbers_keep_their_last_four_digits(text: str, masked: str) -> None:
    assert scrubbed(text) == masked


def test_a_registered_value_is_hidden_wherever_it_stands() -> None:
    hide("tr0ub4dor")
    hide("tr0ub4dor-and-more")
    assert scrubbed("<tr0ub4dor-and-more> <tr0ub4dor>") == "<[hidden]> <[hidden]>"


def test_too_short_a_value_is_not_registered_and_the_oldest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scrubbing, "_known", scrubbing._Known())
    monkeypatch.setattr(scrubbing, "MOST_HIDDEN", 2)
    for value in ("abcde", "", "first-one", "second-one", "third-one"):
        hide(value)
    assert scrubbed("abcde first-one second-one third-one") == "abcde first-one [hidden] [hidden]"


def test_an_event_is_scrubbed_however_deep_and_numbers_stay() -> None:
    event = {
        "event": f"refused {JWT}",
        "auth_token": "anything",
        "headers": {"Authorization": ("x", "y"), "n": [1, 2.5, None, True]},
        "nested": [{"deeper": (f"Bearer {VALUE}",)}, VALUE.encode()],
        "error": ValueError(f"password={VALUE}"),
        "loop": [[[[[[[[[f"Bearer {VALUE}"]]]]]]]]],
        "id": uuid4(),
    }
    said = scrub(None, "info", event)
    text = json.dumps(said)
    assert JWT not in text and "anything" not in text and "'y'" not in text
    assert f"Bearer {VALUE}" not in text and f"password={VALUE}" not in text
    assert said["headers"]["n"] == [1, 2.5, None, True]
    assert str(event["id"]) in said["id"]


def test_a_very_long_text_is_cut_off_instead_of_being_searched_for_ever() -> None:
    assert len(scrubbed("a_" * scrubbing.MOST_CHARACTERS)) < scrubbing.MOST_CHARACTERS + 20


def test_lines_of_other_libraries_are_scrubbed_with_their_arguments_and_tracebacks() -> None:
    try:
        raise RuntimeError(f"Authorization: {VALUE}")
    except RuntimeError:
        record = logging.LogRecord(
            "x", logging.ERROR, "p", 1, "asked %s", (f"Bearer {VALUE}",), sys.exc_info()
        )
    assert ScrubbingFilter().filter(record)
    line = logging.Formatter().format(record)
    assert line.startswith("asked Bearer [hidden]\nTraceback")
    assert VALUE not in line


def test_a_line_whose_arguments_do_not_fit_is_still_written() -> None:
    record = logging.LogRecord("x", logging.ERROR, "p", 1, "asked %s %s", ("one",), None)
    assert ScrubbingFilter().filter(record)
    assert "asked" in record.getMessage()


def test_what_a_process_writes_is_scrubbed_in_both_forms_of_the_log(tmp_path: Path) -> None:
    program = f"""
import logging, structlog
from strike_app.logs import configure
configure(as_json={{}})
try:
    raise RuntimeError("Bearer {VALUE}")
except RuntimeError:
    structlog.get_logger().exception("failed", auth_token="{VALUE}", to="+13035550101")
    logging.getLogger("other").warning("asked %s", "X-Twilio-Signature: {VALUE}", exc_info=True)
"""
    for as_json in ("True", "False"):
        run = subprocess.run(
            [sys.executable, "-c", program.replace("{}", as_json)],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"STRIKE_LOG": "DEBUG"},
        )
        assert VALUE not in run.stderr and "+1303" not in run.stderr
        assert "***0101" in run.stderr and run.stderr.count(HIDDEN) >= 4


def test_a_box_tells_which_secrets_it_seals_and_opens() -> None:
    told: list[str] = []
    box = SecretBox(bytes(32), on_secret=told.append)
    tenant = uuid4()
    sealed = box.seal(tenant, "purpose", "tr0ub4dor")
    assert box.open(tenant, "purpose", sealed).get_secret_value() == "tr0ub4dor"
    assert told == ["tr0ub4dor", "tr0ub4dor"]
