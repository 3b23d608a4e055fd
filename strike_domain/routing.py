"""Which list is rung for a place, and why: one rule for the process, the preview and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from strike_domain.actors import Stamp
from strike_domain.contacts import PagerList, is_callable
from strike_domain.eco import Eco
from strike_domain.geometry import Location, length_m
from strike_domain.pager_run import Briefing, PagerRun, RunPlan
from strike_domain.ports import PagerLists
from strike_domain.regions import Matches, choose_match, region_area_m2


@dataclass(frozen=True)
class Route:
    """The list to ring, with the reason that is stored and shown."""

    pager_list: PagerList
    reason: str

    @property
    def plan(self) -> RunPlan:
        return RunPlan.snapshot(self.pager_list)


@dataclass(frozen=True)
class NoRoute:
    """Nobody can be rung for this place, and why."""

    reason: str


def preference(route: Route | NoRoute) -> tuple[int, float]:
    """Sorts the contractors for a place, the fittest first.

    One that has drawn a region there knows it better than one whose default list is for
    everywhere; the smaller the region, the better. Who would ring nobody comes last.
    """
    if isinstance(route, NoRoute):
        return 2, 0.0
    region = route.pager_list.region
    return (1, 0.0) if region is None else (0, region_area_m2(region))


class _ReadOnce:
    """Lists as they were when they were asked for first: for some places all at once."""

    def __init__(self, lists: PagerLists, places: Sequence[tuple[UUID, Location]]) -> None:
        self._matches = lists.matches
        self._known = dict(zip(places, lists.matches_of(places), strict=True)) if places else {}
        self.matches_of = lists.matches_of
        self.lists_of = lists.lists_of
        self.get = cache(lists.get)

    def matches(self, osp_id: UUID, location: Location) -> Matches:
        known = self._known.get((osp_id, location))
        return self._matches(osp_id, location) if known is None else known


class Router:
    """Chooses lists (specification, section 4, first paragraph)."""

    def __init__(self, lists: PagerLists) -> None:
        self._lists = lists

    def route(self, osp_id: UUID, location: Location) -> Route | NoRoute:
        """The OSP's list for a place."""
        choice = choose_match(location, self._lists.matches(osp_id, location))
        if choice is None:
            return NoRoute("No region covers the place, and the contractor has no default list.")
        return self._with_somebody(self._lists.get(osp_id, choice.list_id), choice.reason)

    def chosen(self, osp_id: UUID, list_id: UUID) -> Route | NoRoute:
        """The list that a person chose by hand."""
        return self._with_somebody(self._lists.get(osp_id, list_id), "chosen by hand")

    def lists_of(self, osp_id: UUID) -> Sequence[PagerList]:
        """Every list of an OSP by name, the default list last."""
        return self._lists.lists_of(osp_id)

    def reading_once(self, places: Sequence[tuple[UUID, Location]] = ()) -> Router:
        """One for what is routed at the same moment: it reads each list once.

        `places`: OSPs and locations that it will be asked for, and asks for together.
        """
        return Router(_ReadOnce(self._lists, places))

    def people_now(self, osp_id: UUID, plan: RunPlan) -> RunPlan:
        """The plan with whom to ring when a list is rung again, and who of them gets a text.

        That is as the list is by now; as it was, if that is nobody.
        """
        route = self.chosen(osp_id, plan.list_id)
        if isinstance(route, NoRoute):
            return plan
        now = RunPlan.snapshot(route.pager_list)
        return plan.model_copy(update={"contacts": now.contacts, "texted": now.texted})

    def _with_somebody(self, found: PagerList | None, reason: str) -> Route | NoRoute:
        if found is None:
            return NoRoute("The contractor has no such list.")
        if not found.contacts:
            return NoRoute(f"The list {found.name!r} has nobody on it.")
        # A number can be wrong that was right when it was entered, or was stored by other means.
        if not any(is_callable(contact.phone) for contact in found.contacts):
            return NoRoute(f"No number on the list {found.name!r} can be called.")
        return Route(found, reason)


def start_run(eco: Eco, plan: RunPlan, reason: str, stamp: Stamp) -> PagerRun:
    """Dispatch the pager: the ECO and its new run change together, or neither does."""
    run_id = eco.next_run_id()
    eco.dispatch_pager(run_id, plan.list_id, plan.list_name, reason, stamp)
    return PagerRun.start(
        run_id,
        stamp,
        eco_id=eco.id,
        noc_id=eco.noc_id,
        osp_id=eco.osp_id,
        plan=plan,
        briefing=Briefing(
            job_number=eco.job_number,
            job_type=eco.job_type,
            place=eco.location.describe(),
            description=eco.description,
            position=eco.location.positions[0],
            length_m=length_m(eco.location.positions),
        ),
    )
