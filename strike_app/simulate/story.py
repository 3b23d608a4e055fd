"""One story: a scenario and bad luck from a seed, told from the first cut to the last task."""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from eventsourcing.persistence import PersistenceError

from strike_app.simulate.loop import LoopClock, SimulatedLoop, Stuck, blocking
from strike_app.simulate.system import ACCOUNT, PUBLIC, System, without_waiting
from strike_domain.actors import Actor, Role, Side
from strike_domain.callouts import EcoOrder
from strike_domain.contacts import Contact, Language, PagerList, RingAgain
from strike_domain.errors import Conflict, InvalidTransition, Rejected
from strike_domain.memory import MemoryDirectory
from strike_domain.ports import FieldTerms, Link, LinkStatus, Tenant
from strike_mock.generator import random_scenario
from strike_mock.scenarios import FaultRule, Scenario
from strike_mock.signing import signature

NOC, OSP, LIST = UUID(int=0xA0C), UUID(int=0x05B), UUID(int=0x115)
OPERATOR = Actor(name="olivia@noc.example", tenant_id=NOC, side=Side.NOC, role=Role.OPERATOR)
PLACE = {"type": "Point", "coordinates": [-105.27, 40.01]}
REGION = {
    "type": "Polygon",
    "coordinates": [
        [[-106.0, 39.0], [-104.0, 39.0], [-104.0, 41.0], [-106.0, 41.0], [-106.0, 39.0]]
    ],
}
TROUBLED = 1500.0
"""Simulated seconds in which things go wrong; afterwards there is time to come to rest."""

ROUND = 300.0
"""Seconds that ringing everybody once takes at the most."""

TEXTED = 0.4
"""The share of people who get a text, too."""

STORMS = 0.25
"""The share of stories in which several callouts come within seconds, for the same people."""

SLUGGISH = tuple(
    FaultRule.model_validate({"edge": "twilio.calls.create", "times": 6} | fault)
    for fault in (
        {"kind": "lose", "share": 0.3},
        {"kind": "delay", "share": 0.5, "seconds": (0.5, 6.0)},
    )
)
"""Twilio in such a story."""

CONGESTED = 0.5
"""The share of storms in which the account may start few calls, so that the rest waits there."""

LOSES_ANSWERS = FaultRule(edge="twilio.calls.create", kind="lose_answer", times=6, share=0.5)
"""What Twilio does as well while it has calls waiting."""

PEACE = 1200.0
"""Simulated seconds after the last thing that was planned."""


@dataclass(frozen=True)
class Luck:
    """What happens besides the scenario. All times in simulated seconds."""

    callouts: tuple[float, ...]
    kills: tuple[tuple[float, str], ...]
    outages: tuple[tuple[float, float], ...]
    slips: float
    """The share of statements on the store that fail by themselves."""
    forgeries: tuple[float, ...]


@dataclass
class Told:
    """What a story has come to: the system as it is at the end, and what was seen on the way."""

    seed: int
    scenario: Scenario
    luck: Luck
    system: System
    ecos: list[UUID] = field(default_factory=list)
    forged: list[int] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)

    def events(self) -> Iterator[tuple[int, Any]]:
        """The log: (position, event)."""
        log = self.system.log
        for one in self.system.recorder.select_notifications(1, 1_000_000):
            yield one.id, log.mapper.to_domain_event(one)

    def digest(self) -> str:
        """SHA-256 over the whole log, byte for byte."""
        total = hashlib.sha256()
        for one in self.system.recorder.select_notifications(1, 1_000_000):
            total.update(
                f"{one.id} {one.originator_id} {one.originator_version} {one.topic}\n".encode()
            )
            total.update(one.state)
        return total.hexdigest()


def numbers(seed: int) -> list[str]:
    """The phones of the people in the story of `seed`."""
    people = Random(f"people/{seed}").choice([1, 2, 3, 3, 4, 5])  # noqa: S311
    return [f"+1303555{100 + n:04d}" for n in range(1, people + 1)]


