"""When is a repair done? When the field says so, all of it, and a day later still says so.

The contractor works with Render (played on paper here). The crew finishes, the ECO is COMPLETED: a
soft claim. A late clone brings it back to life; Render goes down, and nobody says "done" meanwhile;
then all is done, the grace period passes in silence, and it is CLOSED for good.
Run it with `python examples/05_the_truth_about_done.py`.
"""

from datetime import timedelta
from typing import Any
from uuid import uuid4

from strike_adapters.memory import FakeFieldWork
from strike_domain import (
    Actor,
    EcoOrder,
    FieldTask,
    FieldTerms,
    Link,
    LinkStatus,
    ManualClock,
    PagingPolicy,
    PaperTelephone,
    Role,
    Side,
    StrikeInMemory,
    TaskState,
    Unavailable,
)
from strike_domain.timeline import Teller

noc, osp = uuid4(), uuid4()
clock = ManualClock()
crew = FakeFieldWork(clock)
strike = StrikeInMemory(PaperTelephone(), crew, clock=clock)
strike.directory.add(
    Link(noc_id=noc, osp_id=osp, status=LinkStatus.ACTIVE, paging_policy=PagingPolicy.MANUAL)
)
# The contractor has a Render instance: polled every minute, a day of grace, stale after three.
strike.directory.render_osps.add(osp)
strike.directory.terms[osp] = FieldTerms(interval=timedelta(minutes=1))

olivia = Actor(name="olivia@noc.example", tenant_id=noc, side=Side.NOC, role=Role.OPERATOR)
order = EcoOrder(
    osp_id=osp,
    location={"type": "Point", "coordinates": [-105.27, 40.01]},
    job_type="FNOL",
    description="A digger went through the cable at the bridge.",
)
eco_id = strike.callouts.create_eco(order, olivia).aggregate.id
strike.settle()
subsector = crew.tasked(osp, eco_id).subsector_id


def the_field_says(*tasks: FieldTask) -> None:
    crew.set_tasks(subsector, *tasks)
    strike.advance(60)
    eco = strike.log.eco(eco_id)
    print(f"{clock.now():%d %b %H:%M}  {eco.status:12} {eco.tasks.summary if eco.tasks else ''}")


(planned,) = crew.tasks(subsector)
find = planned.model_copy(update={"state": TaskState.RELEASED})
found = planned.model_copy(update={"state": TaskState.COMPLETED})
the_field_says(find)
the_field_says(found)

# Eleven hours later somebody notices that the splice must be made anew.
strike.advance(11 * 3600)
splice = FieldTask(id="t2", name="Splice", state=TaskState.RELEASED, cloned_from=planned.id)
the_field_says(found, splice)

# Render goes down. Whatever that means, it does not mean "done".
crew.fail(Unavailable("Render fails with 503."))
strike.advance(30 * 60)
problem = strike.log.eco(eco_id).field_problem
print(f"{clock.now():%d %b %H:%M}  not known: {problem.reason if problem else 'nothing'}")
crew.fail(None)
strike.advance(10 * 60)

the_field_says(found, splice.model_copy(update={"state": TaskState.COMPLETED}))
strike.advance(24 * 3600)
print(f"{clock.now():%d %b %H:%M}  {strike.log.eco(eco_id).status}")

print("\nWhat the timeline says:")
teller, eco = Teller(), None
event: Any
for _, event in strike.events():
    eco = event.mutate(eco)
    print(f"  {event.timestamp:%d %b %H:%M}  {teller.line(event, eco)}")
