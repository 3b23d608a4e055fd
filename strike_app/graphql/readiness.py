"""Answers about the night to come: what is wrong with lists, and how a ring-down would go."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import strawberry

from strike_app.graphql.scalars import GeoJSON
from strike_app.list_map import draw
from strike_domain import drill
from strike_domain.contacts import Language, PagerList
from strike_domain.readiness import Severity, check_lists


@strawberry.type(description="One thing to mend.")
class ListProblem:
    code: str = strawberry.field(description="For machines, such as NUMBER_INVALID.")
    severity: Severity = strawberry.field(description="How bad it is.")
    said: str = strawberry.field(description="What is wrong.")
    cure: str = strawberry.field(description="What to do.")
    list_id: UUID | None = strawberry.field(description="Null: it concerns all lists.")
    list_name: str | None = strawberry.field(description="Its name.")
    contact: str | None = strawberry.field(description="Whom it concerns.")
    between: list[str] = strawberry.field(description="Of an overlap, the names of its two lists.")


@strawberry.type(description="Ground between regions, or inside one, that no region covers.")
class RegionGap:
    area_m2: float = strawberry.field(description="Square metres.", name="areaM2")
    geometry: GeoJSON = strawberry.field(description="A polygon.")


@strawberry.type(description="Ground that two regions cover.")
class RegionOverlap:
    first: str = strawberry.field(description="The list that is rung for a point there.")
    second: str = strawberry.field(description="The other list.")
    area_m2: float = strawberry.field(description="Square metres.", name="areaM2")
    geometry: GeoJSON = strawberry.field(description="Polygons.")


@strawberry.type(description="Ground that a list answers for.")
class ListRegion:
    list_name: str = strawberry.field(description="The list's name.")
    geometry: GeoJSON = strawberry.field(description="Polygon or MultiPolygon.")


@strawberry.type(description="Whether the lists would ring somebody tonight.")
class Readiness:
    is_ready: bool = strawberry.field(description="Nothing is WRONG; there may be warnings.")
    lists: int = strawberry.field(description="How many lists were checked.")
    contacts: int = strawberry.field(description="How many different numbers are on them.")
    problems: list[ListProblem] = strawberry.field(description="The worst first.")
    gaps: list[RegionGap] = strawberry.field(description="Of a hectare or more.")
    overlaps: list[RegionOverlap] = strawberry.field(description="Of a hectare or more.")
    regions: list[ListRegion] = strawberry.field(description="Of all lists that have one.")
    map_svg: str = strawberry.field(description="The regions, gaps and overlaps as a picture.")

    @classmethod
    def of(cls, lists: Sequence[PagerList]) -> Readiness:
        """What there is to say of a contractor's lists."""
        found = check_lists(lists)
        return cls(
            is_ready=found.is_ready,
            lists=found.lists,
            contacts=found.contacts,
            problems=[
                ListProblem(**{**vars(one), "between": list(one.between)}) for one in found.problems
            ],
            gaps=[RegionGap(**vars(one)) for one in found.gaps],
            overlaps=[RegionOverlap(**vars(one)) for one in found.overlaps],
            regions=[
                ListRegion(list_name=one.name, geometry=GeoJSON(one.region))
                for one in lists
                if one.region is not None
            ],
            map_svg=draw(lists, found, "Pager lists"),
        )


@strawberry.type(description="What would happen, so long after the callout.")
class DrillMoment:
    seconds: float = strawberry.field(description="Since the callout was created.")
    line: str = strawberry.field(description="What would happen, for people.")


@strawberry.type(description="What somebody would hear.")
class DrillPrompt:
    contact_name: str = strawberry.field(description="Who.")
    language: Language = strawberry.field(description="In which language.")
    sentences: list[str] = strawberry.field(description="Sentence by sentence.")


@strawberry.type(description="A ring-down on paper, in which nobody answers. No phone rings.")
class Drill:
    list_name: str = strawberry.field(description="The list that would be rung.")
    reason: str = strawberry.field(description="Why that list.")
    moments: list[DrillMoment] = strawberry.field(description="In order.")
    prompts: list[DrillPrompt] = strawberry.field(description="Of each person once.")

    @classmethod
    def of(cls, done: drill.Drill) -> Drill:
        return cls(
            list_name=done.list_name,
            reason=done.reason,
            moments=[DrillMoment(**vars(one)) for one in done.moments],
            prompts=[
                DrillPrompt(
                    contact_name=one.contact.name,
                    language=one.contact.language,
                    sentences=list(one.sentences),
                )
                for one in done.prompts
            ],
        )