def luck_of(seed: int) -> Luck:
    """What else happens in the story of `seed`."""
    chance = Random(f"luck/{seed}")  # noqa: S311
    names = ("server", "pager", "states", "worker-1", "worker-2", "desk")
    kills = [
        (chance.uniform(0, 400), chance.choice(names))
        for _ in range(chance.choice([0, 0, 1, 2, 4, 8]))
    ]
    outages = [
        (
            start := chance.uniform(0, 300),
            start + chance.choice([0.1, 1, 1]) * chance.uniform(1, 45),
        )
        for _ in range(chance.choice([0, 0, 0, 1, 3, 6]))
    ]
    callouts = tuple(chance.uniform(0, 200) for _ in range(chance.choice([1, 1, 1, 2, 3])))
    if storm := storm_of(seed):
        callouts = tuple(callouts[0] + storm.uniform(0, 15) for _ in range(storm.choice([2, 3, 5])))
    return Luck(
        callouts=callouts,
        kills=tuple(sorted(kills)),
        outages=tuple(outages),
        slips=chance.choice([0.0, 0.0, 0.01, 0.05]),
        forgeries=tuple(chance.uniform(1, 200) for _ in range(chance.choice([0, 0, 1, 3]))),
    )


def storm_of(seed: int) -> Random | None:
    """What a storm is drawn from, if there is one in the story of `seed`."""
    storm = Random(f"storm/{seed}")  # noqa: S311
    return storm if storm.random() < STORMS else None


def scenario_of(seed: int) -> Scenario:
    """What happens outside in the story of `seed`: in a storm, Twilio has many to serve as well."""
    scenario = random_scenario(seed, numbers(seed))
    if storm_of(seed) is None:
        return scenario
    faults = (*scenario.faults, *SLUGGISH)
    queue = Random(f"queue/{seed}")  # noqa: S311
    if queue.random() >= CONGESTED:
        return scenario.model_copy(update={"faults": faults})
    pace = {"calls_per_second": 1 / queue.uniform(2, 20)}
    timing = scenario.timing.model_copy(update=pace)
    return scenario.model_copy(update={"faults": (LOSES_ANSWERS, *faults), "timing": timing})


def plan_of(seed: int) -> tuple[Scenario, Luck]:
    """What is drawn for the story of `seed`."""
    return scenario_of(seed), luck_of(seed)


def tell(seed: int, scenario: Scenario | None = None, luck: Luck | None = None) -> Told:
    """Tell the story of `seed` to its end; `scenario` and `luck` may be given in its place."""
    without_waiting()
    phones = numbers(seed)
    scenario = scenario or scenario_of(seed)
    loop = SimulatedLoop()
    told: list[Told] = []
    try:
        asyncio.set_event_loop(loop)
        main = _tell(loop, seed, scenario, luck or luck_of(seed), phones, told)
        loop.run_until_complete(main)
        return told[0]
    except Stuck as stuck:
        told[0].wrongs.append(f"the story is stuck: {stuck}")
        loop.set_exception_handler(lambda *_: None)
        return told[0]
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _tell(
    loop: SimulatedLoop,
    seed: int,
    scenario: Scenario,
    luck: Luck,
    phones: list[str],
    stories: list[Told],
) -> None:
    system = System(loop, scenario, directory(scenario, phones))
    told = Told(seed, scenario, luck, system)
    stories.append(told)
    loop.set_exception_handler(lambda _, context: told.wrongs.append(_what(context)))
    system.recorder.trouble = _trouble(system.clock, loop, luck, Random(f"slips/{seed}"))  # noqa: S311
    system.start()
    side = [
        *(_callout(told, number, at) for number, at in enumerate(luck.callouts)),
        *(_kill(system, at, name) for at, name in luck.kills),
        *(_forge(told, at) for at in luck.forgeries),
    ]
    tasks = [asyncio.create_task(one) for one in side]
    await asyncio.sleep(_length(scenario, luck))
    for task in tasks:
        task.cancel()
        if task.done() and not task.cancelled() and (error := task.exception()):
            told.wrongs.append(f"the story itself broke: {_trace(error)}")
    for process in system.processes:
        told.wrongs += [f"{process.name} crashed: {_trace(one)}" for one in process.crashes]
    await system.stop()
    await _cancel_the_rest()


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _length(scenario: Scenario, luck: Luck) -> float:
    """How long the story is told: until everything that was planned has been noticed."""
    stakes = scenario.stakes
    crew = max((step.after_seconds for step in scenario.crew.steps), default=0.0)
    again = stakes.ring_again_times * (60 * stakes.ring_again_minutes + ROUND * stakes.rounds)
    last = max(luck.callouts) + max(TROUBLED, crew) + again
    return last + max(stakes.grace_seconds, stakes.inactivity_seconds) + PEACE


