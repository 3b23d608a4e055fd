"""Keys that say why not, offers to come later, and lists that are rung again."""

from datetime import timedelta
from uuid import uuid4

import pytest
from pydantic import ValidationError

from strike_domain import (
    CallOutcome,
    Contact,
    DeclineKey,
    DeclineReason,
    InvalidTransition,
    NotFound,
    PagerList,
    PagingState,
    RingAgain,
    RunState,
)
from tests.unit.given import ANA, BEN, CEM, DISPATCHER, LIST, OPERATOR, OSP, Night

TEN_MINUTES = RingAgain(after_minutes=10, times=2)


def exhausted(*contacts: Contact, ring_again: RingAgain | None = None) -> Night:
    """A night in which everybody declined."""
    night = Night(*contacts, ring_again=ring_again).create()
    for contact in contacts:
        night.phone(contact).rings().presses("2")
    return night


# Keys with a reason -----------------------------------------------------------------------


def test_key_3_declines_for_a_reason_that_is_kept_and_said_back() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("3").hears("cannot come", "next person").is_dismissed()
    assert night.calls[0].outcome is CallOutcome.DECLINED
    assert night.calls[0].reason == "Cannot come."
    night.phone(BEN).is_rung()


def test_key_4_declines_and_its_offer_reaches_the_eco_while_others_are_rung() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("4").hears("more than an hour", "Do not set off")
    (offer,) = night.eco.offers
    assert (offer.name, offer.minutes) == ("Ana", 60)
    night.eco_is(paging_state=PagingState.RUNNING, responder=None, expected_at=None)
    night.phone(BEN).is_rung()


def test_the_last_who_is_too_far_hears_that_the_centre_is_told() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings().presses("4").hears("operations centre is told").is_dismissed()
    night.eco_is(paging_state=PagingState.EXHAUSTED)


def test_an_offer_told_twice_is_stored_once() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings().presses("4").presses("4").hears("more than an hour")
    assert night.happened().count("ArrivalOffered") == 1
    assert night.happened().count("CallEnded") == 1


def test_a_late_key_4_after_the_call_was_given_up_still_offers() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings().answers()
    night.after(60)
    ana.presses("4").hears("Somebody nearer")
    assert [one.name for one in night.eco.offers] == ["Ana"]


def test_who_offers_after_somebody_accepted_hears_who_has_it_and_nothing_is_offered() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings().answers()
    night.after(60)
    night.phone(BEN).rings().presses("1")
    ana.presses("4").hears("Ben already has this job")
    assert night.eco.offers == ()


def test_who_accepted_and_then_presses_a_reason_has_it_still() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings().presses("1").presses("3").hears("is yours")
    night.eco_is(paging_state=PagingState.ACCEPTED)


def test_who_is_too_far_may_change_their_mind() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings().presses("4").presses("1").hears("is yours")
    assert night.eco.responder is not None
    assert night.eco.expected_at == night.clock.now() + timedelta(minutes=60)


def test_a_key_that_the_list_gives_no_meaning_is_a_wrong_key() -> None:
    night = Night(ANA)
    night.strike.directory.add(night.pager_list.model_copy(update={"decline_keys": ()}))
    night.create()
    night.phone(ANA).rings().presses("3").hears("no meaning").is_asked_for_a_key()
    assert night.calls[0].outcome is None


def test_a_list_can_give_other_keys_their_meaning() -> None:
    night = Night(ANA)
    own = (DeclineKey(key="7", reason=DeclineReason.TOO_FAR, minutes=45),)
    night.strike.directory.add(night.pager_list.model_copy(update={"decline_keys": own}))
    night.create()
    night.phone(ANA).rings().answers().hears("more than 45 minutes, press 7")
    night.phone(ANA).presses("7")
    assert night.eco.offers[0].minutes == 45
    assert night.calls[0].reason == "Could come, but in more than 45 minutes."


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "1", "reason": DeclineReason.CANNOT},
        {"key": "9", "reason": DeclineReason.CANNOT},
        {"key": "33", "reason": DeclineReason.CANNOT},
        {"key": "4", "reason": DeclineReason.TOO_FAR},
        {"key": "4", "reason": DeclineReason.CANNOT, "minutes": 60},
    ],
)
def test_a_key_that_cannot_be_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DeclineKey.model_validate(fields)


def test_one_key_cannot_mean_two_things() -> None:
    twice = (DeclineKey(key="3", reason=DeclineReason.CANNOT),) * 2
    with pytest.raises(ValidationError, match="one meaning"):
        PagerList(id=LIST, osp_id=OSP, name="n", contacts=(ANA,), decline_keys=twice)


# Taking up an offer -----------------------------------------------------------------------


def offered() -> Night:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("4")
    night.phone(BEN).rings().presses("2")
    return night


def test_an_offer_taken_up_rings_that_person_alone_and_their_key_makes_it_theirs() -> None:
    night = offered()
    first = night.eco.offers[0]
    night.strike.paging.take_up_offer(night.eco_id, first.call_id, OPERATOR)
    night.strike.settle()
    night.eco_is(paging_state=PagingState.RUNNING, responder=None)
    assert [one.name for one in night.run.plan.contacts] == ["Ana"]
    route = night.eco.route
    assert route is not None and route[1] == "Ana offered to come in more than an hour"
    night.phone(ANA).rings().presses("1").hears("is yours")
    assert night.eco.responder is not None and night.eco.responder.name == "Ana"
    assert night.eco.expected_at == night.clock.now() + timedelta(minutes=60)


