"""What Strike needs from the outside, named by the need. Adapters are named by the technology."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from strike_domain.actors import Side
from strike_domain.contacts import PagerList
from strike_domain.eco import PagingPolicy
from strike_domain.field_tasks import Polled
from strike_domain.geometry import Location
from strike_domain.regions import Matches


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """The present, with a time zone (UTC)."""


class LinkStatus(StrEnum):
    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


class Link(BaseModel):
    """The relationship that lets a NOC call out an OSP."""

    model_config = ConfigDict(frozen=True)

    noc_id: UUID
    osp_id: UUID
    status: LinkStatus
    paging_policy: PagingPolicy = PagingPolicy.AUTOMATIC
    suspended_by: Side | None = None
    """Who suspended it, and therefore can resume it."""


class Tenant(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: UUID
    name: str
    side: Side


@dataclass(frozen=True)
class FieldTerms:
    """How an OSP's field work is followed; the defaults are those of the specification, section 5.

    `interval`: how often its tasks are polled. `grace`: how long after completion a new or reopened
    task still reactivates the ECO. `inactivity`: after how long without a change an unfinished ECO
    counts as stale.
    """

    interval: timedelta = timedelta(seconds=30)
    grace: timedelta = timedelta(hours=24)
    inactivity: timedelta = timedelta(hours=72)


def job_number(year: int, number: int) -> str:
    """A number of an OSP's sequence as it is read over the phone: short, with the year."""
    return f"{year % 100:02d}-{number:04d}"


@dataclass(frozen=True)
class Opening:
    """What a new ECO takes from the directory."""

    link: Link | None
    has_render: bool
    job_number: str | None
    """The OSP's next; None, and none is taken, unless the link is active."""


class HasFieldTerms(Protocol):
    """Whoever knows how an OSP wants its field work followed."""

    def field_terms(self, osp_id: UUID) -> FieldTerms:
        """The OSP's terms; the defaults where it has set nothing."""


class Directory(HasFieldTerms, Protocol):
    """Tenants, the links between them, and each OSP's job numbers."""

    def tenant(self, tenant_id: UUID) -> Tenant | None: ...

    def link(self, noc_id: UUID, osp_id: UUID) -> Link | None: ...

    def has_render(self, osp_id: UUID) -> bool:
        """Whether field tasks are to be made for this OSP."""

    def open_job(self, noc_id: UUID, osp_id: UUID, at: datetime) -> Opening:
        """All that a new ECO needs, as one question.

        If the link is active, the OSP's next job number is taken: unique and rising within the
        year, maybe with gaps.
        """


class PagerLists(Protocol):
    """The OSPs' lists, found by place."""

    def matches(self, osp_id: UUID, location: Location) -> Matches:
        """Every list whose region covers `location` or a part of it, and the default list."""

    def matches_of(self, places: Sequence[tuple[UUID, Location]]) -> Sequence[Matches]:
        """The same of several OSPs and locations, in their order: one question instead of many."""

    def get(self, osp_id: UUID, list_id: UUID) -> PagerList | None: ...

    def lists_of(self, osp_id: UUID) -> Sequence[PagerList]:
        """Every list of an OSP by name, the default list last."""


# The telephone -----------------------------------------------------------------------------


class ProviderCallState(StrEnum):
    """What the provider says of a call, reduced to what makes a difference here."""

    QUEUED = "QUEUED"
    RINGING = "RINGING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    BUSY = "BUSY"
    NO_ANSWER = "NO_ANSWER"
    CANCELED = "CANCELED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        live = (ProviderCallState.QUEUED, ProviderCallState.RINGING, ProviderCallState.IN_PROGRESS)
        return self not in live


@dataclass(frozen=True)
class CallOrder:
    """What to ring. `answer_seconds` is how long the provider itself lets it ring."""

    noc_id: UUID
    run_id: UUID
    call_id: UUID
    to: str
    answer_seconds: int


@dataclass(frozen=True)
class ProviderCall:
    """A call as the provider knows it."""

    sid: str
    to: str
    state: ProviderCallState
    answered_by: str | None = None


MOST_PLACING_SECONDS = 8.0
"""What a request that makes a phone ring may take: less than the lease of a worker (9 s)."""


class Telephone(Protocol):
    """Rings people. Every method may raise `Unavailable`; `place` also `OutcomeUnknown`."""

    def place(self, order: CallOrder) -> str:
        """Start the call and return the provider's id for it.

        Raises `Unavailable` (`can_retry` says whether another try can help) if certainly no call
        was started, and `OutcomeUnknown` if one may have been.
        """

    def find(self, noc_id: UUID, to: str, since: datetime) -> Sequence[ProviderCall]:
        """The NOC's calls to that number that were started at or after `since`."""

    def fetch(self, noc_id: UUID, sid: str) -> ProviderCall:
        """The true state of one call."""

    def end(self, noc_id: UUID, sid: str) -> None:
        """End a call in whatever state it is. A call that is over already is no error."""


@dataclass(frozen=True)
class TextOrder:
    """A text beside a call. `body` is all of it, with the link."""

    noc_id: UUID
    run_id: UUID
    call_id: UUID
    to: str
    body: str


class Texts(Protocol):
    """Sends texts to people who are rung."""

    def send_text(self, order: TextOrder) -> str:
        """Hand the text over, once, and return the provider's id for it.

        Raises `Unavailable` if it was certainly not taken, `OutcomeUnknown` if it may have been.
        """


@dataclass(frozen=True)
class JobLink:
    """What a link stands for: one call of a run, for the person who was rung, until a moment."""

    run_id: UUID
    call_id: UUID
    phone: str
    number: int
    """Of the call within its run, from 1."""
    expires_at: datetime


class JobLinks(Protocol):
    """Makes addresses that prove by themselves what they stand for."""

    def address(self, noc_id: UUID, link: JobLink) -> str:
        """The address, of that NOC. Raises `Unavailable` if it cannot be made."""


# Work in the field -------------------------------------------------------------------------


@dataclass(frozen=True)
class WorkOrder:
    """What a crew needs to know; `eco_id` is the external reference that makes it idempotent."""

    eco_id: UUID
    osp_id: UUID
    job_number: str
    description: str
    location: Location


@dataclass(frozen=True)
class Tasked:
    """Where the ECO's field work lives in the OSP's system."""

    project: str
    subsector_id: str
    task_id: str


class FieldWork(Protocol):
    """An OSP's task system. Every method may raise `Unavailable`."""

    def create(self, order: WorkOrder) -> Tasked:
        """Make the subsector and the investigation task; the same ECO again changes nothing."""

    def poll(self, osp_id: UUID, subsector_id: str, etag: str | None) -> Polled:
        """Every task of the subsector, read to the end of the answer.

        With `etag` of an earlier answer it may say instead that nothing has changed since.
        """
