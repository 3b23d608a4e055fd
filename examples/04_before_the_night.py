"""Before the night: are the lists ready? And in the night: somebody who could come, but not soon.

Lists and regions are checked, a drill rings nobody, and then a list is rung on which Ana needs more
than an hour and Ben, who also gets a text, cannot come. The NOC takes up Ana's offer: she is rung
alone, and presses 1.
Run it with `python examples/04_before_the_night.py`.
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
    parse_location,
    parse_region,
)
from strike_domain.drill import drill
from strike_domain.readiness import check_lists


def square(west: float, south: float, east: float, north: float) -> dict[str, object]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return parse_region({"type": "Polygon", "coordinates": [ring]})


noc, osp = uuid4(), uuid4()
ana = Contact(name="Ana", phone="+13035550101")
ben = Contact(name="Ben", phone="+13035550102")
carl = Contact(name="Carl", phone="+1303555")
agreed = frozenset({ana.phone, ben.phone})
north = PagerList(
    id=uuid4(),
    osp_id=osp,
    name="Boulder North",
    contacts=(ana, ben),
    region=square(-105.4, 40.001, -105.1, 40.2),
    consented=agreed,
    texted=frozenset({ben.phone}),
)
south = PagerList(
    id=uuid4(),
    osp_id=osp,
    name="Boulder South",
    contacts=(carl, ben),
    region=square(-105.4, 39.9, -105.1, 40.0),
    consented=agreed,
)

print("Before the night:")
for problem in check_lists([north, south]).problems:
    print(f"  {problem.severity.lower():8}{problem.list_name or 'all lists'}: {problem.said}")

place = parse_location({"type": "Point", "coordinates": [-105.27, 40.01]})
print("A drill, in which everybody sleeps:")
for moment in drill(north, place, "covers the point").moments:
    print(f"  {moment.seconds:3.0f} s  {moment.line}")

telephone = PaperTelephone()
strike = StrikeInMemory(telephone, texts=telephone)
strike.directory.add(Link(noc_id=noc, osp_id=osp, status=LinkStatus.ACTIVE), north, south)
operator = Actor(name="nina@noc.example", tenant_id=noc, side=Side.NOC, role=Role.OPERATOR)
order = EcoOrder(osp_id=osp, location=place, job_type="FNOL", description="A digger again.")
eco_id = strike.callouts.create_eco(order, operator).aggregate.id
strike.settle()

print("In the night:")
for person, key in ((ana, "4"), (ben, "3")):
    speech = strike.paging.key_pressed(telephone.answers(person.phone), key)
    print(f"  {person.name} presses {key}:", *speech.sentences)
    strike.settle()
print("  Ben had been sent a text, too:", telephone.texts[-1].body)
eco = strike.log.eco(eco_id)
(offer,) = eco.offers
print(f"  {eco.paging_state}: {offer.name} could come, in more than {offer.minutes} minutes")

strike.paging.take_up_offer(eco_id, offer.call_id, operator)
strike.settle()
speech = strike.paging.key_pressed(telephone.answers(ana.phone), "1")
print("  Ana is rung again and presses 1:", *speech.sentences)
eco = strike.log.eco(eco_id)
print(f"  {eco.paging_state}, expected at {eco.expected_at:%H:%M} UTC")
