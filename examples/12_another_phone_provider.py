"""Strike with a phone provider of your own: an adapter of one port; nothing of the core is touched.

What matters in an adapter is what it says when it does not know. A call that was certainly not
started, and one that may have been, are two different errors: after the first Strike tries again,
after the second it looks before it does, so that nobody is rung twice. Run it with
`python examples/12_another_phone_provider.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from strike_domain import (
    Actor,
    CallOrder,
    CallReport,
    Contact,
    EcoOrder,
    Link,
    LinkStatus,
    ManualClock,
    OutcomeUnknown,
    PagerList,
    ProviderCall,
    ProviderCallState,
    Role,
    Side,
    StrikeInMemory,
    Telephone,
    Unavailable,
)

# The provider, as it is ---------------------------------------------------------------------------


@dataclass
class SwitchboardCall:
    number: str
    asked_at: datetime
    is_over: bool = False


@dataclass
class Switchboard:
    """Its line is engaged once, and once its answer is lost."""

    calls: dict[str, SwitchboardCall] = field(default_factory=dict)
    mishaps: list[str] = field(default_factory=lambda: ["engaged", "answer lost"])

    def dial(self, number: str, now: datetime) -> str:
        mishap = self.mishaps.pop(0) if self.mishaps else ""
        if mishap == "engaged":
            raise ConnectionRefusedError("the line is engaged")
        name = f"call-{len(self.calls) + 1}"
        self.calls[name] = SwitchboardCall(number, now)
        if mishap == "answer lost":
            raise TimeoutError("no answer within 5 s")
        return name


# The adapter --------------------------------------------------------------------------------------


@dataclass
class SwitchboardTelephone:
    """A `Telephone`, by its methods alone: there is no class to inherit from."""

    switchboard: Switchboard
    now: Callable[[], datetime]

    def place(self, order: CallOrder) -> str:
        try:
            return self.switchboard.dial(order.to, self.now())
        except ConnectionRefusedError as error:
            print(f"  {order.to}: {error}. Certainly no call.")
            raise Unavailable(str(error)) from error
        except TimeoutError as error:
            print(f"  {order.to}: {error}. Perhaps it rings there.")
            raise OutcomeUnknown(str(error)) from error

    def find(self, noc_id: UUID, to: str, since: datetime) -> Sequence[ProviderCall]:
        print(f"  Is there a call to {to}?")
        return [
            self.fetch(noc_id, name)
            for name, call in self.switchboard.calls.items()
            if call.number == to and call.asked_at >= since
        ]

    def fetch(self, noc_id: UUID, sid: str) -> ProviderCall:
        call = self.switchboard.calls[sid]
        state = ProviderCallState.COMPLETED if call.is_over else ProviderCallState.RINGING
        return ProviderCall(sid, call.number, state)

    def end(self, noc_id: UUID, sid: str) -> None:
        self.switchboard.calls[sid].is_over = True


# A night ------------------------------------------------------------------------------------------

noc, osp = uuid4(), uuid4()
ana = Contact(name="Ana", phone="+13035550101")
crew = PagerList(id=uuid4(), osp_id=osp, name="Boulder nights", contacts=(ana,))
nina = Actor(name="nina", tenant_id=noc, side=Side.NOC, role=Role.OPERATOR)
place = {"type": "Point", "coordinates": [-105.27, 40.01]}
cut = EcoOrder(osp_id=osp, location=place, job_type="FNOL", description="No light.")

clock, switchboard = ManualClock(), Switchboard()
telephone: Telephone = SwitchboardTelephone(switchboard, clock.now)
strike = StrikeInMemory(telephone, clock=clock)
strike.directory.add(Link(noc_id=noc, osp_id=osp, status=LinkStatus.ACTIVE), crew)

print("Ana is to be rung:")
eco_id = strike.callouts.create_eco(cut, nina).aggregate.id
strike.advance(20)
print(f"Calls on the switchboard: {len(switchboard.calls)}")

run = strike.run_of(eco_id)
(call_id,) = run.calls
report = CallReport(run.id, call_id, "call-1", ProviderCallState.IN_PROGRESS)
strike.paging.answered(report)  # Your webhook would say so.
strike.paging.key_pressed(report, "1")
responder = strike.log.eco(eco_id).responder
print("On the way:", responder.name if responder else "nobody")
