"""Whoever runs Strike sets up a NOC and a contractor from nothing, on the command line alone."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from strike_app.bootstrap import open_strike
from strike_app.cli import app
from strike_app.settings import Settings
from strike_domain.errors import StrikeError
from tests.contracts.mocks import ACCOUNTS, CLIENT, running_mock

OFDS = Path(__file__).parents[2].parent / "shared" / "data" / "ofds"

NOC, OSP = "Bluestem NOC", "Front Range Fibre"


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


# The walk: each step needs those before it ----------------------------------------------------


def test_1_companies_and_their_people_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no tenant yet" in done("tenant", "list")
    done("tenant", "add", NOC, "--side", "noc")
    done("tenant", "add", "Front Range", "--side", "osp")
    assert done("tenant", "rename", "front", OSP).endswith(f"called {OSP} from now on.\n")
    done("user", "add", NOC, "Olivia@noc.example", "--name", "Olivia Park", "--role", "admin")
    done("user", "add", OSP, "ana@osp.example", "--name", "Ana Reyes", "--role", "admin")
    done("user", "add", OSP, "temp@osp.example", "--name", "Temp")
    assert "Temp (temp@osp.example)" in done("user", "remove", OSP, "temp")
    assert [one["email"] for one in shown("user", "list", OSP)] == ["ana@osp.example"]
    assert refused("user", "remove", NOC, "olivia").code == "LAST_ADMIN"
    monkeypatch.setenv("COLUMNS", "120")
    assert "Bluestem NOC" in done("tenant", "list", "--side", "noc")


def test_2_a_link_goes_through_its_life() -> None:
    done("link", "propose", "bluestem", "front", "--manual")
    assert refused("link", "suspend", NOC, OSP, "--by", "noc").code == "INVALID_TRANSITION"
    assert "proposed no longer" in done("link", "withdraw", NOC, OSP)
    done("link", "propose", NOC, OSP)
    assert shown("link", "decline", NOC, OSP)["status"] is None
    done("link", "propose", NOC, OSP)
    assert "ACTIVE. Paging is AUTOMATIC." in done("link", "accept", NOC, OSP)
    assert "SUSPENDED by the OSP" in done("link", "suspend", NOC, OSP, "--by", "osp")
    error = refused("link", "resume", NOC, OSP, "--by", "noc")
    assert error.message == "Only the OSP can resume it."
    done("link", "resume", NOC, OSP, "--by", "osp")
    done("link", "policy", NOC, OSP, "manual")
    (link,) = shown("link", "list", OSP)
    assert (link["noc"], link["status"], link["paging_policy"]) == (NOC, "ACTIVE", "MANUAL")


def test_3_no_region_can_be_imported_before_anybody_could_be_rung(tmp_path: Path) -> None:
    file = written(tmp_path, "regions.geojson", collection(feature("North", box(-105, 40))))
    result = run("lists", "import", OSP, file)
    assert result.exit_code == 1
    assert "--contacts-from" in " ".join(result.stdout.split())
    assert shown("lists", "show", OSP) == []


def test_4_a_default_list_is_saved_from_a_file(tmp_path: Path) -> None:
    file = written(tmp_path, "default.toml", DEFAULT_LIST)
    assert "is added: 2 people" in done("lists", "save", OSP, file)
    assert "is changed: 2 people" in done("lists", "save", OSP, file)
    kept = shown("lists", "show", OSP, "everywhere")
    assert [one["phone"] for one in kept["contacts"]] == ["+13035550101", "+13035550102"]
    assert kept["ring_again"] == {"after_minutes": 15, "times": 2}
    assert done("lists", "save", OSP, written(tmp_path, "same.json", kept))
    assert shown("lists", "show", OSP, "everywhere") == kept


def test_5_polygons_become_lists_and_what_is_wrong_hides_nothing(tmp_path: Path) -> None:
    swapped = feature("Swapped", {"type": "Polygon", "coordinates": [[[40, -105]] * 4]})
    document = collection(feature("South", box(-105, 38)), swapped, feature("North", box(-105, 40)))
    file = written(tmp_path, "regions.geojson", document)
    words = ("lists", "import", OSP, file)
    tried = run(*words, "--dry-run", "--json")
    assert [one["outcome"] for one in json.loads(tried.stdout)] == ["added", "refused", "added"]
    assert len(shown("lists", "show", OSP)) == 1
    result = run(*words, "--json")
    assert result.exit_code == 1
    south, wrong, north = json.loads(result.stdout)
    assert (south["list"], north["list"]) == ("South", "North")
    assert wrong["error"]["path"][:2] == ["features", 1]
    again = json.loads(run(*words, "--json").stdout)
    assert [one["outcome"] for one in again] == ["as it is", "refused", "as it is"]


def test_6_a_list_that_is_there_gets_the_region_and_keeps_its_people(tmp_path: Path) -> None:
    one_person = {"name": "North", "contacts": [{"name": "Ben", "phone": "+1 303 555 0109"}]}
    done("lists", "save", OSP, written(tmp_path, "north.json", one_person))
    moved = collection(feature("North", box(-105, 40, 2)))
    done("lists", "import", OSP, written(tmp_path, "moved.geojson", moved))
    north = shown("lists", "show", OSP, "North")
    assert [one["name"] for one in north["contacts"]] == ["Ben"]
    assert north["region"] == box(-105, 40, 2)
    assert "(" not in done("lists", "remove", OSP, "north")


@pytest.mark.skipif(not OFDS.is_dir(), reason=f"the OFDS examples are not at {OFDS}")
def test_7_a_fibre_network_becomes_a_region_along_its_spans() -> None:
    words = ("lists", "import", OSP, str(OFDS / "spans.geojson"), "--contacts-from", "South")
    assert "1 added" in done(*words, "--buffer", "3000")
    assert "1 as it is" in done(*words, "--buffer", "3000")
    network = shown("lists", "show", OSP, "Ghana Fibre Network")
    assert network["region"]["type"] == "Polygon" and len(network["contacts"]) == 2
    without_places = run("lists", "import", OSP, str(OFDS / "multiple-networks.geojson"))
    assert without_places.exit_code == 1 and "2 refused" in without_places.stdout
    done("lists", "remove", OSP, "ghana")


def test_8_the_lists_are_ready_for_the_night() -> None:
    assert f"{OSP}  2 lists, 2 numbers  ready" in done("lists", "check", OSP)
    assert f"{OSP}  2 lists" in done("list", "check", OSP)


def test_9_job_numbers_go_on_after_a_higher_one() -> None:
    assert "no job number yet" in done("jobs", "show", OSP)
    assert "26-0501" in done("jobs", "raise", OSP, "--year", "2026", "--last", "500")
    assert shown("jobs", "show", OSP) == [{"year": 2026, "last": 500}]
    assert refused("jobs", "raise", OSP, "--year", "2026", "--last", "3").code == "JOB_NUMBER_TAKEN"


# Accounts, tokens, audits -----------------------------------------------------------------------


def test_a_twilio_account_is_set_and_tested_and_its_token_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "try strike twilio set" in done("twilio", "show", NOC)
    assert run("twilio", "test", NOC).exit_code == 1
    account = ACCOUNTS[0]
    words = ("twilio", "set", NOC, "--from", "+1 202 555 0199")
    assert "--sid" in refused(*words).message
    assert refused(*words, "--sid", account.sid).code == "SECRET_NEEDED"
    told = [done(*words, "--sid", account.sid, typed=f"{account.token}\n")]
    with running_mock([]) as mock:
        monkeypatch.setenv("STRIKE_TWILIO_BASE_URL", mock.url)
        told.append(done("twilio", "test", NOC))
        done("twilio", "set", NOC, "--token-file", written(tmp_path, "token", "not this one"))
        wrong = run("twilio", "test", NOC, "--json")
    told += [done("twilio", "show", NOC), done("audit", NOC)]
    assert "could place calls" in told[1] and "+12025550199" in told[2]
    assert wrong.exit_code == 1 and json.loads(wrong.stdout)["problem"]
    assert account.token not in "".join(told) and "not this one" not in "".join(told)
    assert refused("twilio", "set", NOC, "--token-file", written(tmp_path, "none", "")).code == (
        "SECRET_EMPTY"
    )


def test_a_render_instance_is_set_and_tested_and_its_secret_is_never_shown(tmp_path: Path) -> None:
    secret = written(tmp_path, "secret", f"{CLIENT.secret}\n")
    with running_mock([]) as mock:
        words = ("render", "set", OSP, "--client-id", CLIENT.id, "--project", "P-17")
        assert "--url" in refused(*words, "--secret-file", secret).message
        error = refused(*words, "--url", "not one", "--secret-file", secret)
        assert error.code == "RENDER_INVALID"
        done(*words, "--url", mock.url, "--secret-file", secret)
        assert "gives us tokens" in done("render", "test", OSP)
        done("render", "set", OSP, "--polling-seconds", "20")
        done("render", "set", OSP, typed="a wrong secret")
        wrong = run("render", "test", OSP)
    assert wrong.exit_code == 1 and "refuses the client id or secret" in wrong.stdout
    kept = shown("render", "show", OSP)
    assert kept["polling_seconds"] == 20 and kept["project"] == "P-17"
    assert CLIENT.secret not in done("render", "show", OSP) + done("audit", OSP)


def test_a_token_is_printed_once_alone_on_its_line_and_can_be_revoked() -> None:
    words = ("token", "create", NOC, "alarms", "--role", "operator", "--scope", "callout")
    result = run(*words, "--days", "30")
    (token,) = result.stdout.splitlines()
    assert token.startswith("strike_") and "only this once" in result.stderr
    with open_strike(Settings()) as strike, strike.pool.connection() as connection:
        (row,) = connection.execute("SELECT * FROM api_tokens").fetchall()
    assert row["digest"] == sha256(token.encode()).digest()
    (listed,) = shown("token", "list", NOC)
    assert listed["is_good"] and listed["scopes"] == ["CALLOUT"] and token not in str(listed)
    done("token", "revoke", NOC, "alarms")
    assert not shown("token", "list", NOC)[0]["is_good"]
    assert refused("token", "revoke", NOC, "alarms").code == "UNKNOWN_API_TOKEN"
    assert token not in done("audit", NOC)


def test_the_audit_tells_newest_first_who_changed_what_and_only_what_changed() -> None:
    done("user", "add", NOC, "otto@noc.example", "--name", "Otto")
    done("user", "add", NOC, "otto@noc.example", "--role", "operator")
    changed, added, *_ = done("audit", NOC, "--limit", "2").split("members.edit")[1:] + [""]
    assert "role: VIEWER → OPERATOR" in changed and "email" not in changed
    assert "added" in added and "name: – → Otto" in added
    newest, _ = shown("audit", NOC, "--limit", "2")
    assert newest["actor"] == f"cli:{getpass.getuser()}"
    assert "tenant.add  Bluestem NOC, added" in done("audit")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("user", "list", "nobody"), f"There is no such one: {NOC}, {OSP}."),
        (("tenant", "rename", "n", "x"), f"Several tenants have that in their name: {NOC}, {OSP}."),
        (("twilio", "show", OSP), f"There is no such one: {NOC}."),
        (("lists", "show", OSP, "West"), "There is no such list; there are: "),
        (("lists", "import", OSP, "none.geojson"), "none.geojson cannot be read"),
        (("lists", "save", OSP, "none.json"), "none.json cannot be read"),
        (("user", "add", NOC, "no address"), "Write an e-mail address"),
        (("tenant", "add", " ", "--side", "noc"), "ordinary characters"),
    ],
)
def test_a_wrong_word_is_told_with_what_would_be_right(words: tuple[str, ...], said: str) -> None:
    assert said in refused(*words).message


def test_who_may_do_what_is_printed() -> None:
    assert "link.accept" in done("access")
    assert done("access", "--markdown").startswith("| action | may |")
    assert {"action", "role", "token scope"} <= set(shown("access")[0])
