"""A silent drill: the whole ring-down of a list, on paper. No phone rings, nothing is stored.

It is no imitation: list, process, ringer and prompts are those that ring people, on a clock that
is moved by hand and with a telephone on which everybody sleeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from strike_domain.actors import Actor, Role, Side
from strike_domain.callouts import EcoOrder
from strike_domain.contacts import Contact, PagerList
from strike_domain.geometry import Location
from strike_domain.in_memory import StrikeInMemory
from strike_domain.memory import MemoryDirectory, PaperTelephone
from strike_domain.pager_run import PagerRunStarted, RunEvent
from strike_domain.ports import CallOrder, Link, LinkStatus
from strike_domain.timeline import Teller
from strike_domain.voice import Voice

MOST_SECONDS = 24 * 3_600

NOC_ON_PAPER = UUID(int=0xD1)


@dataclass(frozen=True)
class Moment:
    """What would happen, so many seconds after the callout."""

    seconds: float
    line: str


@dataclass(frozen=True)
class Prompt:
    """What somebody would hear, sentence by sentence."""

    contact: Contact
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Drill:
    """A ring-down in which nobody answers, and what everybody would have heard."""

    list_name: str
    reason: str
    moments: tuple[Moment, ...]
    prompts: tuple[Prompt, ...]


class _Asleep(PaperTelephone):
    """Every phone rings at once, and nobody wakes up."""

    def __init__(self) -> None:
        super().__init__()
        self.untold: list[str] = []

    def place(self, order: CallOrder) -> str:
        self.untold.append(order.to)
        return super().place(order)


def drill(pager_list: PagerList, location: Location, reason: str) -> Drill:
    """Ring `pager_list` down on paper, for a callout at `location`; `reason`: why that list."""
    telephone, directory = _Asleep(), MemoryDirectory()
    everywhere = pager_list.model_copy(update={"region": None})
    osp_id = pager_list.osp_id
    directory.add(everywhere, Link(noc_id=NOC_ON_PAPER, osp_id=osp_id, status=LinkStatus.ACTIVE))
    strike = StrikeInMemory(telephone, directory=directory)
    began = strike.clock.now()
    actor = Actor(name="drill", tenant_id=NOC_ON_PAPER, side=Side.NOC, role=Role.OPERATOR)
    order = EcoOrder(osp_id=osp_id, location=location, job_type="CMR", description="A drill.")
    strike.callouts.create_eco(order, actor)
    strike.settle()
    while True:
        for number in telephone.untold:
            strike.paging.reported(telephone.rings(number))
        telephone.untold.clear()
        due = strike.next_due()
        if due is None or (due - began).total_seconds() > MOST_SECONDS:
            break
        strike.advance((due - strike.clock.now()).total_seconds())
    return Drill(pager_list.name, reason, _told(strike), _heard(strike))


def _heard(strike: StrikeInMemory) -> tuple[Prompt, ...]:
    """What each person who was rung would have heard, once."""
    prompts: dict[str, Prompt] = {}
    for _, event in strike.events():
        if isinstance(event, PagerRunStarted):
            run = strike.log.run(event.originator_id)
            for call in run.calls.values():
                voice = Voice(call.contact, run.briefing, run.plan)
                heard = Prompt(call.contact, voice.prompt().sentences)
                prompts.setdefault(call.contact.phone, heard)
    return tuple(prompts.values())


def _told(strike: StrikeInMemory) -> tuple[Moment, ...]:
    moments: list[Moment] = []
    teller, began = Teller(), None
    for _, event in strike.events():
        began = began or event.timestamp  # type: ignore[attr-defined]
        if isinstance(event, PagerRunStarted | RunEvent):
            run = strike.log.run(event.originator_id, event.originator_version)
            seconds = (event.timestamp - began).total_seconds()
            moments.append(Moment(seconds, teller.line(event, run)))
    return tuple(moments)
