"""Evidence from the database: on the command line, and over GraphQL."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from strike_app.bootstrap import Strike
from strike_app.cli import app
from strike_app.demo.seed import LOGINS
from strike_app.evidence import verify
from strike_domain.errors import Rejected, StrikeError
from tests.integration.served import OSP_ID, Served
from tests.integration.stored import StoredNight, follow, stored_night, write_key
from tests.integration.stories import the_second_accepts_and_the_crew_repairs
from tests.unit.given import ANA, OPERATOR


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def shown(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.stdout)


@pytest.fixture
def night(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A callout from the cut to its end, and the settings that lead to it."""
    monkeypatch.setenv("STRIKE_DATABASE_URL", database_url)
    monkeypatch.setenv("STRIKE_SECRETS_KEY_FILE", str(write_key(tmp_path)))
    with stored_night(database_url) as told:
        the_second_accepts_and_the_crew_repairs(told)
        follow(database_url)
        yield told


def test_what_is_exported_holds_with_and_without_the_log(
    night: StoredNight, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = shown("evidence", "export", str(night.eco_id), str(tmp_path / "cut.zip"))
    assert told["job_number"] == night.eco.job_number
    compared = shown("verify", told["file"], "--against")
    assert compared["holds"] and compared["head"] == told["head"]
    for name in ("STRIKE_DATABASE_URL", "STRIKE_SECRETS_KEY_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    alone = run("verify", told["file"])
    assert alone.exit_code == 0
    for words in ("holds", "Proven:", "Not proven:", told["head"]):
        assert words in alone.stdout


def test_a_changed_file_does_not_hold_and_says_what_is_wrong(
    night: StoredNight, tmp_path: Path
) -> None:
    file = tmp_path / "cut.zip"
    run("evidence", "export", night.eco.job_number, str(file))
    file.write_bytes(file.read_bytes().replace(b"DECLINED", b"ACCEPTED"))
    result = run("verify", str(file))
    assert result.exit_code == 1 and "does not hold" in result.stdout
    assert not json.loads(run("verify", str(file), "--json").stdout)["holds"]


def test_what_happens_after_the_export_takes_nothing_from_it(
    night: StoredNight, tmp_path: Path
) -> None:
    earlier = shown("evidence", "export", night.eco.job_number, str(tmp_path / "1.zip"))
    night.strike.callouts.add_note(night.eco_id, "The report is filed.", OPERATOR)
    later = shown("evidence", "export", night.eco.job_number, str(tmp_path / "2.zip"))
    assert later["events"] == earlier["events"] + 1
    assert earlier["head"].encode() in (tmp_path / "2.zip").read_bytes()
    for one in (earlier, later):
        assert shown("verify", one["file"], "--against")["holds"]


def test_a_log_that_was_changed_behind_strikes_back_is_found(
    night: StoredNight, tmp_path: Path
) -> None:
    told = shown("evidence", "export", night.eco.job_number, str(tmp_path / "cut.zip"))
    with night.pool.connection() as connection:
        connection.execute(
            "UPDATE strike_events SET state = convert_to(replace(convert_from(state, 'UTF8'),"
            " 'digger', 'badger'), 'UTF8') WHERE topic = 'strike.eco.created'"
        )
    assert shown("verify", told["file"])["holds"]
    result = run("verify", told["file"], "--against")
    assert result.exit_code == 1 and "something else than line 1" in result.stdout


def test_only_the_contractors_export_has_full_numbers(night: StoredNight, tmp_path: Path) -> None:
    for side, has_numbers in (("noc", False), ("osp", True)):
        file = tmp_path / f"{side}.zip"
        shown("evidence", "export", night.eco.job_number, str(file), "--for", side)
        assert (ANA.phone.encode() in file.read_bytes()) is has_numbers
        assert shown("verify", str(file), "--against")["holds"]


def test_mistakes_are_told_and_no_file_is_written_over(night: StoredNight, tmp_path: Path) -> None:
    file = tmp_path / "cut.zip"
    assert run("evidence", "export", night.eco.job_number, str(file)).exit_code == 0
    for words, code in (
        (("evidence", "export", night.eco.job_number, str(file)), "FILE_EXISTS"),
        (("evidence", "export", "99-0000", str(tmp_path / "x.zip")), "UNKNOWN_ECO"),
        (("evidence", "export", night.eco.job_number, "/nowhere/x.zip"), "FILE_NOT_WRITTEN"),
        (("verify", str(tmp_path / "y.zip")), "BUNDLE_UNREADABLE"),
    ):
        error = run(*words).exception
        assert isinstance(error, Rejected) and error.code == code


EVIDENCE = """
query ($id: UUID!) { evidence(ecoId: $id) { fileName head events zip parts { name text } } }
"""


async def test_each_side_gets_its_evidence_over_graphql(served: Served, strike: Strike) -> None:
    created = await served.create()
    await asyncio.to_thread(follow, strike.url)
    asked = {"id": created["eco"]["id"]}
    mine = (await served.ask(EVIDENCE, asked))["evidence"]
    theirs = await served.ask(EVIDENCE, asked, email=LOGINS[2].email, tenant=OSP_ID)
    assert mine["head"] == theirs["evidence"]["head"]
    data = base64.b64decode(mine["zip"])
    assert (await asyncio.to_thread(verify, data, strike.log)).holds
    manifest = json.loads(mine["parts"][0]["text"])
    assert manifest["exported_for"] == "NOC" and manifest["noc"]["name"] and manifest["osp"]["name"]
    assert mine["fileName"] == f"evidence-{created['eco']['jobNumber']}.zip"
    with strike.pool.connection() as connection:
        connection.execute("UPDATE memberships SET role = 'VIEWER'")
    answer = await served.post(EVIDENCE, asked)
    assert answer.body["errors"][0]["extensions"]["code"] == "ROLE_MISSING"


# A callout once more ------------------------------------------------------------------------------


def test_a_replay_tells_each_event_and_what_became_of_the_eco_by_it(night: StoredNight) -> None:
    before = night.strike.log.position()
    told = shown("replay", night.eco.job_number)
    (history,) = night.strike.log.histories([night.eco_id]).values()
    assert [one["position"] for one in told] == [one.position for one in history]
    assert told[0]["after"] == 0 and told[0]["became"]["status"] == "OPEN"
    became: dict[str, Any] = {}
    for one in told:
        assert one["line"] and one["topic"] and one["actor"]
        became |= one["became"]
    eco = night.eco
    stands = (eco.status, eco.paging_state, eco.render_state)
    assert (became["status"], became["paging_state"], became["render_state"]) == stands
    silent = [one for one in told if one["topic"].startswith("strike.run.")]
    assert silent and not any(one["became"] for one in silent)
    assert night.strike.log.position() == before
    words = run("replay", str(night.eco_id)).stdout
    assert "what happened" in words and "status OPEN" in words


def test_a_replay_ends_at_the_time_that_is_given(night: StoredNight) -> None:
    whole = shown("replay", night.eco.job_number)
    middle = whole[len(whole) // 2]["at"].replace(" ", "T")
    part = shown("replay", night.eco.job_number, "--until", middle)
    assert whole[: len(part)] == part and part[-1]["at"] <= whole[len(whole) // 2]["at"]
    early = run("replay", night.eco.job_number, "--until", "2001-01-01T00:00:00Z")
    assert early.exit_code == 0 and "did not exist yet" in early.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("26-9999",), "UNKNOWN_ECO"),
        (("00000000-0000-0000-0000-000000000001",), "NOT_FOUND"),
        (("26-0001", "--until", "half past two"), "TIME_INVALID"),
        (("26-0001", "--until", "2026-03-01T02:30:00"), "TIME_WITHOUT_ZONE"),
    ],
)
def test_a_replay_of_what_there_is_not_says_so(
    night: StoredNight, words: tuple[str, ...], code: str
) -> None:
    error = run("replay", *words).exception
    assert isinstance(error, StrikeError) and error.code == code
