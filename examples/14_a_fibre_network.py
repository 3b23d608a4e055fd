"""From a fibre network's file to the crew that is rung: the Open Fibre Data Standard.

A contractor gets the spans of two networks as GeoJSON. A region is drawn along each network's
fibre, and becomes a pager list; one span in the file is wrong, and hides none of the others. Then
a span of the same file is cut. `strike lists import` does the same on the command line, and so does
the form in the console. Run it with `python examples/14_a_fibre_network.py [file]`.
"""

import sys
from pathlib import Path
from uuid import uuid4

from strike_adapters.geojson_files import read_callout_geometry, read_shapes
from strike_app.admin.imports import regions_of
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
from strike_domain.readiness import check_lists
from strike_domain.regions import region_area_m2

BESIDE_THE_FIBRE_M = 2_000
here = Path(__file__).parent / "14_front_range_fibre.geojson"
file = Path(sys.argv[1]) if len(sys.argv) > 1 else here

# The file -----------------------------------------------------------------------------------------

print(f"{file.name} holds:")
for shape in read_shapes(file):
    said = f"{shape.error.message} ({shape.error.code})" if shape.error else "usable"
    print(f"  {shape.name}: {said}")

# A list for each network --------------------------------------------------------------------------

noc, osp = uuid4(), uuid4()
crews = {
    "St. Vrain Ring": Contact(name="Lena", phone="+13035550103"),
    "Front Range Backbone": Contact(name="Ana", phone="+13035550101"),
}
anybody = Contact(name="Ben", phone="+13035550102")
agreed = frozenset(one.phone for one in (anybody, *crews.values()))
default = PagerList(
    id=uuid4(), osp_id=osp, name="Everywhere else", contacts=(anybody,), consented=agreed
)
lists = [default]

print(f"Regions, {BESIDE_THE_FIBRE_M:,} m to both sides of the fibre:")
for wanted in regions_of(read_shapes(file), BESIDE_THE_FIBRE_M, file.stem):
    if wanted.region is None:
        print(f"  {wanted.name}: none ({wanted.error.code if wanted.error else 'empty'})")
        continue
    print(f"  {wanted.name}: {region_area_m2(wanted.region) / 1e6:,.0f} km²")
    people = [crews[wanted.name]] if wanted.name in crews else []
    new = {"id": uuid4(), "name": wanted.name, "region": wanted.region}
    lists.append(default.model_copy(update={**new, "contacts": (*people, anybody)}))

print("What a check before the night has to say of them:")
for problem in check_lists(lists).problems:
    print(f"  {problem.severity.lower()}: {problem.said}")

# The cut ------------------------------------------------------------------------------------------

strike = StrikeInMemory(PaperTelephone())
strike.directory.add(Link(noc_id=noc, osp_id=osp, status=LinkStatus.ACTIVE), *lists)
nina = Actor(name="nina", tenant_id=noc, side=Side.NOC, role=Role.OPERATOR)

for span in read_callout_geometry(file):
    if span.location is None:
        continue
    order = EcoOrder(
        osp_id=osp, location=span.location, job_type="FNOL", description=f"{span.name} is dark."
    )
    eco_id = strike.callouts.create_eco(order, nina).aggregate.id
    strike.settle()
    call = strike.run_of(eco_id).live_call
    print(f"Cut: {span.name}")
    print("  list and reason:", *(strike.log.eco(eco_id).route or ()), sep="  ")
    print(f"  rings: {call.contact.name if call else 'nobody'}")
    strike.callouts.cancel_eco(eco_id, "It was an example.", nina)
    strike.settle()
