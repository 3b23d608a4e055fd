"""How good is your pager list? A hundred nights of it, before the first real one.

The list is a file as `strike lists save` takes it. Its people sleep, decline and answer as you say
they do; each night is drawn by its number, and takes milliseconds. Then the same nights again with
a second round, and with the list rung again after a while: what does it help, and what does it
cost? The answer is that of the domain itself, not of a formula about it. Run it with
`python examples/15_your_own_lists.py [list.toml] [nights]`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import quantiles
from uuid import UUID, uuid4

from strike_app.admin.list_files import merged, read_list_file
from strike_domain import (
    Actor,
    EcoOrder,
    Link,
    LinkStatus,
    PagerList,
    PaperTelephone,
    RingAgain,
    Role,
    RunState,
    Side,
    StrikeInMemory,
)

file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "15_crew.toml"
nights = int(sys.argv[2]) if len(sys.argv) > 2 else 100

# The people ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Habit:
    """Shares of the calls; whoever neither sleeps nor declines accepts."""

    sleeps: float
    declines: float
    answers_within: float
    """Seconds that it takes at the most to find the phone."""


HABITS = [Habit(0.5, 0.1, 20), Habit(0.4, 0.2, 25), Habit(0.6, 0.05, 15)]
"""By the place on the list, the last one's for all who follow."""


def habit_of(crew: PagerList, phone: str) -> Habit:
    numbers = [contact.phone for contact in crew.contacts]
    return HABITS[min(numbers.index(phone), len(HABITS) - 1)]


# A night ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Night:
    """`minutes` until somebody accepted; None if nobody did."""

    minutes: float | None
    calls: int


def night(crew: PagerList, number: int) -> Night:
    """One callout, from the cut to the end of the ring-down."""
    chance, noc = Random(number), UUID(int=1)
    telephone = PaperTelephone()
    strike = StrikeInMemory(telephone)
    strike.directory.add(Link(noc_id=noc, osp_id=crew.osp_id, status=LinkStatus.ACTIVE), crew)
    nina = Actor(name="nina", tenant_id=noc, side=Side.NOC, role=Role.OPERATOR)
    place = {"type": "Point", "coordinates": [-105.27, 40.01]}
    cut = EcoOrder(osp_id=crew.osp_id, location=place, job_type="FNOL", description="No light.")
    eco_id = strike.callouts.create_eco(cut, nina).aggregate.id
    strike.settle()
    began = strike.clock.now()
    while (run := strike.run_of(eco_id)).state is not RunState.ACCEPTED:
        if run.live_call:
            habit = habit_of(crew, run.live_call.contact.phone)
            ring(strike, telephone, habit, chance, crew.answer_seconds)
        elif strike.next_due():
            strike.advance(60)  # The list is rung again after a while.
        else:
            return Night(None, len(telephone.calls))
    minutes = (strike.clock.now() - began).total_seconds() / 60
    return Night(minutes, len(telephone.calls))


def ring(
    strike: StrikeInMemory,
    telephone: PaperTelephone,
    habit: Habit,
    chance: Random,
    answer_seconds: float,
) -> None:
    """The newest call, as one of that habit takes it."""
    call = telephone.calls[-1]
    strike.paging.reported(telephone.rings(call.order.to))
    mood, finds_it_after = chance.random(), chance.uniform(3, habit.answers_within)
    strike.advance(answer_seconds if mood < habit.sleeps else finds_it_after)
    if call.state.is_final:
        return  # It rang in vain; the next one's is ringing by now.
    report = telephone.answers(call.order.to)
    strike.paging.answered(report)
    strike.paging.key_pressed(report, "2" if mood < habit.sleeps + habit.declines else "1")
    strike.settle()


# A hundred of them --------------------------------------------------------------------------------


def told(what: str, crew: PagerList) -> None:
    found = [night(crew, number) for number in range(nights)]
    times = [one.minutes for one in found if one.minutes is not None]
    if len(times) < 2:
        print(f"{what:32}{len(times) / nights:6.0%}")
        return
    half, *_, late = quantiles(times, n=20, method="inclusive")[9:]
    print(
        f"{what:32}{len(times) / nights:6.0%}{half:9.1f}{late:9.1f}"
        f"{sum(one.calls for one in found) / nights:9.1f}"
    )


crew = merged(read_list_file(file), None, file.parent)
crew = crew.model_copy(update={"id": uuid4(), "osp_id": uuid4(), "region": None})
print(f"{nights} nights of {crew.name!r}, {len(crew.contacts)} people")
print(f"{'':32}{'comes':>6}{'half by':>9}{'95 % by':>9}{'calls':>9}")
told("as it is", crew)
told("two rounds", crew.model_copy(update={"rounds": 2}))
again = RingAgain(after_minutes=10, times=2)
told("again after 10 minutes, twice", crew.model_copy(update={"ring_again": again}))
told("15 seconds for each", crew.model_copy(update={"answer_seconds": 15}))
print("Times in minutes from the cut.")