def test_the_contractor_may_take_up_an_offer_too() -> None:
    night = offered()
    night.strike.paging.take_up_offer(night.eco_id, night.eco.offers[0].call_id, DISPATCHER)
    assert night.run.state is RunState.RUNNING


def test_an_offer_that_nobody_made_is_not_found_and_stores_nothing() -> None:
    night = offered()
    before = night.strike.log.position()
    with pytest.raises(NotFound):
        night.strike.paging.take_up_offer(night.eco_id, uuid4(), OPERATOR)
    assert night.strike.log.position() == before


def test_an_offer_is_not_taken_up_while_others_are_rung() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("4")
    with pytest.raises(InvalidTransition):
        night.strike.paging.take_up_offer(night.eco_id, night.eco.offers[0].call_id, OPERATOR)


def test_an_offer_taken_up_is_not_rung_again_by_itself() -> None:
    night = Night(ANA, ring_again=TEN_MINUTES).create()
    night.phone(ANA).rings().presses("4")
    night.strike.paging.take_up_offer(night.eco_id, night.eco.offers[0].call_id, OPERATOR)
    night.strike.settle()
    night.phone(ANA).rings().presses("2")
    night.after(3_600)
    assert len(night.eco.runs) == 2


# Ringing a list again ---------------------------------------------------------------------


def test_a_list_is_rung_again_only_if_it_asks_for_it() -> None:
    night = exhausted(ANA, BEN).after(7_200)
    assert len(night.eco.runs) == 1


def test_an_exhausted_list_is_rung_again_after_its_pause_and_a_limited_number_of_times() -> None:
    night = exhausted(ANA, BEN, ring_again=TEN_MINUTES)
    night.eco_is(paging_state=PagingState.EXHAUSTED)
    night.after(599)
    assert len(night.eco.runs) == 1
    night.after(1)
    assert len(night.eco.runs) == 2
    night.eco_is(paging_state=PagingState.RUNNING)
    night.phone(ANA).rings().presses("2")
    night.phone(BEN).rings().presses("2")
    night.eco_is(paging_state=PagingState.EXHAUSTED)
    night.after(86_400)
    assert len(night.eco.runs) == 3
    night.eco_is(paging_state=PagingState.EXHAUSTED)
    assert night.happened().count("PagingExhausted") == 3
    assert night.strike.next_due() is None


def test_whoever_accepts_in_the_pause_is_not_followed_by_more_ringing() -> None:
    night = exhausted(ANA, BEN, ring_again=TEN_MINUTES)
    night.phone(BEN).presses("1").hears("is yours")
    night.after(86_400)
    assert len(night.eco.runs) == 1
    assert night.strike.next_due() is None


@pytest.mark.parametrize("does", ["cancel", "dispatch"])
def test_what_happened_in_the_pause_decides_whether_the_list_is_rung_again(does: str) -> None:
    night = exhausted(ANA, ring_again=TEN_MINUTES)
    getattr(night, does)()
    runs = len(night.eco.runs)
    night.phone(ANA).is_silent() if does == "cancel" else night.phone(ANA).rings().presses("1")
    night.after(86_400)
    assert len(night.eco.runs) == runs
    assert night.happened().count("RingingAgainDropped") == 1
    assert night.strike.next_due() is None


def test_a_list_is_rung_again_as_it_is_by_then() -> None:
    night = exhausted(ANA, ring_again=TEN_MINUTES)
    night.strike.directory.add(night.pager_list.model_copy(update={"contacts": (CEM, ANA)}))
    night.after(600)
    night.phone(CEM).is_rung()
    assert night.run.plan.ring_again == TEN_MINUTES.model_copy(update={"times": 1})


def test_a_list_that_was_emptied_meanwhile_is_rung_as_it_was() -> None:
    night = exhausted(ANA, ring_again=TEN_MINUTES)
    night.strike.directory.add(night.pager_list.model_copy(update={"contacts": ()}))
    night.after(600)
    night.phone(ANA).is_rung()


def test_a_list_is_rung_again_although_the_process_is_far_behind() -> None:
    night = Night(ANA, ring_again=TEN_MINUTES).create()
    ana = night.phone(ANA).rings()
    night.strike.paging.key_pressed(ana.answers().call.report, "2")
    night.clock.advance(601)
    night.strike.ringer.work_on(night.run.id)
    assert len(night.eco.runs) == 2
    night.eco_is(paging_state=PagingState.RUNNING)
    night.strike.settle()
    night.eco_is(paging_state=PagingState.RUNNING)
    assert night.happened().count("PagingExhausted") == 1
    night.phone(ANA).is_rung()


def test_a_late_key_in_the_first_run_ends_the_ringing_again() -> None:
    night = exhausted(ANA, BEN, ring_again=TEN_MINUTES)
    first = night.phone(BEN)
    assert first.call.sid
    night.after(600)
    night.phone(ANA).is_rung()
    first.presses("1").hears("is yours")
    night.phone(ANA).is_silent()
    assert night.run.state is RunState.CANCELLED
    assert night.strike.next_due() is None
