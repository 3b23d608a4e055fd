"""Random nights: all is well in each, a seed is always the same night, a bug gets a short story.

In CI a few; the long form is `tox -e seeds` (10,000 nights), or any number by
`strike simulate --seeds 1-100000`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from rich.console import Console

from strike_app.simulate.command import judge, parse_seeds, run_simulation, show_story
from strike_app.simulate.invariants import CHECKS, broken
from strike_app.simulate.report import lines, shortest
from strike_app.simulate.story import plan_of, tell
from strike_domain.errors import Rejected
from tests.simulation import planted

STRIKE = [sys.executable, "-m", "strike_app"]


@pytest.mark.timeout(600)
def test_two_hundred_nights_are_told_and_nothing_is_wrong() -> None:
    done = _strike("simulate", "--seeds", "1-200", "--json")
    told = json.loads(done.stdout)
    assert told["broken"] == {}
    assert done.returncode == 0
    assert told["stories"] == 200
    # A night in which nothing happens proves nothing.
    counts, faults = told["counts"], told["faults"]
    assert counts["paging ACCEPTED"] > 50 and counts["paging EXHAUSTED"] > 50
    assert counts["ECO CLOSED"] > 50 and counts["deaths"] > 100 and counts["forgeries"] > 20
    assert len(faults) > 40


def test_the_same_seed_is_the_same_night_in_every_process() -> None:
    night = ("simulate", "--seeds", "1-12", "--json")
    first, second = (_strike(*night, hash_seed=seed).stdout for seed in ("1", "2"))
    assert json.loads(first)["digest"] == json.loads(second)["digest"]


def test_another_seed_is_another_night() -> None:
    assert len({judge(seed).digest for seed in range(1, 6)}) == 5


def test_hours_pass_in_no_time_and_to_the_second() -> None:
    told = tell(4)
    first = next(told.events())[1].timestamp
    assert told.system.clock.now() - first > timedelta(minutes=40)


def test_a_broken_night_is_told_without_what_is_not_needed_to_break_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planted.an_answer_accepts(monkeypatch)
    seed = next(seed for seed in range(1, 200) if judge(seed).broken)
    scenario, luck = shortest(seed, *plan_of(seed), "only_a_key_accepts")
    whole, told = tell(seed), tell(seed, scenario, luck)
    assert "only_a_key_accepts" in broken(told)
    assert len(luck.callouts) == 1 and not luck.kills and not scenario.crew.steps
    assert len(lines(told)) <= len(lines(whole))
    assert any("has accepted" in line for line in lines(told))


def test_a_broken_night_is_shown_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted.the_signature_is_not_checked(monkeypatch)
    seed = next(seed for seed in range(1, 200) if judge(seed).broken)
    console = Console(width=200)
    assert run_simulation(range(seed, seed + 1), 1, as_json=False, console=console) == 1
    shown = capsys.readouterr().out
    assert f"Seed {seed}" in shown and "forgeries are refused" in shown
    assert f"strike simulate --story {seed}" in shown


def test_one_story_can_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_story(4, Console(width=200)) == 0
    shown = capsys.readouterr().out
    assert "created: Cut number 1" in shown and "phone 01" in shown


@pytest.mark.parametrize("text", ["", "many", "5-1", "1-x", "-3"])
def test_seeds_that_are_none_are_one_sentence_and_an_exit_status(text: str) -> None:
    with pytest.raises(Rejected, match="SEEDS_INVALID"):
        parse_seeds(text)
    done = _strike("simulate", f"--seeds={text}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_every_check_says_what_it_is_for() -> None:
    assert all(check.__doc__ for check in CHECKS)
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)


def _strike(*arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [*STRIKE, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)
