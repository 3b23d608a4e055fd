"""Whole callouts, told by phone; together they make every event that there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from strike_domain import FieldTask, OutcomeUnknown, ProviderCallState, TaskState, Unavailable
from tests.integration.stored import CREWED, LISTLESS, LongNight
from tests.unit.given import ANA, BEN, BOULDER, CEM, OPERATOR, stamp


def the_second_accepts_and_the_crew_repairs(night: LongNight) -> None:
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
    night.crew.inactivity_ttl = timedelta(seconds=90)
    night.after(120).eco_is(stale=True)
    night.crew.grace_period = timedelta(seconds=60)
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
    night.switchboard.starts_as = ProviderCallState.RINGING
    night.cancel().after(60)


STORIES: tuple[Callable[[LongNight], None], ...] = (
    the_second_accepts_and_the_crew_repairs,
    it_is_cancelled_while_it_rings,
    nobody_accepts,
    there_is_nobody_to_ring,
    the_first_accepts_after_having_been_given_up,
    the_provider_makes_trouble,
)


def tell_all(night: LongNight) -> None:
    for story in STORIES:
        story(night)
        night.crew.fail(None)
