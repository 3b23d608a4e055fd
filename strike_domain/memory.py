"""Strike in memory: the same log, process and rules, with no set-up. For tests and embedding.

This module is also a persistence module of the `eventsourcing` library (its `Factory`): all
applications opened with the same `STRIKE_MEMORY_LOG` share one log, as they would a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from weakref import WeakValueDictionary

from eventsourcing.persistence import ApplicationRecorder, ProcessRecorder
from eventsourcing.popo import POPOFactory, POPOProcessRecorder

from strike_domain.contacts import PagerList
from strike_domain.geometry import Location
from strike_domain.paging import CallReport
from strike_domain.ports import (
    CallOrder,
    FieldTerms,
    JobLink,
    Link,
    LinkStatus,
    Opening,
    ProviderCall,
    ProviderCallState,
    Tenant,
    TextOrder,
    job_number,
)
from strike_domain.regions import Matches, RegionCandidate, match_regions

MEMORY_LOG = "STRIKE_MEMORY_LOG"

_logs: WeakValueDictionary[str, POPOProcessRecorder] = WeakValueDictionary()


class MemoryFactory(POPOFactory):
    """Gives the process application and the command application the same recorder."""

    def _shared(self) -> POPOProcessRecorder:
        key = self.env.get(MEMORY_LOG) or uuid4().hex
        recorder = _logs.get(key)
        if recorder is None:
            recorder = _logs[key] = POPOProcessRecorder()
        return recorder

    def application_recorder(self) -> ApplicationRecorder:
        return self._shared()

    def process_recorder(self) -> ProcessRecorder:
        return self._shared()


del POPOFactory  # The library takes the one factory class that it finds in this module.

Factory = MemoryFactory


def memory_env() -> dict[str, str]:
    """The environment of a new, empty log that lives as long as an application holds it."""
    return {"PERSISTENCE_MODULE": __name__, MEMORY_LOG: uuid4().hex}


class ManualClock:
    """Stands still until it is told to go on."""

    def __init__(self, now: datetime = datetime(2026, 1, 15, 3, 0, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def advance_to(self, moment: datetime) -> None:
        """Go on to `moment`; never back."""
        self._now = max(self._now, moment)


class SystemClock:
    """The computer's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class MemoryDirectory:
    """Tenants, links, lists and job numbers in dictionaries: `Directory` and `PagerLists`."""

    tenants: dict[UUID, Tenant] = field(default_factory=dict)
    links: dict[tuple[UUID, UUID], Link] = field(default_factory=dict)
    lists: dict[UUID, PagerList] = field(default_factory=dict)
    render_osps: set[UUID] = field(default_factory=set)
    terms: dict[UUID, FieldTerms] = field(default_factory=dict)
    numbers: dict[tuple[UUID, int], int] = field(default_factory=dict)

    def add(self, *things: Tenant | Link | PagerList) -> None:
        """Take in tenants, links and lists, in any order."""
        for thing in things:
            match thing:
                case Tenant():
                    self.tenants[thing.id] = thing
                case Link():
                    self.links[thing.noc_id, thing.osp_id] = thing
                case PagerList():
                    self.lists[thing.id] = thing

    def tenant(self, tenant_id: UUID) -> Tenant | None:
        return self.tenants.get(tenant_id)

    def link(self, noc_id: UUID, osp_id: UUID) -> Link | None:
        return self.links.get((noc_id, osp_id))

    def has_render(self, osp_id: UUID) -> bool:
        return osp_id in self.render_osps

    def field_terms(self, osp_id: UUID) -> FieldTerms:
        return self.terms.get(osp_id, FieldTerms())

    def next_job_number(self, osp_id: UUID, at: datetime) -> str:
        self.numbers[osp_id, at.year] = self.numbers.get((osp_id, at.year), 0) + 1
        return job_number(at.year, self.numbers[osp_id, at.year])

    def open_job(self, noc_id: UUID, osp_id: UUID, at: datetime) -> Opening:
        link = self.link(noc_id, osp_id)
        is_open = link is not None and link.status is LinkStatus.ACTIVE
        number = self.next_job_number(osp_id, at) if is_open else None
        return Opening(link, self.has_render(osp_id), number)

    def matches(self, osp_id: UUID, location: Location) -> Matches:
        candidates = (
            RegionCandidate(list_id=one.id, name=one.name, region=one.region)
            for one in self.lists.values()
            if one.osp_id == osp_id
        )
        return match_regions(location, candidates)

    def matches_of(self, places: Sequence[tuple[UUID, Location]]) -> Sequence[Matches]:
        return [self.matches(*place) for place in places]

    def get(self, osp_id: UUID, list_id: UUID) -> PagerList | None:
        found = self.lists.get(list_id)
        return found if found and found.osp_id == osp_id else None

    def lists_of(self, osp_id: UUID) -> Sequence[PagerList]:
        found = [one for one in self.lists.values() if one.osp_id == osp_id]
        return sorted(found, key=lambda one: (one.region is None, one.name, one.id))


