"""The objects that clients see, built from rows of the read models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID

import strawberry
from pydantic.alias_generators import to_camel
from strawberry.types import Info

from strike_adapters.postgres.past import Past
from strike_adapters.postgres.queries import Membership
from strike_adapters.postgres.queries import User as UserRow
from strike_adapters.postgres.timelines import LinesAsked, page_of
from strike_adapters.postgres.views.eco_views import row_of, row_tasks
from strike_app.following import Change
from strike_app.graphql.context import Context
from strike_app.graphql.enums import show
from strike_app.graphql.scalars import GeoJSON, Position
from strike_app.graphql.selection import selected
from strike_app.graphql.timelines import (
    After,
    Before,
    First,
    Last,
    TimelineConnection,
    TimelineEntry,
)
from strike_domain import eco, errors, ports
from strike_domain.access import RULES, may
from strike_domain.actors import Actor, Role, Side
from strike_domain.contacts import mask_phone
from strike_domain.eco import EcoStatus, JobType, PagingState, Priority, RenderState
from strike_domain.field_tasks import TaskState
from strike_domain.pager_run import CallOutcome, CallState, RunState

StrikeInfo = Info[Context, None]


@strawberry.type(description="A company, on one side of the work.")
class Tenant:
    id: UUID = strawberry.field(description="What X-Tenant-ID names.")
    name: str = strawberry.field(description="The company's name.")
    side: Side = strawberry.field(description="Which half of the work it does.")

    @classmethod
    def of(cls, tenant: ports.Tenant) -> Tenant:
        return cls(id=tenant.id, name=tenant.name, side=tenant.side)


@strawberry.type(description="A tenant that you belong to, and your role there.")
class TenantMembership:
    tenant: Tenant = strawberry.field(description="Where.")
    role: Role = strawberry.field(description="As what.")
    permissions: list[str] = strawberry.field(
        description="What you may do there, such as eco.create; docs/access.md has all of them."
    )

    @classmethod
    def of(cls, one: Membership, user: UserRow) -> TenantMembership:
        tenant = Tenant(id=one.tenant_id, name=one.name, side=one.side)
        actor = Actor(
            name=user.name,
            tenant_id=one.tenant_id,
            side=one.side,
            role=one.role,
            scopes=user.scopes,
        )
        return cls(tenant=tenant, role=one.role, permissions=permissions_of(actor))


def permissions_of(actor: Actor) -> list[str]:
    """Every action that the rule table grants to the actor."""
    return [action for action in RULES if may(actor, action)]


@strawberry.type(description="You, as the login vouches for you.")
class Me:
    id: UUID = strawberry.field(description="Your id in Strike.")
    email: str = strawberry.field(description="In lower case.")
    name: str = strawberry.field(description="As an admin entered it.")
    memberships: list[TenantMembership] = strawberry.field(
        description="Where you belong; name one of these tenants in X-Tenant-ID."
    )

    @classmethod
    def of(cls, user: UserRow) -> Me:
        memberships = [TenantMembership.of(one, user) for one in user.memberships]
        return cls(id=user.id, email=user.email, name=user.name, memberships=memberships)


@strawberry.type(description="One call to one person.")
class Call:
    id: UUID = strawberry.field(description="Its id, also in the provider's webhooks.")
    number: int = strawberry.field(description="Its place in the ring-down, from 1.")
    contact_name: str = strawberry.field(description="Who was rung.")
    phone: str = strawberry.field(description="The last four digits; nobody sees more here.")
    state: CallState = strawberry.field(description="How far it is known to have come.")
    outcome: CallOutcome | None = strawberry.field(
        description="How it ended; null while it is live."
    )
    reason: str | None = strawberry.field(description="Why it ended so, or is tried again.")
    sid: str | None = strawberry.field(description="The provider's id for it.")
    requested_at: datetime = strawberry.field(description="When the intent was stored.")
    ringing_at: datetime | None = strawberry.field(description="When it rang, if that was told.")
    answered_at: datetime | None = strawberry.field(description="When it was picked up.")
    ended_at: datetime | None = strawberry.field(description="When it ended.")
    deadline: datetime = strawberry.field(description="When Strike looks at it again.")

    @classmethod
    def of(cls, row: dict[str, Any]) -> Call:
        same = ("number", "contact_name", "reason", "sid", "requested_at", "ringing_at")
        outcome = row["outcome"]
        return cls(
            id=row["call_id"],
            phone=mask_phone(row["phone"]),
            state=CallState(row["state"]),
            outcome=CallOutcome(outcome) if outcome else None,
            answered_at=row["answered_at"],
            ended_at=row["ended_at"],
            deadline=row["deadline"],
            **{name: row[name] for name in same},
        )


@strawberry.type(description="One ring-down of a pager list for one ECO.")
class PagerRun:
    id: UUID = strawberry.field(description="Its id.")
    list_id: UUID = strawberry.field(description="The list, as it was when the run started.")
    list_name: str = strawberry.field(description="Its name.")
    state: RunState = strawberry.field(description="How far it is.")
    started_at: datetime = strawberry.field(description="When it began.")
    ended_at: datetime | None = strawberry.field(description="When it ended; null until then.")
    accepted_by: str | None = strawberry.field(description="Name of whoever accepted.")
    total_calls: int = strawberry.field(description="How many calls it makes at the most.")
    osp_id: strawberry.Private[UUID]
    known_calls: strawberry.Private[list[dict[str, Any]] | None] = None

    @strawberry.field(
        description="The region of its list, as it is drawn now, for whoever may ask whom the "
        "contractor would ring; null for others, for a default list, and for one that is gone."
    )
    async def region(self, info: StrikeInfo) -> GeoJSON | None:
        found = (await info.context.loaders.regions.load(self.osp_id)).get(self.list_id)
        return None if found is None else GeoJSON(found)

    @strawberry.field(description="Its calls, in the order in which people were rung.")
    async def calls(self, info: StrikeInfo) -> list[Call]:
        if self.known_calls is not None:
            return [Call.of(row) for row in self.known_calls]
        return [Call.of(row) for row in await info.context.loaders.calls.load(self.id)]

    @classmethod
    def of(cls, row: dict[str, Any], past: Past | None = None) -> PagerRun:
        """From a row of `pager_run_views`, with its `calls` if it has them; `past`: as then."""
        same = ("osp_id", "list_id", "list_name", "started_at", "ended_at", "accepted_by")
        return cls(
            id=row["run_id"],
            state=RunState(row["state"]),
            known_calls=past.calls[row["run_id"]] if past else row.get("calls"),
            total_calls=row["total_calls"],
            **{name: row[name] for name in same},
        )


@strawberry.type(description="Somebody could come, but not soon. It is no acceptance.")
class Offer:
    call_id: UUID = strawberry.field(description="The call in which it was made: `takeUpOffer`.")
    run_id: UUID = strawberry.field(description="The run of that call.")
    name: str = strawberry.field(description="Who could come.")
    minutes: int = strawberry.field(description="More than so many minutes are needed.")


@strawberry.type(description="One task of the field crew.")
class FieldTask:
    id: str = strawberry.field(description="Its id in the contractor's system.")
    name: str = strawberry.field(description="What is to be done.")
    state: str = strawberry.field(
        description="planned, assigned, ready to start, crew at work, at risk or done."
    )
    is_done: bool = strawberry.field(description="Whether it counts as completed.")
    follows: str | None = strawberry.field(description="Id of the task that it was made from.")


class AlertKind(StrEnum):
    EXHAUSTED = "EXHAUSTED"
    NO_LIST = "NO_LIST"


show(
    AlertKind,
    "What somebody in the NOC has to know at once.",
    {"EXHAUSTED": "Nobody accepted.", "NO_LIST": "Nobody could be rung."},
)


@strawberry.type(description="Nobody is coming, and nobody is being rung.")
class PagingAlert:
    position: Position = strawberry.field(description="Give the last one as `afterPosition`.")
    at: datetime = strawberry.field(description="When it happened.")
    kind: AlertKind = strawberry.field(
        description="EXHAUSTED: nobody accepted; NO_LIST: nobody could be rung."
    )
    line: str = strawberry.field(description="What happened, for people.")
    eco: Eco = strawberry.field(description="The ECO as it is now.")
    told: strawberry.Private[Change | None] = None


@strawberry.type(description="Something that happened to one of your ECOs.")
class EcoChange:
    position: Position = strawberry.field(description="Give the last one as `afterPosition`.")
    at: datetime = strawberry.field(description="When it happened.")
    kind: str = strawberry.field(description="Name of the event, as in the timeline.")
    line: str = strawberry.field(description="What happened, for people.")
    eco: Eco = strawberry.field(
        description="The ECO as it is now: its position is this change's or a later one. An "
        "earlier one says that a read model has failed and is behind."
    )
    told: strawberry.Private[Change | None] = None

    @classmethod
    def of(cls, change: Change, eco: Eco) -> EcoChange:
        return cls(
            position=Position(change.position),
            at=change.at or eco.updated_at,
            kind=change.kind,
            line=change.line,
            eco=eco,
            told=change,
        )


@strawberry.type(description="An emergency callout order: one incident.")
class Eco:
    id: UUID = strawberry.field(description="Its id.")
    job_number: str = strawberry.field(description="The contractor's own number for it.")
    job_type: JobType = strawberry.field(description="What kind of work.")
    status: EcoStatus = strawberry.field(description="How far the repair is.")
    paging_state: PagingState = strawberry.field(description="Whether somebody has been found.")
    render_state: RenderState = strawberry.field(
        description="Whether the contractor's system has it."
    )
    priority: Priority = strawberry.field(description="How urgent it is.")
    stale: bool = strawberry.field(description="The field has been silent for too long.")
    description: str = strawberry.field(description="What is broken.")
    ticket: str | None = strawberry.field(description="The NOC's own ticket number.")
    client_reference: str | None = strawberry.field(description="The NOC's idempotency key.")
    affected_customers: int | None = strawberry.field(description="How many are without service.")
    location: GeoJSON = strawberry.field(description="A Point or LineString.")
    responder_name: str | None = strawberry.field(description="Who has accepted.")
    expected_at: datetime | None = strawberry.field(
        description="Not before then does the responder get there, if they said so."
    )
    offers: list[Offer] = strawberry.field(description="Who could come, but not soon.")
    run_id: UUID | None = strawberry.field(description="The newest pager run.")
    list_name: str | None = strawberry.field(description="The list that is, or was, rung.")
    list_reason: str | None = strawberry.field(description="Why that list.")
    field_summary: str | None = strawberry.field(description="The field tasks, in words.")
    field_tasks: list[FieldTask] = strawberry.field(
        description="As they were when the contractor's system was last read."
    )
    field_problem: str | None = strawberry.field(
        description="Why nobody knows at the moment how the field tasks stand; null: it is known."
    )
    field_problem_since: datetime | None = strawberry.field(description="Since when.")
    created_at: datetime = strawberry.field(description="When the NOC called for help.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    accepted_at: datetime | None = strawberry.field(description="When somebody accepted.")
    started_at: datetime | None = strawberry.field(description="When work started.")
    completed_at: datetime | None = strawberry.field(description="When all field tasks were done.")
    closes_at: datetime | None = strawberry.field(description="End of the grace period.")
    closed_at: datetime | None = strawberry.field(description="When the grace period was over.")
    cancelled_at: datetime | None = strawberry.field(description="When the NOC called it off.")
    position: Position = strawberry.field(description="The newest event that this state contains.")
    noc_id: strawberry.Private[UUID]
    osp_id: strawberry.Private[UUID]
    as_of: strawberry.Private[datetime | None] = None
    past: strawberry.Private[Past | None] = None
    noc_name: strawberry.Private[str | None] = None
    osp_name: strawberry.Private[str | None] = None
    told: strawberry.Private[Change | None] = None

    @strawberry.field(description="Who created it.")
    async def noc(self, info: StrikeInfo) -> Tenant:
        if self.noc_name is not None:
            return Tenant(id=self.noc_id, name=self.noc_name, side=Side.NOC)
        return Tenant.of(await info.context.loaders.tenants.load(self.noc_id))

    @strawberry.field(description="Whose people are rung, and who does the work.")
    async def osp(self, info: StrikeInfo) -> Tenant:
        if self.osp_name is not None:
            return Tenant(id=self.osp_id, name=self.osp_name, side=Side.OSP)
        return Tenant.of(await info.context.loaders.tenants.load(self.osp_id))

    @strawberry.field(description="Its ring-downs, oldest first.")
    async def pager_runs(self, info: StrikeInfo) -> list[PagerRun]:
        if self.as_of is not None:
            past = await self._past(info, self.as_of)
            return [PagerRun.of(row, past) for row in past.runs]
        loaders, chosen = info.context.loaders, selected(info)
        wants_calls = chosen is None or "calls" in chosen
        loader = loaders.runs_with_calls if wants_calls else loaders.runs
        return [PagerRun.of(row) for row in await loader.load(self.id)]

    @strawberry.field(description="Everything that happened, in the order of the log.")
    async def timeline(self, info: StrikeInfo) -> list[TimelineEntry]:
        if self.as_of is not None:
            past = await self._past(info, self.as_of)
            return [TimelineEntry.of(row) for row in past.timeline]
        rows = await info.context.loaders.timelines.load(self.id)
        return [TimelineEntry.of(row) for row in rows]

    @strawberry.field(
        description="The timeline by pages, in the order of the log. A new line moves no page's "
        "edge: `last: 20` gives the newest."
    )
    async def timeline_connection(
        self,
        info: StrikeInfo,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> TimelineConnection:
        asked = LinesAsked.of(first, after, last, before)
        if self.as_of is not None:
            past = await self._past(info, self.as_of)
            page, total = page_of(past.timeline, asked), len(past.timeline)
            return TimelineConnection.of(page, self.id, total)
        page = await info.context.loaders.timeline_pages.load((self.id, asked))
        return TimelineConnection.of(page, self.id)

    async def _past(self, info: StrikeInfo, moment: datetime) -> Past:
        past = self.past or await info.context.loaders.pasts.load((self.id, moment))
        if past is None:
            raise errors.NotFound("ECO")
        return past

    @classmethod
    def of(cls, row: dict[str, Any], as_of: datetime | None = None) -> Eco:
        """From a row of `eco_views`, or of `eco_history`, which held at `as_of`.

        Of columns that were not asked for nothing is known: their fields are None. Most columns are
        attributes as they are. A list of 50 is made for each question, so this takes the row at
        once instead of giving it to a constructor of 40 arguments.
        """
        made = cls.__new__(cls)
        own = made.__dict__
        own.update(_NOTHING)
        own.update(row, id=row["eco_id"], as_of=as_of, past=None, stored=row)
        for name, members in _ENUMS:
            if name in row:
                own[name] = members[row[name]]
        for name in _LATE:
            del own[name]
        return made

    @classmethod
    def of_aggregate(cls, aggregate: eco.Eco, position: int) -> Eco:
        """As the row will be: right before any read model has it."""
        row = {
            **row_of(aggregate, position),
            "location": aggregate.location.geojson(),
            "offers": [one.model_dump(mode="json") for one in aggregate.offers],
            "field_tasks": row_tasks(aggregate),
        }
        return cls.of(row)

    @classmethod
    def of_past(cls, past: Past, as_of: datetime) -> Eco:
        """As it was at that moment, with everything about it."""
        made = cls.of_aggregate(past.eco, past.position)
        made.as_of, made.past = as_of, past
        return made


def _field_task(stored: dict[str, Any]) -> FieldTask:
    state = TaskState(stored["state"])
    return FieldTask(
        id=stored["id"],
        name=stored["name"],
        state=state.words,
        is_done=state is TaskState.COMPLETED,
        follows=stored["cloned_from"],
    )


def _offer(stored: dict[str, Any]) -> Offer:
    ids = {key: UUID(stored[key]) for key in ("call_id", "run_id")}
    return Offer(name=stored["name"], minutes=stored["minutes"], **ids)


_ENUMS = tuple(
    (name, {one.value: one for one in members})
    for name, members in (
        ("job_type", JobType),
        ("status", EcoStatus),
        ("paging_state", PagingState),
        ("render_state", RenderState),
        ("priority", Priority),
    )
)
"""Columns of `eco_views` that are words of an enum, with its members."""

_LATE = {"offers": _offer, "field_tasks": _field_task}
"""Columns that are lists of objects, with what makes one of them."""


_FIELDS = {"eco_id": "id"}
"""Fields that are not called as their columns."""

_NAMED = ("noc_name", "osp_name")

_OF_NO_COLUMN = ("as_of", "past", "stored", "told")

_NOTHING: dict[str, Any] = {
    one.name: None for one in fields(Eco) if one.init and one.name not in _OF_NO_COLUMN
}

_READ = frozenset(_NOTHING) - {"id"} | {"eco_id"}
"""Columns that fields are made from."""

_COLUMNS = {
    to_camel(_FIELDS.get(name, name)): (name,) for name in _READ - {"noc_id", "osp_id", *_NAMED}
} | {"noc": ("noc_id", "noc_name"), "osp": ("osp_id", "osp_name")}
"""Columns that a field of the schema needs; none: it is asked for on its own."""


def columns_for(chosen: frozenset[str] | None) -> frozenset[str] | None:
    """The columns for these fields of an `Eco`; None: nobody knows which."""
    if chosen is None:
        return None
    return frozenset(["eco_id", *(name for one in chosen for name in _COLUMNS.get(one, ()))])


def _made_when_asked_for(name: str, make: Callable[[dict[str, Any]], object]) -> None:
    made = cached_property(lambda eco: [make(one) for one in eco.stored[name]])
    made.__set_name__(Eco, name)
    setattr(Eco, name, made)


for _name, _make in _LATE.items():
    _made_when_asked_for(_name, _make)
