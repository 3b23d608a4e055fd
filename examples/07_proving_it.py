"""A year later somebody asks: who was called, when, and can you prove it?

A callout at night, how it stood half a minute earlier, and an evidence file that a third party can
check; then one word of it is changed, and the file no longer holds. In memory.
Run it with `python examples/07_proving_it.py`.
"""

import tempfile
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from strike_app.evidence import collect, pack, verify
from strike_domain import (
    Actor,
    Contact,
    EcoOrder,
    Link,
    LinkStatus,
    ManualClock,
    PagerList,
    PaperTelephone,
    ProviderCallState,
    Role,
    Side,
    StrikeInMemory,
)
from strike_domain.history import replay, until
from strike_domain.timeline import Teller

noc, osp = uuid4(), uuid4()
clock = ManualClock()
telephone = PaperTelephone()
strike = StrikeInMemory(telephone, clock=clock)
strike.directory.add(
    Link(noc_id=noc, osp_id=osp, status=LinkStatus.ACTIVE),
    PagerList(
        id=uuid4(),
        osp_id=osp,
        name="nights",
        contacts=(
            Contact(name="Ana", phone="+13035550101"),
            Contact(name="Ben", phone="+13035550102"),
        ),
    ),
)

olivia = Actor(name="olivia@noc.example", tenant_id=noc, side=Side.NOC, role=Role.OPERATOR)
order = EcoOrder(
    osp_id=osp,
    location={"type": "Point", "coordinates": [-105.27, 40.01]},
    job_type="FNOL",
    description="A digger went through the cable at the bridge.",
)
eco_id = strike.callouts.create_eco(order, olivia).aggregate.id
strike.settle()

strike.advance(20)
ana = telephone.calls[-1]
ana.state = ProviderCallState.IN_PROGRESS
strike.paging.answered(ana.report)
strike.paging.key_pressed(ana.report, "2")
ana.state = ProviderCallState.COMPLETED
strike.settle()

strike.advance(40)
ben = telephone.calls[-1]
ben.state = ProviderCallState.IN_PROGRESS
strike.paging.answered(ben.report)
strike.paging.key_pressed(ben.report, "1")
strike.settle()
print("Now:", strike.log.eco(eco_id).paging_state)

# As of an earlier moment: everything, cut at the same place of the log.
(history,) = strike.log.histories([eco_id]).values()
then = clock.now() - timedelta(seconds=30)
teller = Teller()
print(f"As of {then:%H:%M:%S}:")
for one, after in replay(until(history, then)):
    print(f"  {one.event.timestamp:%H:%M:%S}  {teller.line(one.event, after)}")

# The evidence, for whoever has to be convinced.
companies = {noc: "Bluestem NOC", osp: "Front Range Splicing"}
bundle = collect(
    strike.log, eco_id, at=clock.now(), by=olivia.name, side=Side.NOC, companies=companies
)
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / bundle.file_name
    file.write_bytes(pack(bundle.parts))
    print(f"{file.name}: {', '.join(bundle.parts)}")
    print("Head of the chain, told to the other company as well:", bundle.head[:16], "...")

    verdict = verify(file.read_bytes())
    print("It holds:", verdict.holds)
    for line in verdict.proven:
        print("  proven:", line)
    for line in verdict.not_proven:
        print("  not proven:", line)

    # Somebody would rather that Ana had never been asked.
    file.write_bytes(file.read_bytes().replace(b"DECLINED", b"ACCEPTED"))
    print("After one word was changed, it holds:", verify(file.read_bytes()).holds)

    changed = {**bundle.parts, "calls.json": b"[]\n"}
    for line in verify(pack(changed)).problems:
        print("With another list of calls:", line)
