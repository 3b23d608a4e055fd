"""docs/sizing.md shows what `strike size` works out, and from which measurements."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from strike_app.cli import app
from strike_app.sizing import Companies, size_of
from strike_app.sizing.rule import API, FIELD, PRIMARY
from strike_app.sizing.showing import BEGIN, END, all_figures, as_markdown

ROOT = Path(__file__).parents[2]


def test_the_page_holds_what_the_command_prints() -> None:
    _, rest = (ROOT / "docs" / "sizing.md").read_text("utf-8").split(BEGIN)
    tables, _ = rest.split(END)
    assert tables.strip() == as_markdown()


def test_every_figure_names_a_command_that_there_is() -> None:
    environments = (ROOT / "tox.ini").read_text("utf-8")
    for one in all_figures().values():
        assert one.value > 0
        if one.measured.startswith("tox -e "):
            assert f"[testenv:{one.measured.removeprefix('tox -e ')}]" in environments
        else:
            assert one.measured in ("strike load --ecos 3000", "counted")


def test_ten_times_the_companies_take_ten_times_the_cores() -> None:
    few, many = size_of(Companies(100)), size_of(Companies(1_000))
    for part, cores in few.cores.items():
        assert many.cores[part] == pytest.approx(10 * cores)


def test_nothing_is_less_than_two_of_it() -> None:
    assert min(size_of(Companies(1)).processes.values()) >= 2


def test_worse_storms_take_more_and_only_where_they_strike() -> None:
    usual, worse = size_of(Companies(100)), size_of(Companies(100, callouts_in_a_storm_hour=80))
    assert worse.cores[FIELD] > usual.cores[FIELD]
    assert worse.gigabytes_a_year == usual.gigabytes_a_year
    calm = size_of(Companies(100, share_in_storm=0))
    assert calm.cores[API] < usual.cores[API]


def test_a_limit_is_used_up_by_as_many_companies_as_are_said_to_reach_it() -> None:
    for limit in size_of(Companies(1_000)).limits:
        reached = {one.name: one.used for one in size_of(Companies(limit.at)).limits}
        assert reached[limit.name] <= 1
        beyond = {one.name: one.used for one in size_of(Companies(2 * limit.at)).limits}
        assert beyond[limit.name] > 1


def test_the_nearest_limit_comes_first() -> None:
    at = [one.at for one in size_of(Companies(1_000)).limits]
    assert at == sorted(at)


def test_a_program_gets_the_same() -> None:
    asked = ["size", "--nocs", "50", "--boards", "1", "--json"]
    told = json.loads(CliRunner().invoke(app, asked).output)
    assert told["cores"][PRIMARY] == pytest.approx(size_of(Companies(50, boards=1)).cores[PRIMARY])
    assert told["figures"]["POLL_WORKER"]["measured"] == "tox -e polling"
