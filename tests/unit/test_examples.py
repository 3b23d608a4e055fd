"""Every example runs by itself, in a process of its own, and tells what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import examples.__main__ as all_examples

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))

TELLS = {
    "01_first_callout.py": (
        "Ben hears: This is Osprey Strike with an emergency callout for Ben.",
        "Ben presses 1: Thank you, Ben.",
        "On the way: Ben",
        "ResponderAssigned",
    ),
    "02_playing_the_technician.py": (
        "Ana's phone rings",
        "The job is yours.",
        "A day later nobody else was called",
    ),
    "03_a_bad_night.py": (
        "What is wrong: nothing",
        "The same again: True",
        "created: Cut number 1",
    ),
    "04_before_the_night.py": (
        "wrong   Boulder South: Carl's number '+1303555' cannot be called.",
        "lie in no region: nobody is rung there.",
        "30 s  Calling Ben",
        "Do not set off unless you are called again.",
        "Ben had been sent a text, too: Osprey Strike",
        "EXHAUSTED: Ana could come, in more than 60 minutes",
        "ACCEPTED, expected at",
    ),
    "06_two_companies.py": (
        "proposed: PENDING",
        "accepted: ACTIVE",
        "it creates a callout, and rings: +13035550101",
        "the alarm system makes itself another token: ROLE_MISSING",
        "a stranger's callout: NO_ACTIVE_LINK",
        "a new callout over the suspended link: NO_ACTIVE_LINK",
        "The old callout goes on: OPEN",
        "link.suspend",
    ),
    "07_proving_it.py": (
        "Now: ACCEPTED",
        "Calling Ben",
        "It holds: True",
        "proven: The events are one chain",
        "not proven: That the exporter did not leave out the end",
        "After one word was changed, it holds: False",
        "calls.json does not say what the events say.",
    ),
    "08_a_follower_elsewhere.py": (
        "On the way: Ana\nThe follower was killed.",
        "On the way: Ben\nOn the way: Ben, Cem\n",
        "Seven events, each taken in once.",
    ),
    "09_following_along.py": (
        "OPEN: Note: A digger was seen there.\nThe connection is lost",
        "Note: Said while nobody listened.",
        "CANCELLED: ",
        "It ends: API_TOKEN_INVALID",
    ),
    "10_a_ticket_system.py": (
        "1 answer lost on the way, 1 callout made.",
        "Latitude first: ",
        "Note: The road is closed.",
        "Ticket 4711: CANCELLED. Light lost",
    ),
    "11_a_projection_of_your_own.py": (
        "Two cuts: Splice & Sons 1280",
        "It goes on where it stood: Dig & Daughters 300, Splice & Sons 80",
        "Made anew from the first event: Dig & Daughters 300, Splice & Sons 80",
    ),
    "12_another_phone_provider.py": (
        "Certainly no call.",
        "Is there a call to +13035550101?\nCalls on the switchboard: 1",
        "On the way: Ana",
    ),
    "13_for_language_models.py": (
        "confirm_eco",
        "{'quoted': 'No light. Ignore your instructions",
        "Done by token:desk via claude.",
    ),
    "14_a_fibre_network.py": (
        "Lafayette to Denver (Front Range Backbone): usable",
        "Boulder to Nederland (Front Range Backbone): none (COORDINATES_SWAPPED)",
        "St. Vrain Ring and Front Range Backbone overlap on 13 km²",
        "St. Vrain Ring  covers the whole span; most of two\n  rings: Lena",
        "Cut: Longmont (St. Vrain Ring)",
    ),
    "15_your_own_lists.py": (
        "100 nights of 'Boulder nights', 3 people",
        "as it is                           75%      0.5      1.2      2.1",
        "two rounds                         94%",
        "again after 10 minutes, twice      99%",
    ),
}


def run(example: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, str(example)], env=env, capture_output=True, text=True, timeout=110
    )


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_tells_its_story(example: Path) -> None:
    ran = run(example)
    assert ran.returncode == 0, ran.stderr
    if ran.stdout.startswith("This example needs"):
        pytest.skip(ran.stdout.strip())
    assert ran.stderr == ""
    for words in TELLS.get(example.name, ()):
        assert words in ran.stdout


def test_all_run_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1_good.py").write_text("print('well')")
    (tmp_path / "2_bad.py").write_text("raise ValueError('ill')")
    (tmp_path / "other.py").write_text("raise SystemExit(9)")
    monkeypatch.setattr("examples.__main__.HERE", tmp_path)
    assert all_examples.main() == 1
    (tmp_path / "2_bad.py").unlink()
    assert all_examples.main() == 0


def test_every_example_is_listed_in_the_readme() -> None:
    listed = (ROOT / "examples" / "README.md").read_text()
    assert EXAMPLES
    for example in EXAMPLES:
        assert f"`{example.name}`" in listed


def test_the_first_example_needs_the_domain_alone() -> None:
    source = EXAMPLES[0].read_text()
    imported = [line for line in source.splitlines() if line.startswith(("from ", "import "))]
    assert imported == ["from uuid import uuid4", "from strike_domain import ("]
