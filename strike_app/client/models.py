"""What is asked for and what is answered. A model is its own selection of fields."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Annotated, Any, TypeVar, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from strike_domain import (
    CallOutcome,
    CallState,
    EcoStatus,
    JobType,
    PagingState,
    Priority,
    RenderState,
    Role,
    RunState,
    Side,
)

_Value = TypeVar("_Value")

OrNewer = Annotated[_Value | str, Field(union_mode="left_to_right")]
"""A value of an enumeration; a plain text where the server is newer and knows more of them."""

GeoJson = dict[str, Any]
"""A GeoJSON geometry, WGS 84, longitude first."""


class Answer(BaseModel):
    """The base of every answer. A subclass asks for its own fields, named as in the schema."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class Company(Answer):
    """One of the two sides."""

    id: UUID
    name: str
    side: OrNewer[Side]


class Eco(Answer):
    """A callout as a list shows it. Times are UTC."""

    id: UUID
    job_number: str
    job_type: OrNewer[JobType]
    status: OrNewer[EcoStatus]
    paging_state: OrNewer[PagingState]
    render_state: OrNewer[RenderState]
    priority: OrNewer[Priority]
    stale: bool
    description: str
    ticket: str | None
    client_reference: str | None
    affected_customers: int | None
    location: GeoJson
    responder_name: str | None
    expected_at: datetime | None
    field_summary: str | None
    created_at: datetime
    updated_at: datetime
    accepted_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    closes_at: datetime | None
    closed_at: datetime | None
    cancelled_at: datetime | None
    position: int
    noc: Company
    osp: Company


class Changed(Answer):
    """What a command did: the ECO after it, and the position to wait for elsewhere."""

    eco: Eco
    position: int


class Draft(Answer):
    """A callout that is ready: nobody is rung before it is confirmed."""

    confirmation: str
    expires_at: datetime


class Entry(Answer):
    """A line of the timeline."""

    position: int
    at: datetime
    kind: str
    line: str
    actor: str
    run_id: UUID | None
    correlation_id: UUID


class Call(Answer):
    """One call to one person. The number is masked for who may not read it."""

    id: UUID
    number: int
    contact_name: str
    phone: str
    state: OrNewer[CallState]
    outcome: OrNewer[CallOutcome] | None
    reason: str | None
    requested_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None


class PagerRun(Answer):
    """One ring-down of one pager list."""

    id: UUID
    list_name: str
    state: OrNewer[RunState]
    started_at: datetime
    ended_at: datetime | None
    accepted_by: str | None
    total_calls: int
    calls: list[Call]


class EcoWithHistory(Eco):
    """A callout with all that happened to it."""

    timeline: list[Entry]
    pager_runs: list[PagerRun]


class Change(Answer):
    """One event of the log, and the ECO as it was shown when the event had been taken in."""

    position: int
    at: datetime
    kind: str
    line: str
    eco: Eco


class Alert(Change):
    """Nobody is coming, and nobody is being rung. `kind` is EXHAUSTED or NO_LIST."""


class Membership(Answer):
    tenant: Company
    role: OrNewer[Role]
    permissions: list[str]


class Me(Answer):
    """Who the token or login is."""

    id: UUID
    email: str
    name: str
    memberships: list[Membership]


class StatusCount(Answer):
    status: OrNewer[EcoStatus]
    count: int


class PagingStateCount(Answer):
    paging_state: OrNewer[PagingState]
    count: int


class Counts(Answer):
    """How many ECOs a filter fits."""

    total: int
    stale: int
    nobody_coming: int
    by_status: list[StatusCount]
    by_paging_state: list[PagingStateCount]


class WouldBeRung(Answer):
    """Whom a callout would ring, and why; no list if it could ring nobody."""

    list_id: UUID | None
    list_name: str | None
    contacts: list[str]
    reason: str


class Contractor(Answer):
    """A contractor that can be called out at a place; `covers` if a list of theirs is for there."""

    osp: Company
    covers: bool
    would_be_rung: WouldBeRung


class ReadinessProblem(Answer):
    code: str
    severity: str
    said: str
    cure: str


class Readiness(Answer):
    """Whether a contractor's lists would reach somebody."""

    is_ready: bool
    lists: int
    contacts: int
    problems: list[ReadinessProblem]


class Evidence(Answer):
    """The evidence of one ECO; `zip` is in base 64, and `strike verify` checks it."""

    file_name: str
    head: str
    events: int
    zip: str


class Place(Answer):
    """A place that a text can mean."""

    name: str
    label: str
    kind: str
    state: str | None
    latitude: float
    longitude: float
    location: GeoJson


class Asked(BaseModel):
    """The base of what is given. A field that was not set is not sent."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )

    def variable(self) -> dict[str, Any]:
        """As a variable of a request."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Period(Asked):
    """From `since` (included) until `until` (not included), each with its time zone."""

    since: datetime | None = None
    until: datetime | None = None


class Box(Asked):
    """Degrees. `west` is greater than `east` where the box crosses 180 degrees."""

    west: float
    south: float
    east: float
    north: float


class EcoFilter(Asked):
    """All of it must fit; of a list, one of it."""

    status: list[EcoStatus] | None = None
    paging_state: list[PagingState] | None = None
    render_state: list[RenderState] | None = None
    job_type: list[JobType] | None = None
    priority: list[Priority] | None = None
    other_side: list[UUID] | None = None
    stale: bool | None = None
    created: Period | None = None
    updated: Period | None = None
    accepted: Period | None = None
    started: Period | None = None
    completed: Period | None = None
    closed: Period | None = None
    cancelled: Period | None = None
    search: str | None = None
    within: Box | None = None


@cache
def selection(model: type[Answer]) -> str:
    """The fields of a model, as GraphQL asks for them."""
    parts = []
    for name, field in model.model_fields.items():
        asked, inner = field.alias or name, next(models_in(field.annotation), None)
        parts.append(f"{asked} {{ {selection(inner)} }}" if inner else asked)
    return " ".join(parts)


def models_in(annotation: Any) -> Iterator[type[Answer]]:
    """The models that a type is made of, through lists and options."""
    if isinstance(annotation, type) and issubclass(annotation, Answer):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)
