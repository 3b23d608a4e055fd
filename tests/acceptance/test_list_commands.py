"""`strike lists`, as the dispatcher runs it before the night."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from strike_app.bootstrap import open_strike
from strike_app.cli import app
from strike_app.demo.seed import CONTRACTORS, Outside, seed
from strike_app.settings import Settings
from strike_domain import Contact
from tests.contracts.mocks import ACCOUNTS, running_mock


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRIKE_DATA_DIR", str(folder))
        with open_strike(Settings()) as strike:
            account = ACCOUNTS[0]
            outside = Outside("http://render.invalid", account.sid, account.token, "a", "b")
            seed(strike.directory, strike.accounts, outside)
            yield folder


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["lists", *words])


@pytest.mark.usefixtures("data")
def test_all_contractors_are_checked_and_who_is_not_ready_decides_the_exit_status() -> None:
    result = run("check")
    assert result.exit_code == 1
    assert "High Plains Splicing  0 lists, 0 numbers  not ready" in result.output
    assert "Front Range Fibre Works  9 lists, 27 numbers  ready" in result.output


def test_what_is_wrong_is_told_with_its_cure_also_for_machines(data: Path) -> None:
    with open_strike(Settings()) as strike:
        pager_list = strike.directory.lists_of(CONTRACTORS[1].id)[0]
        people = (Contact(name="Dora", phone="+1303"), *pager_list.contacts)
        strike.directory.save_list(pager_list.model_copy(update={"contacts": people}))
    result = run("check", "wasatch", "--json")
    assert result.exit_code == 1
    (checked,) = json.loads(result.output)
    wrong = [one for one in checked["problems"] if one["severity"] == "WRONG"]
    assert [(one["code"], one["contact"]) for one in wrong] == [("NUMBER_INVALID", "Dora")]


@pytest.mark.usefixtures("data")
def test_a_map_is_drawn_of_one_contractor(tmp_path: Path) -> None:
    picture = tmp_path / "regions.svg"
    assert run("check", "Willamette", "--map", str(picture)).exit_code == 0
    assert "Lane County, Oregon" in picture.read_text("utf-8")
    assert "1 gap" in picture.read_text("utf-8")
    refused = run("check", "--map", str(picture))
    assert refused.exit_code == 1 and "Name the contractor" in str(refused.exception)


@pytest.mark.usefixtures("data")
def test_ground_that_ought_to_be_covered_is_looked_at(tmp_path: Path) -> None:
    area = tmp_path / "area.geojson"
    ring = [[-125, 40], [-124, 40], [-124, 41], [-125, 40]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    result = run("check", "Willamette", "--area", str(area), "--json")
    (checked,) = json.loads(result.output)
    assert "REGION_GAP" in [one["code"] for one in checked["problems"]]


@pytest.mark.usefixtures("data")
def test_a_drill_tells_who_is_rung_when_and_asks_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_mock([]) as mock:
        monkeypatch.setenv("STRIKE_TWILIO_BASE_URL", mock.url)
        result = run("drill", "front range", "--at=-105.27,40.01")
        assert result.exit_code == 0, result.output
        assert "0:30  Calling Ben Okafor" in result.output
        assert "Ana Reyes hears: This is Osprey Strike" in result.output
        assert "Bluestem Backbone NOC: could place calls" in result.output
    result = run("drill", "front range", "--at=-105.27,40.01", "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["provider"][0]["problem"]


@pytest.mark.usefixtures("data")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("drill", "nobody"), "There is no such one"),
        (("drill", "w"), "Several contractors"),
        (("drill", "front range", "--at=north"), "-105.27,40.01"),
        (("drill", "front range", "--list=x"), "everywhere else"),
        (("drill", "high plains", "--at=1,1"), "no default list"),
    ],
)
def test_a_wrong_word_is_told_with_what_would_be_right(words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 1
    assert said in str(result.exception)
