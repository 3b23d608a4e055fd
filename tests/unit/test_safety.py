"""What keeps a process from starting in production, one by one; in development it is only said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import AnyHttpUrl

from strike_app.safety import Unsafe, refuse, unsafe
from strike_app.settings import Settings
from strike_mock.settings import DEFAULT_SIGNER

SAFE: dict[str, Any] = {
    "environment": "production",
    "database_url": "postgresql://strike:not-for-logs@db.example/strike?sslmode=verify-full",
    "public_url": "https://strike.example",
    "oidc_signer": "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/ours/1",
    "secrets_key_file": Path("/etc/strike/key"),
    "trusted_proxies": "10.0.0.0/8,2001:db8::/32",
}

DANGERS: list[tuple[str, dict[str, Any]]] = [
    ("PUBLIC_URL_MISSING", {"public_url": None}),
    ("PUBLIC_URL_NOT_HTTPS", {"public_url": "http://strike.example"}),
    ("PUBLIC_URL_LOCAL", {"public_url": "https://localhost:8080"}),
    ("PUBLIC_URL_LOCAL", {"public_url": "https://10.1.2.3"}),
    ("TWILIO_NOT_REAL", {"twilio_base_url": "http://mock:9000"}),
    ("TWILIO_NOT_REAL", {"twilio_base_url": "https://twilio.com.example"}),
    ("LEASE_TOO_SHORT", {"lease_seconds": 5.0}),
    ("SIGNER_OF_MOCK", {"oidc_signer": DEFAULT_SIGNER}),
    ("LOGIN_KEYS_INSECURE", {"oidc_keys": "http://keys.example"}),
    ("LOGIN_KEYS_INSECURE", {"oidc_keys": "https://127.0.0.1:9000/keys"}),
    (
        "LOGIN_KEYS_INSECURE",
        {
            "cloudflare_team": "t.cloudflareaccess.com",
            "cloudflare_audience": "a",
            "cloudflare_certs": "http://certs.example",
        },
    ),
    ("PROXIES_TOO_WIDE", {"trusted_proxies": "0.0.0.0/0"}),
    ("PROXIES_TOO_WIDE", {"trusted_proxies": "10.0.0.0/8, ::/0"}),
    ("DATABASE_EMBEDDED", {"database_url": None}),
    ("DATABASE_UNENCRYPTED", {"database_url": "postgresql://db.example/strike?sslmode=disable"}),
    (
        "DATABASE_UNENCRYPTED",
        {"read_database_url": "postgresql://near.example/strike?sslmode=disable"},
    ),
    ("SECRETS_KEY_MISSING", {"secrets_key_file": None}),
    ("KMS_NOT_HTTPS", {"secrets_kms_key": "arn:aws:kms:x", "secrets_kms_url": "http://kms:1"}),
    ("CLOCK_NOT_REAL", {"clock_speed": 20.0}),
]

FINE: list[dict[str, Any]] = [
    {"twilio_base_url": "https://api.dublin.ie1.twilio.com"},
    {"database_url": "postgresql://127.0.0.1/strike?sslmode=disable"},
    {"database_url": "host=/run/postgresql dbname=strike sslmode=disable"},
    {"secrets_key_file": None, "secrets_kms_key": "arn:aws:kms:us-east-1:1:key/1"},
    {"oidc_signer": "", "oidc_keys": "http://keys.example"},
]


def settings(**changes: Any) -> Settings:
    values = SAFE | changes
    for name in values.keys() & {"public_url", "twilio_base_url", "oidc_keys"}:
        values[name] = AnyHttpUrl(values[name]) if values[name] else None
    return Settings.model_validate(values)


def test_what_is_safe_starts() -> None:
    assert refuse(settings(), unsafe(settings())) == []


@pytest.mark.parametrize("changes", FINE)
def test_what_only_looks_unsafe_starts_as_well(changes: dict[str, Any]) -> None:
    assert [one.code for one in unsafe(settings(**changes))] == []


@pytest.mark.parametrize(("code", "changes"), DANGERS)
def test_each_danger_has_its_code_and_a_cure(code: str, changes: dict[str, Any]) -> None:
    given = settings(**changes)
    (danger,) = unsafe(given)
    with pytest.raises(Unsafe) as refused:
        refuse(given, unsafe(given))
    assert refused.value.code == danger.code == code
    assert refused.value.message == f"{danger.said} {danger.cure}"
    assert danger.said.endswith(".")
    assert danger.cure.endswith(".")
    assert "not-for-logs" not in refused.value.message


def test_several_are_told_at_once() -> None:
    given = settings(public_url="http://localhost", clock_speed=2.0)
    with pytest.raises(Unsafe) as refused:
        refuse(given, unsafe(given))
    assert refused.value.code == "PUBLIC_URL_NOT_HTTPS"
    assert "Besides: PUBLIC_URL_LOCAL, CLOCK_NOT_REAL;" in refused.value.message


def test_a_risk_that_was_accepted_is_none_and_the_others_are() -> None:
    given = settings(
        accepted_risks="CLOCK_NOT_REAL, X", clock_speed=2.0, public_url="https://localhost"
    )
    with pytest.raises(Unsafe) as refused:
        refuse(given, unsafe(given))
    assert refused.value.code == "PUBLIC_URL_LOCAL"
    assert "CLOCK_NOT_REAL" not in refused.value.message


def test_in_development_it_is_only_told() -> None:
    given = settings(environment="development", clock_speed=2.0)
    assert refuse(given, unsafe(given)) == ["CLOCK_NOT_REAL"]


def test_the_docs_name_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    database = {"DATABASE_SUPERUSER", "DATABASE_MAY_FORGET", "DATABASE_TOO_OLD"}
    for code in {code for code, _ in DANGERS} | database:
        assert f"| `{code}` |" in page