def directory(scenario: Scenario, phones: list[str]) -> MemoryDirectory:
    """One NOC, one contractor with Render, and its list for the place of the cut."""
    made = MemoryDirectory()
    made.add(
        Tenant(id=NOC, name="Bluestem Backbone NOC", side=Side.NOC),
        Tenant(id=OSP, name="Front Range Fibre Works", side=Side.OSP),
        Link(noc_id=NOC, osp_id=OSP, status=LinkStatus.ACTIVE),
    )
    made.render_osps.add(OSP)
    made.terms[OSP] = FieldTerms(
        interval=timedelta(seconds=scenario.stakes.polling_seconds),
        grace=timedelta(seconds=scenario.stakes.grace_seconds),
        inactivity=timedelta(seconds=scenario.stakes.inactivity_seconds),
    )
    if scenario.stakes.has_list:
        languages = (Language.ENGLISH, Language.SPANISH)
        contacts = tuple(
            Contact(name=f"Person {n + 1}", phone=phone, language=languages[n % 2])
            for n, phone in enumerate(phones)
        )
        stakes = scenario.stakes
        texts = Random(f"texts/{scenario.name}")  # noqa: S311
        made.add(
            PagerList(
                id=LIST,
                osp_id=OSP,
                name="nights",
                contacts=contacts,
                rounds=stakes.rounds,
                region=REGION,
                ring_again=RingAgain(
                    after_minutes=stakes.ring_again_minutes, times=stakes.ring_again_times
                ),
                texted=frozenset(phone for phone in phones if texts.random() < TEXTED),
            )
        )
    return made


def _trouble(clock: LoopClock, loop: SimulatedLoop, luck: Luck, chance: Random) -> Any:
    def trouble(what: str) -> str:
        now = loop.time()
        if any(start <= now < end for start, end in luck.outages):
            return chance.choice(["before", "after"]) if what == "insert" else "before"
        if now < TROUBLED and chance.random() < luck.slips:
            return chance.choice(["before", "after"])
        return ""

    return trouble


async def _callout(told: Told, number: int, at: float) -> None:
    """The operator creates a callout, and does what the scenario says."""
    await asyncio.sleep(at)
    system = told.system
    order = EcoOrder(
        osp_id=OSP,
        location=PLACE,
        job_type="FNOL",
        description=f"Cut number {number + 1}",
        client_reference=f"story-{told.seed}-{number}",
    )
    receipt = await _insisting(lambda: system.callouts.create_eco(order, OPERATOR))
    eco_id = receipt.aggregate.id
    told.ecos.append(eco_id)
    done = 0.0
    for step in sorted(told.scenario.operator, key=lambda one: one.after_seconds):
        await asyncio.sleep(step.after_seconds - done)
        done = step.after_seconds
        try:
            await _insisting(lambda s=step: _do(system, eco_id, s.does, s.text))
        except (InvalidTransition, Rejected, Conflict):
            continue  # As it would be shown to the operator.


def _do(system: System, eco_id: UUID, what: str, text: str) -> Any:
    match what:
        case "cancel":
            return system.callouts.cancel_eco(eco_id, text, OPERATOR)
        case "dispatch":
            return system.paging.dispatch(eco_id, OPERATOR)
        case "take_up_offer":
            offers = system.log.eco(eco_id).offers
            if not offers:
                raise Rejected("NO_OFFER", "Nobody has offered to come.", ())
            return system.paging.take_up_offer(eco_id, offers[-1].call_id, OPERATOR)
        case _:
            return system.callouts.add_note(eco_id, text, OPERATOR)


async def _insisting(command: Any) -> Any:
    """As a person does while the page says that the database is away."""
    for _ in range(60):
        try:
            return await blocking(command)
        except PersistenceError:
            await asyncio.sleep(2)
    raise RuntimeError("the store was away for two minutes")


async def _kill(system: System, at: float, name: str) -> None:
    await asyncio.sleep(at)
    next(one for one in system.processes if one.name == name).kill()


async def _forge(told: Told, at: float) -> None:
    """Somebody who knows the address of a call says that its callee pressed 1."""
    await asyncio.sleep(at)
    calls = told.system.mock.exchange.book.all()
    if not calls:
        return
    call = calls[-1]
    path = str(call.request.url).replace(PUBLIC, "").replace("/voice/", "/key/")
    params = {"CallSid": call.sid, "AccountSid": ACCOUNT.sid, "CallStatus": "in-progress"}
    params["Digits"] = "1"
    sealed = signature("a-guess", f"{PUBLIC}{path}", tuple(params.items()))
    headers = [
        ("X-Twilio-Signature", sealed),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ]
    try:
        answer = await told.system.deliver(path, headers, urlencode(params).encode())
    except ConnectionError:
        return
    told.forged.append(answer.status)


def _what(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context.get('message')}: {_trace(error) if error else ''}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)[-4:]).strip()