class PaperLinks:
    """`JobLinks` on paper: they prove nothing, and everybody can read what they stand for."""

    def address(self, noc_id: UUID, link: JobLink) -> str:
        return f"https://strike.example/j/{link.run_id}/{link.number}"


@dataclass
class PaperCall:
    """One call of the paper telephone, as its provider would know it."""

    order: CallOrder
    sid: str
    state: ProviderCallState = ProviderCallState.RINGING
    answered_by: str | None = None

    @property
    def report(self) -> CallReport:
        """What the provider would tell about the call now."""
        order = self.order
        return CallReport(order.run_id, order.call_id, self.sid, self.state, self.answered_by)


class PaperTelephone:
    """A `Telephone` on paper, for tests and learning: it rings nobody, and says what you say.

    It takes `texts`, too, in their order, and sends nobody any.
    """

    def __init__(self) -> None:
        self.calls: list[PaperCall] = []
        self.texts: list[TextOrder] = []

    def send_text(self, order: TextOrder) -> str:
        self.texts.append(order)
        return f"paper-text-{len(self.texts)}"

    def place(self, order: CallOrder) -> str:
        call = PaperCall(order, f"paper-{len(self.calls) + 1}")
        self.calls.append(call)
        return call.sid

    def find(self, noc_id: UUID, to: str, since: datetime) -> Sequence[ProviderCall]:
        return [self.fetch(noc_id, one.sid) for one in self.calls if one.order.to == to]

    def fetch(self, noc_id: UUID, sid: str) -> ProviderCall:
        call = self._call(sid)
        return ProviderCall(sid, call.order.to, call.state, call.answered_by)

    def end(self, noc_id: UUID, sid: str) -> None:
        call = self._call(sid)
        if call.state is ProviderCallState.IN_PROGRESS:
            call.state = ProviderCallState.COMPLETED
        elif not call.state.is_final:
            call.state = ProviderCallState.CANCELED

    def rings(self, to: str) -> CallReport:
        """The report of the newest call to a number: it rings there."""
        return self.becomes(to, ProviderCallState.RINGING)

    def answers(self, to: str, answered_by: str | None = None) -> CallReport:
        """The report of the newest call to a number: somebody or something picked up."""
        return self.becomes(to, ProviderCallState.IN_PROGRESS, answered_by)

    def becomes(
        self, to: str, state: ProviderCallState, answered_by: str | None = None
    ) -> CallReport:
        """Let the newest call to a number come so far; return what the provider reports of it."""
        call = next(one for one in reversed(self.calls) if one.order.to == to)
        call.state, call.answered_by = state, answered_by or call.answered_by
        return call.report

    def _call(self, sid: str) -> PaperCall:
        return next(one for one in self.calls if one.sid == sid)
