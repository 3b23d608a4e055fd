"""Where a callout is, and which contractor it is for: what is asked before one is created."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from strike_app.graphql.enums import show
from strike_app.graphql.query import WouldBeRung
from strike_app.graphql.scalars import GeoJSON
from strike_app.graphql.types import StrikeInfo, Tenant
from strike_domain import places as gazetteer
from strike_domain.access import Action, reaches
from strike_domain.actors import Actor
from strike_domain.geometry import Location, parse_location
from strike_domain.paging import Paging
from strike_domain.places import PlaceKind
from strike_domain.routing import NoRoute, Route, preference

show(
    PlaceKind,
    "What sort of place it is.",
    {
        "TOWN": "A town or city.",
        "COUNTY": "A county, or what a state has instead.",
        "COORDINATES": "Typed coordinates.",
    },
)


@strawberry.type(description="A place that a text can mean.")
class Place:
    name: str = strawberry.field(description="Boulder, Boulder County, or the coordinates.")
    label: str = strawberry.field(description="With its state: Boulder, CO.")
    kind: PlaceKind = strawberry.field(description="A town, a county, or typed coordinates.")
    state: str | None = strawberry.field(description="Postal code; null for coordinates.")
    latitude: float = strawberry.field(description="Degrees north; of a county its middle.")
    longitude: float = strawberry.field(description="Degrees east.")
    population: int | None = strawberry.field(description="Null where it is not known.")
    location: GeoJSON = strawberry.field(description="For `createEco`: a Point, or what was typed.")

    @classmethod
    def of(cls, one: gazetteer.Place) -> Place:
        return cls(
            name=one.name,
            label=one.label,
            kind=one.kind,
            state=one.state or None,
            latitude=one.latitude,
            longitude=one.longitude,
            population=one.population or None,
            location=GeoJSON(one.location.geojson()),
        )


@strawberry.type(description="A contractor with an active link, and whom it would have rung.")
class ContractorFor:
    osp: Tenant = strawberry.field(description="The contractor.")
    covers: bool = strawberry.field(
        description="Whether a region of its lists covers the place, or a part of it."
    )
    would_be_rung: WouldBeRung = strawberry.field(description="The list, its people, and why.")


@strawberry.type
class PlacesQuery:
    @strawberry.field(
        description="What a text means: a town or county of the United States by name, one letter "
        "wrong or not, coordinates in any usual form, an address of a map, or GeoJSON."
    )
    async def places(
        self,
        info: StrikeInfo,
        text: Annotated[str, strawberry.argument(description="As it was typed or pasted.")],
        near: Annotated[
            GeoJSON | None,
            strawberry.argument(description="A Point or LineString: what is near comes first."),
        ] = None,
        first: Annotated[int, strawberry.argument(description="How many, 1 to 50.")] = 8,
    ) -> list[Place]:
        info.context.may(Action.ECO_SEE)
        services = info.context.services
        beside = None if near is None else _middle(parse_location(near, path=("near",)))  # type: ignore[arg-type]
        found = await services.run(lambda: gazetteer.look_up(services.places, text, first, beside))
        return [Place.of(one) for one in found]

    @strawberry.field(
        description="Your contractors with an active link, for a callout there: those with a "
        "region that covers it first, the smallest region before others; then those with a "
        "default list; then those who would ring nobody. Stores nothing."
    )
    async def contractors_for(
        self,
        info: StrikeInfo,
        location: Annotated[
            GeoJSON, strawberry.argument(description="A Point or LineString, longitude first.")
        ],
    ) -> list[ContractorFor]:
        tenant_id = info.context.may(Action.LISTS_PREVIEW)
        actor, _ = info.context.acting()
        services = info.context.services
        place = parse_location(location)  # type: ignore[arg-type]
        links = await services.queries.settings.links(tenant_id)
        linked = [
            one.osp_id
            for one in links
            if one.noc_id == tenant_id and reaches(Action.LISTS_PREVIEW, one)
        ]
        tenants = await services.queries.tenants(tenant_id, linked)
        paging = services.paging_seen_by(tenant_id)
        routes = await services.run(lambda: _routes(paging, linked, place, actor))
        found = [(route, Tenant.of(tenants[osp_id])) for osp_id, route in routes.items()]
        found.sort(key=lambda one: (*preference(one[0]), one[1].name))
        return [
            ContractorFor(osp=osp, covers=_covers(route), would_be_rung=WouldBeRung.of(route))
            for route, osp in found
        ]


def _middle(location: Location) -> tuple[float, float]:
    west, south, east, north = location.bounds
    return (west + east) / 2, (south + north) / 2


def _routes(
    paging: Paging, linked: list[UUID], place: Location, actor: Actor
) -> dict[UUID, Route | NoRoute]:
    return {osp_id: paging.who_would_be_rung(osp_id, place, actor) for osp_id in linked}


def _covers(route: Route | NoRoute) -> bool:
    return isinstance(route, Route) and route.pager_list.region is not None
