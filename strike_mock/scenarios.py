"""Scenarios are data: one TOML file each beside this module, read and checked here.

All times are simulated seconds.
"""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from importlib import resources
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    ValidationError,
    model_validator,
)

from strike_mock.errors import InvalidScenario, UnknownScenario

AnsweredBy = Literal["human", "machine_start", "machine_end_beep", "fax", "unknown"]
TaskState = Literal["blueprinted", "allocated", "releasable", "released", "jeopardy", "completed"]
FaultKind = Literal[
    "refuse",
    "delay",
    "hang",
    "lose",
    "lose_answer",
    "cut",
    "die",
    "die_after",
    "double",
    "corrupt",
]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Press(_Data):
    """A key the person presses.

    `after` counts from the moment the person is asked for a key (`since = "prompt"`: each asking
    brings out the next press, however long Strike took to ask), or from the answer, asked or not
    (`since = "answer"`: a key that nobody waits for is lost, as on a real line).
    """

    key: str = Field(pattern=r"^[0-9*#]$")
    after: NonNegativeFloat = 2.0
    since: Literal["prompt", "answer"] = "prompt"


class Phone(_Data):
    """How the phones whose number matches the glob pattern `number` behave.

    It takes `rings_after` to reach the phone. Then it fails with a SIP code (486 and 600: the line
    is busy), is rejected (with `rejects_with`), is answered, or (none given) rings until the caller
    gives up. `rejects_after` and `answers_after` count from the first ring, `hangs_up_after` from
    the answer. With `by_hand` it rings until somebody acts or the caller gives up. Calls to a
    number that is `unreachable` (Twilio's 21214) or `blocked` (21216) are refused.
    """

    number: str = Field(min_length=1)
    who: str = ""
    rings_after: NonNegativeFloat = 1.0
    answers_after: NonNegativeFloat | None = None
    rejects_after: NonNegativeFloat | None = None
    rejects_with: Literal[486, 603] = 486
    fails_with: int | None = Field(default=None, ge=400, le=699)
    by_hand: bool = False
    unreachable: bool = False
    blocked: bool = False
    answered_by: AnsweredBy = "human"
    presses: tuple[Press, ...] = ()
    hangs_up_after: NonNegativeFloat | None = None

    @model_validator(mode="after")
    def _one_fate(self) -> Self:
        fates = (self.answers_after, self.rejects_after, self.fails_with)
        if sum(fate is not None for fate in fates) + self.by_hand > 1:
            raise ValueError("give one of answers_after, rejects_after, fails_with, by_hand")
        if self.answers_after is None and (self.presses or self.hangs_up_after is not None):
            raise ValueError("presses and hangs_up_after need answers_after")
        return self


class NewTask(_Data):
    """A task the crew makes: `label` names it for later steps, `clones` is its origin's label."""

    label: str = Field(min_length=1)
    kind: str = "repair"
    name: str = Field(min_length=1)
    state: TaskState = "blueprinted"
    clones: str | None = "investigation"


class CrewStep(_Data):
    """One thing the crew does, `after_seconds` after Strike made the task.

    It moves a task to a state (also a completed one: that reopens it), adds one, or removes one
    from the list.
    """

    after_seconds: NonNegativeFloat
    task: str | None = None
    state: TaskState | None = None
    adds: NewTask | None = None
    removes: str | None = None

    @model_validator(mode="after")
    def _one_deed(self) -> Self:
        moves = self.task is not None and self.state is not None
        deeds = (moves, self.adds is not None, self.removes is not None)
        if sum(deeds) != 1 or (self.task is None) != (self.state is None):
            raise ValueError("a step has either task and state, or adds, or removes")
        return self

    @property
    def label(self) -> str | None:
        """The task that must be there for this step."""
        return self.adds.clones if self.adds is not None else self.task or self.removes


class Crew(_Data):
    """The scripted crew. The label "investigation" is the task that Strike made."""

    steps: tuple[CrewStep, ...] = ()

    @model_validator(mode="after")
    def _labels_exist(self) -> Self:
        known = {"investigation"}
        for step in sorted(self.steps, key=lambda s: s.after_seconds):
            if step.label is not None and step.label not in known:
                raise ValueError(f"no task is called {step.label!r} at {step.after_seconds} s")
            if step.adds is not None:
                known.add(step.adds.label)
            known.discard(step.removes or "")
        return self


