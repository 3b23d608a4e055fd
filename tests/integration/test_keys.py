"""Nothing starts with a key that does not open what is stored, and no key is made in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import AnyHttpUrl

from strike_adapters.postgres.accounts import PostgresAccounts
from strike_adapters.postgres.vault import rewrap_all
from strike_adapters.secrets import SecretBox, SecretError, create_key
from strike_app.bootstrap import open_strike
from strike_app.doctor import CURES, Finding, Verdict, examine
from strike_app.keys import open_keys
from strike_app.settings import Settings
from tests.integration.stored import execute
from tests.integration.vaults import NOCS, OSPS, account, assert_all_open, filled
from tests.unit.fake_kms import be_nobody_at_aws, running_kms

ARN = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OTHER_ARN = ARN[:-1] + "c"


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, SecretBox]:
    """Boxes of the key files `old` and `new` in the test's folder."""
    return {name: SecretBox(create_key(tmp_path / name)) for name in ("old", "new")}


def fails(settings: Settings) -> SecretError:
    with pytest.raises(SecretError) as error, open_strike(settings):
        pass
    return error.value


def opens(settings: Settings) -> None:
    with open_strike(settings) as strike:
        assert_all_open(strike.pool, strike.keys.box)


def doctor(patch: pytest.MonkeyPatch, settings: Settings) -> list[Finding]:
    """What the doctor says of secrets."""
    patch.setenv("STRIKE_TWILIO_BASE_URL", "http://127.0.0.1:1")
    for name, value in settings.model_dump(exclude_unset=True).items():
        patch.setenv(f"STRIKE_{name.upper()}", str(value))
    return [one for one in examine() if one.what.startswith("secrets")]


