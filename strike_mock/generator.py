"""Random scenarios, the same again by seed: what people, crews and networks do in a bad night."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from strike_mock.scenarios import Ending, Scenario

Data = dict[str, Any]

UNKNOWN = Ending(status="OPEN", paging="RUNNING", render="PENDING")
"""Nobody has told how a random story ends; what must hold there is the same for all."""


def random_scenario(seed: int, numbers: Sequence[str]) -> Scenario:
    """Return the scenario of `seed` in which the people at `numbers` are rung."""
    chance = Random(f"scenario/{seed}")  # noqa: S311 - to be repeated
    return Scenario.model_validate(
        {
            "name": f"random-{seed}",
            "title": f"Random story {seed}",
            "story": "What happens here was drawn by lot.",
            "stakes": _stakes(chance, len(numbers)),
            "phones": [_phone(chance, number) for number in numbers],
            "crew": _crew(chance),
            "operator": _operator(chance),
            "faults": _faults(chance),
            "timing": _timing(chance),
            "ending": UNKNOWN,
        }
    )


def _stakes(chance: Random, people: int) -> Data:
    return {
        "people": people,
        "has_list": chance.random() > 0.03,
        "rounds": chance.choice([1, 1, 1, 2, 3]),
        "ring_again_minutes": chance.choice([1, 2, 5]),
        "ring_again_times": chance.choice([0, 0, 0, 1, 2]),
        "polling_seconds": chance.choice([60.0, 120.0, 300.0]),
        "grace_seconds": chance.choice([60.0, 600.0, 3600.0]),
        "inactivity_seconds": chance.choice([600.0, 3600.0]),
    }


def _timing(chance: Random) -> Data:
    return {
        "queue_seconds": chance.choice([0.2, 0.2, 1.0, 5.0, 20.0, 45.0]),
        "ring_slack": chance.choice([0.0, 5.0]),
        "words_per_second": 3.0,
    }


def _phone(chance: Random, number: str) -> Data:
    kinds: Mapping[Callable[[Random], Data], int] = {
        _asleep: 20,
        _rejects: 10,
        _broken: 6,
        _voicemail: 12,
        _declines: 8,
        _gives_a_reason: 8,
        _willing: 22,
        _slow_to_answer: 6,
        _slow_to_press: 8,
        _clumsy: 6,
        _hangs_up: 4,
        _presses_and_leaves: 14,
    }
    (kind,) = chance.choices(list(kinds), list(kinds.values()))
    fate = kind(chance)
    who = kind.__name__.strip("_").replace("_", " ")
    return {"number": number, "who": who, "rings_after": chance.uniform(0.3, 4.0)} | fate


def _asleep(chance: Random) -> Data:
    return {}


def _rejects(chance: Random) -> Data:
    return {"rejects_after": chance.uniform(0.5, 12)}


def _broken(chance: Random) -> Data:
    return {"fails_with": chance.choice([404, 480, 500, 503, 603])}


def _voicemail(chance: Random) -> Data:
    kinds = ["machine_start", "machine_end_beep", "unknown", "human"]
    talks = chance.uniform(15, 120)
    by = chance.choice(kinds)
    return {
        "answers_after": chance.uniform(5, 28),
        "answered_by": by,
        "hangs_up_after": talks,
    }


def _declines(chance: Random) -> Data:
    return _answers(chance, [("2", chance.uniform(0.5, 12))])


def _gives_a_reason(chance: Random) -> Data:
    return _answers(chance, [(chance.choice("344"), chance.uniform(0.5, 12))])


def _willing(chance: Random) -> Data:
    return _answers(chance, [("1", chance.uniform(0.5, 12))])


def _slow_to_answer(chance: Random) -> Data:
    return {
        "answers_after": chance.uniform(27, 36),
        "presses": [{"key": "1", "after": chance.uniform(0.5, 8)}],
    }


def _slow_to_press(chance: Random) -> Data:
    return _answers(chance, [("1", chance.uniform(12, 60))])


def _clumsy(chance: Random) -> Data:
    first = chance.choice(["9", "5", "#", "0", "1", "2"])
    early = {"key": first, "after": chance.uniform(0.0, 3.0), "since": "answer"}
    data = _answers(chance, [("9", chance.uniform(0.5, 5)), ("1", chance.uniform(0.5, 8))])
    return data | {"presses": [early, *data["presses"]]}


def _hangs_up(chance: Random) -> Data:
    data = _answers(chance, [("1", chance.uniform(3, 12))])
    return data | {"hangs_up_after": chance.uniform(0.5, 8)}


def _presses_and_leaves(chance: Random) -> Data:
    """Says yes and hangs up at once: the key may arrive after the end of the call."""
    after = chance.uniform(1, 8)
    data = _answers(chance, [(chance.choice("1114"), after)])
    return data | {"hangs_up_after": after + chance.uniform(0.1, 1.5)}


def _answers(chance: Random, presses: Sequence[tuple[str, float]]) -> Data:
    return {
        "answers_after": chance.uniform(1, 22),
        "answered_by": chance.choice(["human", "human", "unknown", "machine_start"]),
        "presses": [{"key": key, "after": after} for key, after in presses],
    }


def _crew(chance: Random) -> Data:
    if chance.random() < 0.15:
        return {"steps": []}
    at = chance.uniform(20, 600)
    steps: list[Data] = []
    for state in ("allocated", "releasable", "released"):
        steps.append({"after_seconds": at, "task": "investigation", "state": state})
        at += chance.uniform(10, 600)
    labels = ["investigation"]
    for number in range(chance.choice([0, 0, 1, 1, 2])):
        label = f"repair-{number + 1}"
        new = {"label": label, "name": f"Repair {number + 1}", "clones": "investigation"}
        steps.append({"after_seconds": at, "adds": new})
        labels.append(label)
        at += chance.uniform(10, 900)
    for label in labels:
        steps.append({"after_seconds": at, "task": label, "state": "completed"})
        at += chance.uniform(5, 900)
    if chance.random() < 0.3:
        label = chance.choice(labels)
        steps.append({"after_seconds": at, "task": label, "state": "released"})
        at += chance.uniform(30, 1200)
        steps.append({"after_seconds": at, "task": label, "state": "completed"})
    if chance.random() < 0.1:
        steps.pop()
    if len(labels) > 1 and chance.random() < 0.1:
        steps.append({"after_seconds": at + chance.uniform(0, 60), "removes": labels[-1]})
    return {"steps": steps}


def _operator(chance: Random) -> list[Data]:
    steps = []
    if chance.random() < 0.15:
        steps.append({"after_seconds": chance.uniform(0.5, 240), "does": "cancel"})
    if chance.random() < 0.2:
        steps.append({"after_seconds": chance.uniform(60, 600), "does": "dispatch"})
    if chance.random() < 0.3:
        steps.append({"after_seconds": chance.uniform(60, 400), "does": "take_up_offer"})
    if chance.random() < 0.2:
        steps.append({"after_seconds": chance.uniform(1, 300), "does": "note", "text": "Hm."})
    return steps


def _faults(chance: Random) -> list[Data]:
    if chance.random() < 0.1:
        return []
    storm = _storm(chance) if chance.random() < 0.2 else []
    return [*storm, *(_fault(chance) for _ in range(chance.choice([1, 1, 2, 3, 4, 6])))]


def _storm(chance: Random) -> list[Data]:
    """Webhooks late, doubled, lost, and so in any order."""
    edge = "webhook.status"
    return [
        {"edge": edge, "kind": "delay", "share": 0.5, "seconds": (0.1, chance.uniform(5, 60))},
        {"edge": edge, "kind": "double", "share": 0.3},
        {"edge": edge, "kind": "lose", "share": chance.choice([0.05, 0.2])},
    ]


_TROUBLE: tuple[tuple[str, tuple[str, ...], int], ...] = (
    (
        "twilio.calls.create",
        ("refuse", "lose", "lose_answer", "hang", "cut", "die", "die_after"),
        3,
    ),
    ("twilio.calls.list", ("refuse", "lose", "hang", "die"), 1),
    ("twilio.calls.fetch", ("refuse", "lose", "hang", "die"), 1),
    ("twilio.calls.update", ("refuse", "lose", "lose_answer", "die", "die_after"), 1),
    ("twilio.*", ("refuse", "delay"), 1),
    ("render.*", ("refuse", "delay", "lose_answer", "cut"), 1),
    ("render.tasks", ("refuse", "lose_answer", "die", "die_after"), 1),
    ("render.list", ("refuse", "cut", "hang", "lose"), 2),
    ("render.token", ("refuse", "delay"), 1),
    ("webhook.status", ("lose", "delay", "double", "corrupt", "lose_answer", "refuse"), 3),
    ("webhook.twiml", ("delay", "delay", "double", "lose_answer", "lose", "corrupt"), 4),
)


def _fault(chance: Random) -> Data:
    ((edge, kinds, _),) = chance.choices(_TROUBLE, [weight for _, _, weight in _TROUBLE])
    kind = chance.choice(kinds)
    longest = 12.0 if edge == "webhook.twiml" else 60.0
    low = chance.uniform(0.1, 3.0)
    fault: Data = {
        "edge": edge,
        "kind": kind,
        "share": chance.choice([0.1, 0.3, 0.6, 1.0]),
        "seconds": (low, low + chance.uniform(0.1, longest)),
    }
    if kind == "refuse":
        fault["status"] = chance.choice([429, 500, 502, 503, 503, 400])
        if fault["status"] == 429:
            fault["retry_after"] = chance.choice([0.5, 2.0, 30.0])
    if kind in ("die", "die_after") or chance.random() < 0.5:
        fault["times"] = chance.choice([1, 1, 2, 4])
    if chance.random() < 0.3:
        start = chance.uniform(0, 300)
        fault |= {"from_seconds": start, "until_seconds": start + chance.uniform(5, 300)}
    return fault