class FaultRule(_Data):
    """Something that goes wrong on an edge between Strike and the outside.

    `edge` is a glob pattern over the names of edges: `twilio.calls.create|fetch|list|update`,
    `twilio.accounts.…`, `render.token|subsectors|tasks|list` (Strike asks),
    `webhook.status|twiml|amd` (Twilio asks).

    - `refuse`: answered with `status` (for Twilio with the error number `code`) before any effect,
      with `retry_after` as Retry-After; a webhook reaches nobody, and is tried again as Twilio does
    - `delay`: it arrives later by a time between the two `seconds`; different ones shuffle
    - `hang`: no answer and no effect for so long, then the connection breaks
    - `lose`: no effect, no answer; a status callback is lost without Twilio's noticing
    - `lose_answer`: the effect happens, the answer is lost
    - `cut`: the effect happens, the connection breaks in the middle of the answer
    - `die`, `die_after`: the process of Strike that asks dies, before or after the effect
    - `double`: a webhook arrives twice
    - `corrupt`: a webhook's content is changed after it was signed

    It hits the share `share` of the requests, at most `times`, not the first `skip`, and only from
    `from_seconds` until `until_seconds` of the story, which begins with its first request.
    """

    edge: str = Field(min_length=1)
    kind: FaultKind
    share: float = Field(default=1.0, gt=0, le=1)
    times: int | None = Field(default=None, gt=0)
    skip: int = Field(default=0, ge=0)
    from_seconds: NonNegativeFloat = 0.0
    until_seconds: NonNegativeFloat | None = None
    seconds: tuple[NonNegativeFloat, NonNegativeFloat] = (1.0, 10.0)
    status: int = Field(default=503, ge=400, le=599)
    code: int | None = None
    retry_after: NonNegativeFloat | None = None

    @model_validator(mode="after")
    def _fits_its_edge(self) -> Self:
        is_webhook = self.edge.startswith("webhook.")
        if self.kind in ("double", "corrupt") and not is_webhook:
            raise ValueError(f"{self.kind} is for webhooks: edge must begin with webhook.")
        if self.kind in ("cut", "die", "die_after") and is_webhook:
            raise ValueError(f"{self.kind} is for what Strike asks, not for webhooks")
        if not any(fnmatchcase(edge, self.edge) for edge in EDGES):
            raise ValueError(f"no edge is called {self.edge!r}; there are: {', '.join(EDGES)}")
        return self


EDGES = (
    "twilio.calls.create",
    "twilio.calls.fetch",
    "twilio.calls.list",
    "twilio.calls.update",
    "twilio.accounts.create",
    "twilio.accounts.fetch",
    "twilio.accounts.list",
    "twilio.accounts.update",
    "render.token",
    "render.subsectors",
    "render.tasks",
    "render.list",
    "webhook.status",
    "webhook.twiml",
    "webhook.amd",
)


class RenderSettings(_Data):
    """How Render itself is set up: how long its access tokens are good for."""

    token_seconds: float = Field(default=3600.0, gt=0)


class OperatorStep(_Data):
    """What a person at the NOC does, `after_seconds` after the ECO was created."""

    after_seconds: NonNegativeFloat
    does: Literal["cancel", "dispatch", "take_up_offer", "note"]
    text: str = "Signal is back."


class Stakes(_Data):
    """How the contractor of the story is set up: people on its list, and Render's settings.

    `has_list` False: nobody drew a region there and there is no default list. With
    `ring_again_times` the exhausted list is rung again, after `ring_again_minutes` each.
    """

    people: int = Field(default=3, ge=1, le=20)
    has_list: bool = True
    rounds: int = Field(default=1, ge=1, le=5)
    ring_again_minutes: int = Field(default=10, ge=1, le=1_440)
    ring_again_times: int = Field(default=0, ge=0, le=20)
    polling_seconds: float = Field(default=30.0, gt=0)
    grace_seconds: float = Field(default=86_400.0, gt=0)
    inactivity_seconds: float = Field(default=259_200.0, gt=0)


