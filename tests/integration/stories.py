"""Whole callouts, told by phone; together they make every event that there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from strike_domain import (
    FieldTask,
    FieldTerms,
    OutcomeUnknown,
    ProviderCallState,
    RingAgain,
    TaskState,
    Unavailable,
    parse_region,
)
from tests.integration.stored import CREWED, LISTLESS, LISTS, LongNight
from tests.unit.given import ANA, BEN, BOULDER, CEM, OPERATOR, stamp

NORTH = parse_region(
    {"type": "Polygon", "coordinates": [[[-106, 50], [-104, 50], [-105, 52], [-106, 50]]]}
)
SOUTH = parse_region(
    {"type": "Polygon", "coordinates": [[[-106, 30], [-104, 30], [-105, 32], [-106, 30]]]}
)
IN_THE_SOUTH = {"type": "Point", "coordinates": [-105, 31]}
IN_THE_NORTH = {"type": "Point", "coordinates": [-105, 51]}


def the_second_accepts_and_the_crew_repairs(night: LongNight) -> None:
    night.set_terms(FieldTerms(grace=timedelta(seconds=60), inactivity=timedelta(seconds=90)))
    night.create(client_reference="repaired", osp_id=CREWED, ticket="T-1", affected_customers=70)
    night.phone(CEM).rings().presses("9").presses("2")
    night.phone(ANA).rings().presses("1").hears("yours")
    subsector = night.crew.tasked(CREWED, night.eco_id).subsector_id
    for state in (TaskState.RELEASED, TaskState.COMPLETED):
        night.crew.set_tasks(subsector, FieldTask(id="t1", name="Investigate", state=state))
        night.after(31)
    splice = FieldTask(id="t2", name="Splice", state=TaskState.RELEASED, cloned_from="t1")
    night.crew.set_tasks(subsector, *night.crew.tasks(subsector), splice)
    night.after(31).eco_is(status="IN_PROGRESS")
    night.after(120).eco_is(stale=True)
    night.crew.set_tasks(subsector, FieldTask(id="t2", name="Splice", state=TaskState.COMPLETED))
    night.after(120).eco_is(status="CLOSED")


def it_is_cancelled_while_it_rings(night: LongNight) -> None:
    night.create(client_reference="cancelled")
    night.phone(ANA).rings()
    night.strike.callouts.add_note(night.eco_id, "The light is back.", OPERATOR)
    night.cancel().after(1).eco_is(status="CANCELLED")
    night.phone(ANA).is_silent()


def nobody_accepts(night: LongNight) -> None:
    night.create(client_reference="exhausted")
    night.phone(ANA).is_busy()
    night.phone(BEN).rings().answers("machine_end_beep").says_nothing().says_nothing()
    night.after(60).eco_is(paging_state="EXHAUSTED")


def there_is_nobody_to_ring(night: LongNight) -> None:
    night.create(client_reference="listless", osp_id=LISTLESS).eco_is(paging_state="NO_LIST")
    night.strike.log.change_eco(
        night.eco_id, lambda eco: eco.complete_by_hand(timedelta(hours=1), stamp(60))
    )


def the_first_accepts_after_having_been_given_up(night: LongNight) -> None:
    night.create(client_reference="late")
    night.phone(ANA).rings()
    first = night.phone(ANA)
    first.is_rung()
    night.after(45)
    night.phone(BEN).rings()
    first.presses("1").hears("yours")
    night.after(1)
    night.phone(BEN).is_silent()


def the_provider_makes_trouble(night: LongNight) -> None:
    night.switchboard.faults = [Unavailable("Too many calls."), OutcomeUnknown("Lost.")]
    night.switchboard.starts_as = ProviderCallState.QUEUED
    night.crew.fail(Unavailable("Render is away.", can_retry=False))
    night.create(client_reference="trouble", osp_id=CREWED)
    night.strike.callouts.amend_eco(
        night.eco_id, OPERATOR, description="Two cables.", location={**BOULDER}
    )
    night.after(200)
    night.eco_is(render_state="FAILED")
    night.crew.fail(None)
    night.strike.callouts.retry_field_tasks(night.eco_id, OPERATOR)
    night.after(60)
    night.eco_is(render_state="TASKED")
    night.crew.fail(Unavailable("Render does not know it.", "GONE", can_retry=False))
    night.after(300)
    assert night.eco.field_problem is not None
    night.crew.fail(None)
    night.after(300).eco_is(field_problem=None)
    night.switchboard.starts_as = ProviderCallState.RINGING
    night.cancel().after(60)


def the_first_could_come_later_and_is_asked_again(night: LongNight) -> None:
    night.create(client_reference="offered")
    night.phone(ANA).rings().presses("4").hears("Do not set off")
    night.phone(BEN).rings().presses("3")
    night.strike.paging.take_up_offer(night.eco_id, night.eco.offers[0].call_id, OPERATOR)
    night.strike.settle()
    night.phone(ANA).rings().presses("1").hears("yours")
    night.after(60)


def a_list_is_rung_again_until_somebody_wakes_up(night: LongNight) -> None:
    again = LISTS[0].model_copy(
        update={"id": UUID(int=0x117), "ring_again": RingAgain(after_minutes=10, times=2)}
    )
    night.save_list(again.model_copy(update={"name": "stubborn", "region": NORTH}))
    night.create(client_reference="again", location=IN_THE_NORTH)
    for _ in range(2):
        night.phone(ANA).rings().presses("2")
        night.phone(BEN).rings().presses("2")
        night.after(60 * 10)
    night.phone(BEN).presses("1").hears("yours")
    night.create(client_reference="not again", location=IN_THE_NORTH)
    night.phone(ANA).rings().presses("2")
    night.phone(BEN).rings().presses("2")
    night.cancel().after(60 * 11)


def texts_are_sent_and_their_links_answered(night: LongNight) -> None:
    both = frozenset({ANA.phone, BEN.phone})
    texted = LISTS[0].model_copy(
        update={"id": UUID(int=0x118), "name": "texted", "region": SOUTH, "texted": both}
    )
    night.save_list(texted)
    night.switchboard.text_faults = [Unavailable("Not a mobile.", can_retry=False)]
    night.create(client_reference="texted", location=IN_THE_SOUTH)
    night.phone(ANA).rings()
    night.phone(ANA).presses("2")
    night.phone(BEN).rings()
    night.page(BEN).accepts().on_the_way().done()
    night.after(5)


def a_worker_loses_the_run_right_before_it_rings(night: LongNight) -> None:
    night.after(60)  # Nobody looks for calls of the story before.
    with night.claims_lost():
        night.create(client_reference="lost claim")
    night.phone(ANA).is_silent()
    night.after(10)
    night.phone(ANA).rings().presses("1").hears("yours")


def the_provider_has_two_calls_for_one_turn(night: LongNight) -> None:
    """It lost its answers for two callouts at once, and had all of it queued."""
    night.after(180)  # Nobody looks for calls of the story before.
    night.switchboard.faults = [(True, OutcomeUnknown("Lost."))] * 2
    night.switchboard.starts_as = ProviderCallState.QUEUED
    for reference in ("congested", "congested too"):
        night.create(client_reference=reference)
    night.after(11)
    first, second = (one for one in night.switchboard.calls if one.order.run_id == night.run.id)
    for state in (ProviderCallState.QUEUED, ProviderCallState.RINGING):
        first.state = state
        night.strike.paging.reported(first.report)
        night.strike.settle()
    assert second.state is ProviderCallState.CANCELED
    night.strike.paging.key_pressed(first.report, "1")
    night.switchboard.starts_as = ProviderCallState.RINGING
    night.after(300)


STORIES: tuple[Callable[[LongNight], None], ...] = (
    the_second_accepts_and_the_crew_repairs,
    it_is_cancelled_while_it_rings,
    nobody_accepts,
    there_is_nobody_to_ring,
    the_first_accepts_after_having_been_given_up,
    the_provider_makes_trouble,
    the_first_could_come_later_and_is_asked_again,
    a_list_is_rung_again_until_somebody_wakes_up,
    texts_are_sent_and_their_links_answered,
    a_worker_loses_the_run_right_before_it_rings,
    the_provider_has_two_calls_for_one_turn,
)


def tell_all(night: LongNight) -> None:
    for story in STORIES:
        story(night)
        night.crew.fail(None)
