"""A first callout, with the domain alone: no server, no database, and a telephone on paper.

A fibre is cut at night. Strike rings the contractor's list; Ana sleeps, Ben accepts.
Run it with `python examples/01_first_callout.py`.
"""

from uuid import uuid4

from strike_domain import (
    Actor,
    Contact,
    EcoOrder,
    Link,
    LinkStatus,
    PagerList,
    PaperTelephone,
    Role,
    Side,
    StrikeInMemory,
)

noc, osp = uuid4(), uuid4()
ana = Contact(name="Ana", phone="+13035550101")
ben = Contact(name="Ben", phone="+13035550102")
crew = PagerList(id=uuid4(), osp_id=osp, name="Boulder nights", contacts=(ana, ben))
operator = Actor(name="nina@noc.example", tenant_id=noc, side=Side.NOC, role=Role.OPERATOR)
cut = EcoOrder(
    osp_id=osp,
    location={"type": "Point", "coordinates": [-105.27, 40.01]},
    job_type="FNOL",
    description="A digger went through the 288-fibre cable.",
)

telephone = PaperTelephone()
strike = StrikeInMemory(telephone)
strike.directory.add(Link(noc_id=noc, osp_id=osp, status=LinkStatus.ACTIVE), crew)

eco_id = strike.callouts.create_eco(cut, operator).aggregate.id
strike.settle()
strike.paging.reported(telephone.rings(ana.phone))
strike.advance(30)  # Ana sleeps, and Ben is rung.
call = telephone.answers(ben.phone)
print("Ben hears:", *strike.paging.answered(call).sentences)
print("Ben presses 1:", *strike.paging.key_pressed(call, "1").sentences)

responder = strike.log.eco(eco_id).responder
print("On the way:", responder.name if responder else "nobody")
for _, event in strike.events():
    print("  ", type(event).__name__)
