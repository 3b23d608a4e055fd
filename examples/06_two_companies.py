"""Two companies: a link from the proposal to its suspension, and what a stranger sees of it all.

A NOC proposes, the contractor accepts and fills its pager list, an alarm system gets a token that
may create callouts and nothing else. Then the contractor suspends the link. In memory, with the
same rules as on PostgreSQL. Run it with `python examples/06_two_companies.py`.
"""

from uuid import uuid4

from pydantic import SecretStr

from strike_domain import (
    Actor,
    Administration,
    Contact,
    EcoOrder,
    MemoryRegistry,
    PagerList,
    PaperTelephone,
    Role,
    Scope,
    Side,
    StrikeError,
    StrikeInMemory,
    Tenant,
)

telephone = PaperTelephone()
strike = StrikeInMemory(telephone)
records = MemoryRegistry(strike.directory)
do = Administration(records, strike.clock)


def admin(tenant: Tenant) -> Actor:
    name = f"chief@{tenant.name.split()[0].lower()}.example"
    return Actor(name=name, tenant_id=tenant.id, side=tenant.side, role=Role.ADMIN)


system = Actor.system("setup")
noc = do.add_tenant("Bluestem NOC", Side.NOC, system)
osp = do.add_tenant("Front Range Splicing", Side.OSP, system)
stranger = do.add_tenant("Nosy NOC", Side.NOC, system)
nina, otto, nosy = admin(noc), admin(osp), admin(stranger)

print("A link:")
print("  proposed:", do.propose_link(osp.id, nina).status)
print("  accepted:", do.accept_link(noc.id, otto).status)

ana = Contact(name="Ana", phone="+1 303 555 0101")
nights = PagerList(id=uuid4(), osp_id=osp.id, name="nights", contacts=(ana,))
(rung,) = do.add_list(nights, otto).contacts
print(f"  on the list 'nights': {rung.name}, {rung.phone}")

print("A machine with a token of its own:")
secret = SecretStr(f"strike_{uuid4().hex}")
token = do.create_token("alarms", Role.OPERATOR, frozenset({Scope.CALLOUT}), 90, secret, nina)
alarms = Actor(
    name=f"token:{token.name}",
    tenant_id=noc.id,
    side=noc.side,
    role=token.role,
    scopes=token.scopes,
)
order = EcoOrder(
    osp_id=osp.id,
    location={"type": "Point", "coordinates": [-105.27, 40.01]},
    job_type="FNOL",
    description="Light lost on ring 7.",
)
eco_id = strike.callouts.create_eco(order, alarms).aggregate.id
strike.settle()
print("  it creates a callout, and rings:", telephone.calls[0].order.to)

print("What is refused:")


def refused(what: str, command: object) -> None:
    try:
        command()  # type: ignore[operator]
    except StrikeError as error:
        print(f"  {what}: {error.code}")


refused("the alarm system makes itself another token", lambda: do.create_token(
    "more", Role.OPERATOR, frozenset(Scope), 90, secret, alarms))  # fmt: skip
refused("a stranger's note on the callout", lambda: strike.callouts.add_note(eco_id, "Hi", nosy))
refused("a stranger's look at the lists", lambda: strike.paging.lists_of(osp.id, nosy))
refused("a stranger's callout", lambda: strike.callouts.create_eco(order, nosy))

do.suspend_link(noc.id, otto)
refused("a new callout over the suspended link", lambda: strike.callouts.create_eco(order, nina))
refused("the NOC resumes what the contractor suspended", lambda: do.resume_link(osp.id, nina))
strike.callouts.add_note(eco_id, "Is anybody coming?", nina)
print("The old callout goes on:", strike.log.eco(eco_id).status)

print("Who changed what:")
for audit in records.kept.audits:
    print(f"  {audit.action:14}{audit.subject:22}{audit.actor}")