class Timing(_Data):
    """How long the network takes.

    `calls_per_second`: how many calls an account may start; the rest waits in its queue, before the
    network's own `queue_seconds`. `ring_slack`: Twilio lets it ring about 5 s longer than asked.
    `play_seconds`: what every recording takes. `machine_detection_seconds`: until it is known who
    answered; `greeting_seconds` more until a voicemail has done speaking.
    """

    calls_per_second: float = Field(default=1.0, gt=0)
    queue_seconds: NonNegativeFloat = 0.2
    ring_slack: NonNegativeFloat = 5.0
    words_per_second: float = Field(default=3.0, gt=0)
    play_seconds: NonNegativeFloat = 4.0
    machine_detection_seconds: NonNegativeFloat = 2.0
    greeting_seconds: NonNegativeFloat = 8.0


class Ending(_Data):
    """How the story ends, in the words of the product; `accepted_by` is the end of a number.

    `happened` are kinds of events that the timeline must have by then.

    `within_seconds` is the simulated time from the ECO's creation in which it must have ended.
    """

    status: Literal["OPEN", "IN_PROGRESS", "COMPLETED", "CLOSED", "CANCELLED"]
    paging: Literal["NOT_STARTED", "RUNNING", "ACCEPTED", "EXHAUSTED", "NO_LIST", "CANCELLED"]
    render: Literal["NOT_CONFIGURED", "PENDING", "TASKED", "FAILED"]
    accepted_by: str | None = None
    stale: bool = False
    happened: tuple[str, ...] = ()
    within_seconds: float = Field(default=600.0, gt=0)

    @model_validator(mode="after")
    def _somebody_accepts(self) -> Self:
        if (self.paging == "ACCEPTED") != (self.accepted_by is not None):
            raise ValueError("accepted_by goes with paging ACCEPTED, and only with it")
        return self


class Scenario(_Data):
    """A story: who answers, what the crew does, what breaks, and how it ends."""

    name: str = Field(pattern=r"^[a-z0-9-]+$")
    title: str = Field(min_length=1)
    story: str = Field(min_length=1)
    stakes: Stakes = Stakes()
    phones: tuple[Phone, ...] = ()
    crew: Crew = Crew()
    render: RenderSettings = RenderSettings()
    operator: tuple[OperatorStep, ...] = ()
    faults: tuple[FaultRule, ...] = ()
    timing: Timing = Timing()
    ending: Ending

    def phone(self, number: str) -> Phone:
        """Return the behaviour of `number`: the most specific pattern wins, then the first.

        A number nobody described rings and is never answered.
        """
        matching = [phone for phone in self.phones if fnmatchcase(number, phone.number)]
        return max(matching, key=_literal_length, default=Phone(number=number))


def _literal_length(phone: Phone) -> int:
    return sum(character not in "*?" for character in phone.number)


def names() -> tuple[str, ...]:
    """Return the names of the scenarios that ship, in alphabetical order."""
    entries = (resources.files("strike_mock") / "scenarios").iterdir()
    return tuple(sorted(e.name.removesuffix(".toml") for e in entries if e.name.endswith(".toml")))


def load(name: str) -> Scenario:
    """Return the scenario `name`.

    Raises UnknownScenario (the message lists the names there are) and InvalidScenario.
    """
    if name not in names():
        raise UnknownScenario(f"no scenario {name!r}; there are: {', '.join(names())}")
    source = resources.files("strike_mock") / "scenarios" / f"{name}.toml"
    return parse(source.read_text("utf-8"), where=f"{name}.toml")


def parse(text: str, where: str = "scenario") -> Scenario:
    """Return the scenario written in TOML `text`; `where` names it in errors.

    Raises InvalidScenario with every wrong field and why.
    """
    try:
        return Scenario.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidScenario(f"{where}: not TOML: {error}") from error
    except ValidationError as error:
        raise InvalidScenario(f"{where}: {_each_problem(error)}") from error


def _each_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    return "; ".join(f"{_path(p['loc'])}: {p['msg']}" for p in problems)


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(map(str, location)) or "scenario"
