"""What resolvers are given: the services, who asks, and loaders that ask once for many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.rows import DictRow
from strawberry.dataloader import DataLoader

from strike_adapters.postgres.eco_lists import Page
from strike_adapters.postgres.past import Past, past_of
from strike_adapters.postgres.queries import User
from strike_adapters.postgres.timelines import LinesAsked, Timelines
from strike_app.services import Services
from strike_domain.access import Action, require
from strike_domain.actors import Actor
from strike_domain.errors import Forbidden, NotFound
from strike_domain.ports import Tenant


@dataclass
class Context:
    """Of one request, or of one WebSocket. `actor` is None until a tenant has been named."""

    services: Services
    user: User
    actor: Actor | None
    correlation_id: UUID = field(default_factory=uuid4)
    connection_params: dict[str, Any] | None = None
    agent: str | None = None
    """The program that acts by itself for the user."""
    transport: str = "websocket"
    resumed_after: int | None = None
    """The position that a client's own memory of events says to go on after."""
    _loaders: Loaders | None = None

    def acting(self) -> tuple[Actor, UUID]:
        """The actor and its tenant. Raises `Forbidden` (NO_TENANT) if none was named."""
        if self.actor is None or self.actor.tenant_id is None:
            raise Forbidden("Name the tenant you act for, in the header X-Tenant-ID.", "NO_TENANT")
        return self.actor, self.actor.tenant_id

    def may(self, action: Action) -> UUID:
        """The tenant acted for, if the rules allow the action there. Raises `Forbidden`."""
        actor, tenant_id = self.acting()
        require(actor, action)
        return tenant_id

    @property
    def loaders(self) -> Loaders:
        if self._loaders is None:
            self._loaders = Loaders(self.services, *self.acting())
        return self._loaders


class Loaders:
    """One statement for all the rows of a level, however many ECOs were asked for.

    They keep nothing: a WebSocket lives for hours, and each of its answers is to be of now.
    """

    def __init__(self, services: Services, actor: Actor, tenant_id: UUID) -> None:
        queries = services.queries

        async def tenants(ids: list[UUID]) -> list[Tenant]:
            found = await queries.tenants(tenant_id, ids)
            return [found[one] for one in ids]

        self.tenants: DataLoader[UUID, Tenant] = DataLoader(tenants, cache=False)
        self.timelines = _grouped(lambda ids: queries.timelines(tenant_id, ids), "eco_id")
        pages = queries.timeline_pages

        async def timeline_pages(keys: list[tuple[UUID, LinesAsked]]) -> list[Page]:
            return await _pages(pages, tenant_id, keys)

        async def timeline_counts(ids: list[UUID]) -> list[int]:
            found = await pages.counts(tenant_id, ids)
            return [found[one] for one in ids]

        self.timeline_pages: DataLoader[tuple[UUID, LinesAsked], Page] = DataLoader(
            timeline_pages, cache=False
        )
        self.timeline_counts: DataLoader[UUID, int] = DataLoader(timeline_counts, cache=False)
        self.runs = _grouped(lambda ids: queries.runs(tenant_id, ids), "eco_id")
        self.runs_with_calls = _grouped(
            lambda ids: queries.runs_with_calls(tenant_id, ids), "eco_id"
        )
        self.calls = _grouped(lambda ids: queries.calls(tenant_id, ids), "run_id")

        async def pasts(keys: list[tuple[UUID, datetime]]) -> list[Past | None]:
            return await services.run(lambda: _pasts(services, tenant_id, keys))

        async def regions(osp_ids: list[UUID]) -> list[Mapping[UUID, Any]]:
            return await services.run(
                lambda: [_regions(services, actor, tenant_id, one) for one in osp_ids]
            )

        self.regions: DataLoader[UUID, Mapping[UUID, Any]] = DataLoader(regions, cache=False)
        self.pasts: DataLoader[tuple[UUID, datetime], Past | None] = DataLoader(pasts, cache=False)


async def _pages(
    timelines: Timelines, tenant_id: UUID, keys: Sequence[tuple[UUID, LinesAsked]]
) -> list[Page]:
    """One statement for each page that is asked for, of however many ECOs."""
    ids: defaultdict[LinesAsked, list[UUID]] = defaultdict(list)
    for eco_id, asked in keys:
        ids[asked].append(eco_id)
    found = {asked: await timelines.pages(tenant_id, ids[asked], asked) for asked in ids}
    return [found[asked][eco_id] for eco_id, asked in keys]


def _regions(services: Services, actor: Actor, tenant_id: UUID, osp_id: UUID) -> Mapping[UUID, Any]:
    """The regions of a contractor's lists by the lists' ids; none where the actor may not look."""
    try:
        lists = services.paging_seen_by(tenant_id).lists_of(osp_id, actor)
    except (Forbidden, NotFound):
        return {}
    return {one.id: one.region for one in lists}


def _pasts(
    services: Services, tenant_id: UUID, keys: Sequence[tuple[UUID, datetime]]
) -> list[Past | None]:
    """How ECOs stood then, replayed from the log; None where there was none, or a foreign one."""
    histories = services.callouts.log.histories({eco_id for eco_id, _ in keys})
    found = {key: past_of(histories.get(key[0], ()), key[1]) for key in set(keys)}
    return [_seen_by(tenant_id, found[key]) for key in keys]


def _seen_by(tenant_id: UUID, past: Past | None) -> Past | None:
    is_party = past is not None and tenant_id in (past.eco.noc_id, past.eco.osp_id)
    return past if is_party else None


def _grouped(
    load: Callable[[Sequence[UUID]], Awaitable[Iterable[DictRow]]], key: str
) -> DataLoader[UUID, list[DictRow]]:
    async def load_groups(ids: list[UUID]) -> list[list[DictRow]]:
        groups: defaultdict[UUID, list[DictRow]] = defaultdict(list)
        for row in await load(ids):
            groups[row[key]].append(row)
        return [groups[one] for one in ids]

    return DataLoader(load_groups, cache=False)
