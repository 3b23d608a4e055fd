"""A scenario is a data file: checked when read, with errors that say what is wrong and where."""

import pytest

from strike_mock import scenarios
from strike_mock.errors import InvalidScenario, UnknownScenario
from strike_mock.generator import random_scenario

MINIMAL = """
name = "a"
title = "t"
story = "s"
[ending]
status = "OPEN"
paging = "EXHAUSTED"
render = "TASKED"
"""


@pytest.mark.parametrize("name", scenarios.names())
def test_every_scenario_that_ships_is_valid_and_named_as_its_file(name: str) -> None:
    scenario = scenarios.load(name)
    assert scenario.name == name
    assert scenario.story.strip()


def test_the_four_scenarios_of_the_main_job_ship() -> None:
    expected = {"happy-path", "second-accepts", "pager-timeout", "render-failure"}
    assert expected <= set(scenarios.names())


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownScenario, match="happy-path"):
        scenarios.load("../secrets")


@pytest.mark.parametrize(
    ("addition", "complaint"),
    [
        ("[[phones]]\nnumber = '*'\nanswers_afer = 3", "phones.0.answers_afer"),
        ("[[phones]]\nnumber = '*'\nanswers_after = 3\nrejects_after = 3", "one of answers_after"),
        ("[[phones]]\nnumber = '*'\npresses = [{key = '1'}]", "need answers_after"),
        ("[[crew.steps]]\nafter_seconds = 1\ntask = 'repair'\nstate = 'released'", "'repair'"),
        ("[[crew.steps]]\nafter_seconds = 1\ntask = 'investigation'", "either task and state"),
        ("[[faults]]\nedge = 'render.tasks'\nkind = 'refuse'\nstatus = 200", "faults.0.status"),
        ("[[faults]]\nedge = 'render.posts'\nkind = 'lose'", "no edge is called 'render.posts'"),
        ("[[faults]]\nedge = 'render.*'\nkind = 'double'", "double is for webhooks"),
        ("[[faults]]\nedge = 'webhook.*'\nkind = 'die'", "die is for what Strike asks"),
        ("][", "not TOML"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(addition: str, complaint: str) -> None:
    with pytest.raises(InvalidScenario, match=r"night\.toml") as raised:
        scenarios.parse(MINIMAL + addition, where="night.toml")
    assert complaint in str(raised.value)


def test_acceptance_names_who_accepts() -> None:
    with pytest.raises(InvalidScenario, match="accepted_by"):
        scenarios.parse(MINIMAL.replace("EXHAUSTED", "ACCEPTED"))


def test_the_more_specific_pattern_wins_wherever_it_stands() -> None:
    phones = "".join(
        f"[[phones]]\nnumber = '{pattern}'\nwho = '{pattern}'\n"
        for pattern in ("*", "*01", "+1555*01")
    )
    scenario = scenarios.parse(MINIMAL + phones)
    assert scenario.phone("+15550100001").who == "+1555*01"
    assert scenario.phone("+4930000001").who == "*01"
    assert scenario.phone("+4930000002").who == "*"


def test_a_number_that_nobody_described_is_never_answered() -> None:
    phone = scenarios.parse(MINIMAL).phone("+15550100009")
    assert phone.answers_after is None
    assert phone.rejects_after is None


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ("after_seconds = 1\nremoves = 'repair'", "no task is called 'repair'"),
        (
            "after_seconds = 1\nremoves = 'investigation'\ntask = 'investigation'",
            "a step has either",
        ),
        (
            "after_seconds = 1\nremoves = 'investigation'\n"
            "[[crew.steps]]\nafter_seconds = 2\ntask = 'investigation'\nstate = 'released'",
            "no task is called 'investigation'",
        ),
    ],
)
def test_what_was_removed_cannot_be_moved(steps: str, complaint: str) -> None:
    with pytest.raises(InvalidScenario, match=complaint):
        scenarios.parse(MINIMAL + "[[crew.steps]]\n" + steps)


def test_the_same_seed_is_the_same_scenario_and_another_one_another() -> None:
    numbers = ["+13035550101", "+13035550102"]
    first, again, other = (random_scenario(seed, numbers) for seed in (7, 7, 8))
    assert first == again != other


def test_random_scenarios_are_of_every_kind() -> None:
    drawn = [random_scenario(seed, ["+13035550101"]) for seed in range(400)]
    assert len({one.phones[0].who for one in drawn}) >= 11
    assert {fault.edge for one in drawn for fault in one.faults} >= {
        "twilio.calls.create",
        "webhook.status",
        "webhook.twiml",
        "render.list",
    }
    assert any(not one.faults for one in drawn)
    assert any(not one.stakes.has_list for one in drawn)
    assert any(step.removes for one in drawn for step in one.crew.steps)


def test_every_shipped_story_is_a_story() -> None:
    for name in scenarios.names():
        scenario = scenarios.load(name)
        assert scenario.name == name
        assert len(scenario.story.split()) >= 25
        assert all(phone.who for phone in scenario.phones)
