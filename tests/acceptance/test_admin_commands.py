"""Whoever runs Strike sets up a NOC and a contractor from nothing, on the command line alone."""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from strike_app.bootstrap import open_strike
from strike_app.cli import app
from strike_app.settings import Settings
from strike_domain.errors import StrikeError
from tests.contracts.mocks import ACCOUNTS, CLIENT, running_mock

OFDS = Path(__file__).parents[2].parent / "shared" / "data" / "ofds"


@pytest.fixture(scope="module", autouse=True)
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRIKE_DATA_DIR", str(folder))
        with open_strike(Settings()):
            yield


def run(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, words, input=typed)


def done(*words: str, typed: str = "") -> str:
    result = run(*words, typed=typed)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def shown(*words: str, typed: str = "") -> Any:
    return json.loads(done(*words, "--json", typed=typed))


def refused(*words: str, typed: str = "") -> StrikeError:
    """What `main` tells in one sentence, with the exit status 2."""
    error = run(*words, typed=typed).exception
    assert isinstance(error, StrikeError)
    return error


def written(folder: Path, name: str, content: Any) -> str:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return str(file)


def feature(name: str, geometry: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": {"name": name}, "geometry": geometry}


def collection(*features: dict[str, Any]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": [*features]}


def box(west: float, south: float, size: float = 1) -> dict[str, Any]:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


DEFAULT_LIST = """
name = "everywhere else"
rounds = 2
answer_seconds = 25
ring_again = { after_minutes = 15, times = 2 }

[[contacts]]
name = "Ana Reyes"
phone = "+1 303 555 0101"
consented = true

[[contacts]]
name = "Carla Diaz"
phone = "+1 303 555 0102"
language = "es-US"
consented = true
"""


# From nothing to ready ----------------------------------------------------------------------------


def test_a_noc_and_a_contractor_are_set_up_from_nothing(tmp_path: Path) -> None:
    noc, osp = f"Bluestem {uuid4()}", f"Front Range {uuid4()}"
    done("tenant", "add", noc, "--side", "noc")
    done("tenant", "add", osp, "--side", "osp")
    done("user", "add", noc, "olivia@noc.example", "--name", "Olivia Park", "--role", "admin")
    done("user", "add", osp, "ana@osp.example", "--name", "Ana Reyes", "--role", "admin")
    done("link", "propose", noc, osp)
    assert "ACTIVE. Paging is AUTOMATIC." in done("link", "accept", noc, osp)
    assert "not ready" in run("lists", "check", osp).stdout
    done("lists", "save", osp, written(tmp_path, "default.toml", DEFAULT_LIST))
    regions = collection(feature("South", box(-105, 39)), feature("North", box(-105, 40)))
    assert "2 added" in done("lists", "import", osp, written(tmp_path, "r.geojson", regions))
    result = run("lists", "check", osp)
    assert result.exit_code == 0
    assert " ".join(result.stdout.split()).startswith(f"{osp} 3 lists, 2 numbers ready")
    assert done("list", "check", osp) == result.stdout


# Companies, people and links ----------------------------------------------------------------------


def a_company(side: str) -> str:
    name = f"{side.upper()} {uuid4()}"
    done("tenant", "add", name, "--side", side)
    return name


def test_a_company_gets_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = a_company("osp"), f"Fibre {uuid4()}"
    assert "from now on" in done("tenant", "rename", before.lower()[:20], after)
    monkeypatch.setenv("COLUMNS", "150")
    assert after in done("tenant", "list", "--side", "osp")
    assert after not in done("tenant", "list", "--side", "noc")


def test_people_come_and_go_and_the_last_admin_stays() -> None:
    noc = a_company("noc")
    assert "try strike user add" in done("user", "list", noc)
    done("user", "add", noc, f"Boss@{uuid4()}.example", "--name", "Boss", "--role", "admin")
    done("user", "add", noc, f"temp@{uuid4()}.example", "--name", "Temp")
    assert "does not belong" in done("user", "remove", noc, "temp@")
    (boss,) = shown("user", "list", noc)
    assert boss["email"].startswith("boss@") and boss["role"] == "ADMIN"
    assert refused("user", "remove", noc, "boss").code == "LAST_ADMIN"


def test_a_link_goes_through_its_life() -> None:
    noc, osp = a_company("noc"), a_company("osp")
    done("link", "propose", noc, osp, "--manual")
    assert refused("link", "suspend", noc, osp, "--by", "noc").code == "INVALID_TRANSITION"
    assert "proposed no longer" in done("link", "withdraw", noc, osp)
    done("link", "propose", noc, osp)
    assert shown("link", "decline", noc, osp)["status"] is None
    done("link", "propose", noc, osp)
    done("link", "accept", noc, osp)
    assert "SUSPENDED by the OSP" in done("link", "suspend", noc, osp, "--by", "osp")
    error = refused("link", "resume", noc, osp, "--by", "noc")
    assert error.message == "Only the OSP can resume it."
    done("link", "resume", noc, osp, "--by", "osp")
    done("link", "policy", noc, osp, "manual")
    (link,) = shown("link", "list", osp)
    assert (link["noc"], link["status"], link["paging_policy"]) == (noc, "ACTIVE", "MANUAL")


# Lists, regions and job numbers -------------------------------------------------------------------


@pytest.fixture
def osp(tmp_path: Path) -> str:
    """A contractor with a default list."""
    name = a_company("osp")
    done("lists", "save", name, written(tmp_path, "default.toml", DEFAULT_LIST))
    return name


def test_a_list_that_is_shown_can_be_saved_as_it_is(osp: str, tmp_path: Path) -> None:
    kept = shown("lists", "show", osp, "everywhere")
    assert [one["phone"] for one in kept["contacts"]] == ["+13035550101", "+13035550102"]
    assert kept["ring_again"] == {"after_minutes": 15, "times": 2}
    assert "is changed" in done("lists", "save", osp, written(tmp_path, "same.json", kept))
    assert shown("lists", "show", osp, "everywhere") == kept
    told = done("lists", "show", osp, "everywhere")
    assert "2 rounds of 25 s, again after 15 min, 2 times" in told and "Carla Diaz" in told


def test_no_region_is_imported_while_nobody_could_be_rung_there(tmp_path: Path) -> None:
    osp = a_company("osp")
    file = written(tmp_path, "regions.geojson", collection(feature("North", box(-105, 40))))
    result = run("lists", "import", osp, file, "--json")
    assert result.exit_code == 1
    assert "--contacts-from" in json.loads(result.stdout)[0]["error"]["message"]
    assert shown("lists", "show", osp) == []


def test_what_is_wrong_in_a_file_is_told_and_hides_nothing(osp: str, tmp_path: Path) -> None:
    swapped = feature("Swapped", {"type": "Polygon", "coordinates": [[[40, -105]] * 4]})
    good = feature("South", box(-105, 38)), feature("North", box(-105, 40))
    file = written(tmp_path, "regions.geojson", collection(good[0], swapped, good[1]))
    words = ("lists", "import", osp, file, "--json")
    tried = run(*words, "--dry-run")
    assert [one["outcome"] for one in json.loads(tried.stdout)] == ["added", "refused", "added"]
    assert len(shown("lists", "show", osp)) == 1
    result = run(*words)
    assert result.exit_code == tried.exit_code == 1
    assert result.stdout == tried.stdout
    south, wrong, north = json.loads(result.stdout)
    assert (south["list"], north["list"]) == ("South", "North")
    assert wrong["error"]["path"][:2] == ["features", 1]
    again = json.loads(run(*words).stdout)
    assert [one["outcome"] for one in again] == ["as it is", "refused", "as it is"]


def test_a_list_that_is_there_gets_the_region_and_keeps_its_people(
    osp: str, tmp_path: Path
) -> None:
    people = [{"name": "Ben", "phone": "+1 303 555 0109"}]
    north = {"name": "North", "contacts": people, "region": box(-105, 40)}
    done("lists", "save", osp, written(tmp_path, "north.json", north))
    moved = collection(feature("North", box(-105, 40, 2)))
    told = done("lists", "import", osp, written(tmp_path, "moved.geojson", moved))
    assert "1 region changed" in told
    kept = shown("lists", "show", osp, "North")
    assert [one["name"] for one in kept["contacts"]] == ["Ben"]
    assert kept["region"] == box(-105, 40, 2)
    done("lists", "remove", osp, "north")
    assert [one["name"] for one in shown("lists", "show", osp)] == ["everywhere else"]


@pytest.mark.skipif(not OFDS.is_dir(), reason=f"the OFDS examples are not at {OFDS}")
def test_a_fibre_network_becomes_a_region_along_its_spans(osp: str) -> None:
    spans, nodes = str(OFDS / "spans.geojson"), str(OFDS / "multiple-networks.geojson")
    words = ("lists", "import", osp, spans, "--contacts-from", "everywhere", "--buffer", "3000")
    assert "1 added" in done(*words)
    assert "1 as it is" in done(*words)
    network = shown("lists", "show", osp, "Ghana Fibre Network")
    assert network["region"]["type"] == "Polygon" and len(network["contacts"]) == 2
    without_places = run("lists", "import", osp, nodes)
    assert without_places.exit_code == 1 and "2 refused" in without_places.stdout


def test_job_numbers_go_on_after_a_higher_one() -> None:
    osp = a_company("osp")
    assert "no job number yet" in done("jobs", "show", osp)
    assert "26-0501" in done("jobs", "raise", osp, "--year", "2026", "--last", "500")
    assert shown("jobs", "show", osp) == [{"year": 2026, "last": 500}]
    assert refused("jobs", "raise", osp, "--year", "2026", "--last", "3").code == "JOB_NUMBER_TAKEN"


# Accounts, tokens, audits -----------------------------------------------------------------------


def test_a_twilio_account_is_set_and_tested_and_its_token_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    noc = a_company("noc")
    assert "try strike twilio set" in done("twilio", "show", noc)
    assert run("twilio", "test", noc).exit_code == 1
    account = ACCOUNTS[0]
    words = ("twilio", "set", noc, "--from", "+1 202 555 0199")
    assert "--sid" in refused(*words).message
    assert refused(*words, "--sid", account.sid).code == "SECRET_NEEDED"
    told = [done(*words, "--sid", account.sid, typed=f"{account.token}\n")]
    with running_mock([]) as mock:
        monkeypatch.setenv("STRIKE_TWILIO_BASE_URL", mock.url)
        told.append(done("twilio", "test", noc))
        done("twilio", "set", noc, "--token-file", written(tmp_path, "token", "not this one"))
        wrong = run("twilio", "test", noc, "--json")
    told += [done("twilio", "show", noc), done("audit", noc)]
    assert "could place calls" in told[1] and "+12025550199" in told[2]
    assert wrong.exit_code == 1 and json.loads(wrong.stdout)["problem"]
    assert account.token not in "".join(told) and "not this one" not in "".join(told)
    assert refused("twilio", "set", noc, "--token-file", written(tmp_path, "none", "")).code == (
        "SECRET_EMPTY"
    )


def test_a_render_instance_is_set_and_tested_and_its_secret_is_never_shown(tmp_path: Path) -> None:
    osp, secret = a_company("osp"), written(tmp_path, "secret", f"{CLIENT.secret}\n")
    with running_mock([]) as mock:
        words = ("render", "set", osp, "--client-id", CLIENT.id, "--project", "P-17")
        assert "--url" in refused(*words, "--secret-file", secret).message
        error = refused(*words, "--url", "not one", "--secret-file", secret)
        assert error.code == "RENDER_INVALID"
        done(*words, "--url", mock.url, "--secret-file", secret)
        assert "gives us tokens" in done("render", "test", osp)
        done("render", "set", osp, "--polling-seconds", "20")
        done("render", "set", osp, typed="a wrong secret")
        wrong = run("render", "test", osp)
    assert wrong.exit_code == 1 and "refuses the client id or secret" in wrong.stdout
    kept = shown("render", "show", osp)
    assert kept["polling_seconds"] == 20 and kept["project"] == "P-17"
    assert CLIENT.secret not in done("render", "show", osp) + done("audit", osp)


def test_a_token_is_printed_once_alone_on_its_line_and_can_be_revoked() -> None:
    noc = a_company("noc")
    words = ("token", "create", noc, "alarms", "--role", "operator", "--scope", "callout")
    result = run(*words, "--days", "30")
    (token,) = result.stdout.splitlines()
    assert token.startswith("strike_") and "only this once" in result.stderr
    with open_strike(Settings()) as strike, strike.pool.connection() as connection:
        rows = connection.execute("SELECT digest FROM api_tokens").fetchall()
    assert {"digest": sha256(token.encode()).digest()} in rows
    (listed,) = shown("token", "list", noc)
    assert listed["is_good"] and listed["scopes"] == ["CALLOUT"] and token not in str(listed)
    done("token", "revoke", noc, "alarms")
    assert not shown("token", "list", noc)[0]["is_good"]
    assert refused("token", "revoke", noc, "alarms").code == "UNKNOWN_API_TOKEN"
    assert token not in done("audit", noc)


def test_the_audit_tells_newest_first_who_changed_what_and_only_what_changed() -> None:
    noc, email = a_company("noc"), f"otto@{uuid4()}.example"
    done("user", "add", noc, email, "--name", "Otto")
    done("user", "add", noc, email, "--role", "operator")
    changed, added, *_ = done("audit", noc, "--limit", "2").split("members.edit")[1:] + [""]
    assert "role: VIEWER → OPERATOR" in changed and "email" not in changed
    assert "added" in added and "name: – → Otto" in added
    newest, _ = shown("audit", noc, "--limit", "2")
    assert newest["actor"] == f"cli:{getpass.getuser()}"
    assert f"tenant.add  {noc}, added" in done("audit", "--limit", "10000")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("user", "list", "nobody"), "There is no such one: "),
        (("tenant", "rename", "", "x"), "Several tenants have that in their name: "),
        (("twilio", "show", "OSP"), "There is no such one: "),
        (("lists", "show", "OSP", "West"), "There is no such list; there are: everywhere else."),
        (("lists", "import", "OSP", "none.geojson"), "none.geojson cannot be read"),
        (("lists", "save", "OSP", "none.json"), "none.json cannot be read"),
        (("user", "add", "OSP", "no address"), "Write an e-mail address"),
        (("tenant", "add", " ", "--side", "noc"), "ordinary characters"),
    ],
)
def test_a_wrong_word_is_told_with_what_would_be_right(
    osp: str, words: tuple[str, ...], said: str
) -> None:
    a_company("noc")
    assert said in refused(*(osp if word == "OSP" else word for word in words)).message


def test_what_goes_wrong_is_one_sentence_and_the_exit_status_2() -> None:
    words = [sys.executable, "-m", "strike_app", "user", "list", "nobody"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert told.returncode == 2 and told.stdout == ""
    assert told.stderr.startswith("strike: There is no such one: ")
    assert "Traceback" not in told.stderr


def test_who_may_do_what_is_printed() -> None:
    assert "link.accept" in done("access")
    assert done("access", "--markdown").startswith("| action | may |")
    assert {"action", "role", "token scope"} <= set(shown("access")[0])