def test_a_key_is_made_where_nothing_is_stored(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "made" / "key"
    with open_strike(Settings(database_url=database_url, secrets_key_file=file)) as strike:
        assert file.exists()
        assert strike.keys.place(strike.keys.box.key_id) == f"file {file}"


def test_a_missing_key_is_told_and_none_is_made(
    database_url: str, tmp_path: Path, keys: dict[str, SecretBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lost"
    settings = Settings(database_url=database_url, secrets_key_file=file)
    with filled(database_url, keys["old"]):
        error = fails(settings)
        assert error.code == "KEY_MISSING"
        assert str(file) in error.message and "STRIKE_SECRETS_KEY_FILE" in error.message
        assert not file.exists()
        (finding,) = doctor(monkeypatch, settings)
        assert (finding.verdict, finding.cure) == (Verdict.WRONG, CURES["KEY_MISSING"])


def test_a_wrong_key_is_told_with_how_many_secrets_of_what_kind_need_which(
    database_url: str, tmp_path: Path, keys: dict[str, SecretBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=database_url, secrets_key_file=tmp_path / "new")
    with filled(database_url, keys["old"]):
        error = fails(settings)
        assert error.code == "KEY_UNKNOWN"
        key_id = keys["old"].key_id.hex()
        for told in (
            f"5 Twilio auth tokens under key id {key_id}",
            f"3 Render client secrets under key id {key_id}",
            "STRIKE_SECRETS_KEY_FILE",
            "STRIKE_SECRETS_PREVIOUS_KEY_FILES",
        ):
            assert told in error.message
        (finding,) = doctor(monkeypatch, settings)
        assert (finding.verdict, finding.cure) == (Verdict.WRONG, CURES["KEY_UNKNOWN"])


def test_the_old_key_given_as_a_previous_one_opens(
    database_url: str, tmp_path: Path, keys: dict[str, SecretBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        database_url=database_url,
        secrets_key_file=tmp_path / "new",
        secrets_previous_key_files=f" {tmp_path / 'old'}, ",
    )
    with filled(database_url, keys["old"]):
        opens(settings)
        ok, *stored = doctor(monkeypatch, settings)
        assert ok.verdict is Verdict.OK and str(tmp_path / "new") in ok.said
        key_id = keys["old"].key_id.hex()
        assert [one.said for one in stored] == [f"Under key {key_id}: {n}." for n in (3, 5)]
        assert {one.cure for one in stored} == {"Run `strike secrets rotate`."}


def test_a_previous_key_that_is_missing_is_told_as_such(
    database_url: str, tmp_path: Path, keys: dict[str, SecretBox]
) -> None:
    settings = Settings(
        database_url=database_url,
        secrets_key_file=tmp_path / "new",
        secrets_previous_key_files=str(tmp_path / "lost"),
    )
    error = fails(settings)
    assert error.code == "KEY_MISSING"
    assert "STRIKE_SECRETS_PREVIOUS_KEY_FILES" in error.message


@pytest.mark.parametrize(("name", "setting"), [("new", "file"), ("old", "previous")])
def test_a_damaged_key_is_told_as_such(
    database_url: str, tmp_path: Path, keys: dict[str, SecretBox], name: str, setting: str
) -> None:
    settings = Settings(
        database_url=database_url,
        secrets_key_file=tmp_path / "new",
        secrets_previous_key_files=str(tmp_path / "old"),
    )
    with filled(database_url, keys["old"]):
        (tmp_path / name).write_text("AAAA")
        assert fails(settings).code == "KEY_INVALID"
        (tmp_path / name).chmod(0o644)
        assert fails(settings).code == "KEY_EXPOSED"


def test_one_secret_that_is_damaged_stops_nobody_else(
    database_url: str, tmp_path: Path, keys: dict[str, SecretBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(database_url=database_url, secrets_key_file=tmp_path / "old")
    with filled(database_url, keys["old"]):
        damage = "UPDATE twilio_accounts SET auth_token = %s WHERE noc_id = %s"
        execute(database_url, damage, b"plain", NOCS[0])
        with open_strike(settings) as strike:
            assert strike.accounts.for_noc(NOCS[1]) == account(NOCS[1])
        wrong = [one for one in doctor(monkeypatch, settings) if one.verdict is Verdict.WRONG]
        assert [(str(NOCS[0]) in one.said, one.cure) for one in wrong] == [
            (True, CURES["SECRET_UNREADABLE"])
        ]


def test_secrets_of_a_lost_key_are_deleted_as_the_manual_says(
    database_url: str, tmp_path: Path, keys: dict[str, SecretBox]
) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "secrets.md").read_text("utf-8")
    statements = manual.split("```sql\n")[1].split("```")[0]
    settings = Settings(database_url=database_url, secrets_key_file=tmp_path / "new")
    with filled(database_url, keys["old"]) as pool:
        PostgresAccounts(pool, keys["new"]).save_twilio(NOCS[0], account(NOCS[0]))
        execute(database_url, statements.replace("0123456789abcdef", keys["old"].key_id.hex()))
        with open_strike(settings) as strike:
            assert strike.accounts.for_noc(NOCS[0]) == account(NOCS[0])
            assert strike.accounts.for_noc(NOCS[1]) is None


def test_secrets_move_from_a_file_to_kms_and_on_to_another_key_there(
    database_url: str, tmp_path: Path, keys: dict[str, SecretBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_nobody_at_aws(monkeypatch, tmp_path)
    with filled(database_url, keys["old"]) as pool, running_kms() as kms:

        def settings(**more: Any) -> Settings:
            url = AnyHttpUrl(kms.url)
            return Settings(database_url=database_url, secrets_kms_url=url, **more)

        def rotate(**more: Any) -> int:
            with open_keys(settings(**more), pool) as ring:
                return rewrap_all(pool, ring.box).moved

        file = {"secrets_key_file": tmp_path / "old"}
        opens(settings(**file, secrets_previous_kms_keys=ARN))
        assert rotate(secrets_kms_key=ARN, **file) == len(NOCS) + len(OSPS)
        opens(settings(**file, secrets_previous_kms_keys=ARN))
        monkeypatch.setenv("STRIKE_DATA_DIR", str(tmp_path / "nothing"))
        opens(settings(secrets_kms_key=ARN))
        assert fails(settings(secrets_kms_key=OTHER_ARN)).code == "KEY_UNKNOWN"
        moved = rotate(secrets_kms_key=OTHER_ARN, secrets_previous_kms_keys=ARN)
        assert moved == len(NOCS) + len(OSPS)
        opens(settings(secrets_kms_key=OTHER_ARN))
        assert fails(settings(secrets_kms_key="alias/strike")).code == "KEY_INVALID"


def test_the_doctor_asks_kms_and_says_that_nothing_is_to_be_entered_again(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_nobody_at_aws(monkeypatch, tmp_path)
    monkeypatch.setenv("STRIKE_DATA_DIR", str(tmp_path))
    with running_kms() as kms:
        settings = Settings(
            database_url=database_url, secrets_kms_key=ARN, secrets_kms_url=AnyHttpUrl(kms.url)
        )
        (finding,) = doctor(monkeypatch, settings)
        assert finding.verdict is Verdict.OK and ARN in finding.said
        kms.error = (400, "AccessDeniedException")
        (finding,) = doctor(monkeypatch, settings)
        assert (finding.verdict, finding.cure) == (Verdict.WRONG, CURES["KEY_UNAVAILABLE"])
