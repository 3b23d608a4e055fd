"""The text beside a call, and what its link can do."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from strike_domain import (
    CallOutcome,
    Eco,
    EcoStatus,
    FieldTask,
    InvalidTransition,
    NotFound,
    OutcomeUnknown,
    PagingState,
    RingAgain,
    RunState,
    TaskSnapshot,
    TaskState,
    Unavailable,
)
from strike_domain.evidence_parts import calls_of
from strike_domain.technicians import Standing, Word
from strike_domain.timeline import Teller
from tests.unit.given import ANA, BEN, CEM, DISPATCHER, OPERATOR, Night, stamp

TEXTED = (ANA, BEN, CEM)


def given_night(*contacts: object, **more: object) -> Night:
    """Everybody gets a text, too."""
    people = contacts or (ANA, BEN)
    return Night(*people, texted=TEXTED, **more).create()  # type: ignore[arg-type]


def told(night: Night) -> list[str]:
    """The timeline of the newest run."""
    run_id = night.run.id
    events = [one for _, one in night.strike.events() if one.originator_id == run_id]  # type: ignore[attr-defined]
    teller, log = Teller(), night.strike.log
    return [
        teller.line(one, log.run(run_id, one.originator_version))  # type: ignore[attr-defined]
        for one in events
    ]


# The text ----------------------------------------------------------------------------------


def test_who_asked_for_a_text_gets_one_when_their_phone_is_rung_and_nobody_else_does() -> None:
    night = Night(ANA, BEN, texted=[BEN]).create()
    assert night.switchboard.texts == []
    night.phone(ANA).rings().presses("2")
    (text,) = night.switchboard.texts
    assert text.to == BEN.phone
    for part in (night.eco.job_number, "A digger went through the cable.", "40.01000, -105.27000"):
        assert part in text.body
    assert "The provider has the text to Ben" in told(night)


def test_the_text_is_in_the_persons_language() -> None:
    night = Night(CEM, texted=[CEM]).create()
    assert "Aceptar o rechazar: https://" in night.switchboard.texts[0].body


def test_the_call_is_given_to_the_provider_before_the_text() -> None:
    night = given_night()
    assert night.switchboard.asked == [("place", ANA.phone), ("text", ANA.phone)]


def test_a_text_that_is_refused_is_told_and_changes_nothing_else() -> None:
    night = Night(ANA, BEN, texted=TEXTED)
    night.switchboard.text_faults = [Unavailable("Not a mobile.", can_retry=False)]
    night.create()
    assert "The text to Ana failed: Not a mobile." in told(night)
    night.phone(ANA).rings().presses("1").hears("yours")


def test_a_text_whose_answer_was_lost_is_not_sent_again() -> None:
    night = Night(ANA, BEN, texted=TEXTED)
    night.switchboard.text_faults = [OutcomeUnknown("Twilio did not answer.")]
    night.create()
    night.phone(ANA).rings().answers().says_nothing()
    assert night.switchboard.asked.count(("text", ANA.phone)) == 1
    assert any("Whether it was sent is not known" in line for line in told(night))


def test_a_worker_that_died_before_the_text_leaves_it_to_the_next() -> None:
    night = Night(ANA, BEN, texted=TEXTED)
    ringer, night.strike.ringer = night.strike.ringer, night.another_worker()
    night.create()
    assert night.switchboard.texts == []
    night.strike.ringer = ringer
    ringer.work_on(night.run.id)
    assert [one.to for one in night.switchboard.texts] == [ANA.phone]
    ringer.work_on(night.run.id)
    assert len(night.switchboard.texts) == 1


def test_a_text_that_comes_too_late_is_not_sent() -> None:
    night = Night(ANA, texted=TEXTED)
    ringer, night.strike.ringer = night.strike.ringer, night.another_worker()
    night.create()
    night.clock.advance(120)
    ringer.work_on(night.run.id)
    assert night.switchboard.texts == []


def test_what_the_provider_says_later_of_a_text_is_told_once() -> None:
    night = given_night()
    for _ in range(2):
        night.strike.paging.text_reported(night.run.id, night.calls[0].id, "Switched off.")
    assert [line for line in told(night) if "failed" in line] == [
        "The text to Ana failed: Switched off."
    ]
    night.strike.paging.text_reported(night.run.id, night.calls[0].id, None)
    with pytest.raises(NotFound):
        night.strike.paging.text_reported(night.run.id, UUID(int=1), None)


def test_each_call_has_a_text_and_a_link_of_its_own() -> None:
    night = given_night(ANA, rounds=2)
    first = night.page(ANA).link
    night.phone(ANA).rings().presses("2")
    assert night.page(ANA).link != first
    assert len(night.switchboard.texts) == 2


def test_a_list_that_is_rung_again_texts_whom_it_names_by_then() -> None:
    night = Night(ANA, ring_again=RingAgain(after_minutes=10, times=1)).create()
    night.phone(ANA).rings().presses("2")
    now = night.pager_list.model_copy(update={"texted": frozenset({ANA.phone})})
    night.strike.directory.add(now)
    assert night.switchboard.texts == []
    night.after(600)
    assert [one.to for one in night.switchboard.texts] == [ANA.phone]


# Accepting and declining -------------------------------------------------------------------


def test_looking_changes_nothing() -> None:
    night = given_night()
    before = night.strike.log.position()
    night.page(ANA).shows(Standing.ASKED)
    assert night.strike.log.position() == before


def test_accepting_while_it_rings_makes_it_theirs_and_stops_the_phone() -> None:
    night = given_night()
    night.phone(ANA).rings()
    night.page(ANA).accepts().shows(Standing.YOURS)
    assert (night.run.state, night.outcomes) == (RunState.ACCEPTED, ["Ana ACCEPTED"])
    night.eco_is(paging_state=PagingState.ACCEPTED)
    assert ("end", ANA.phone) in night.switchboard.asked
    night.phone(ANA).is_silent()
    assert night.run.due_at is None
    assert "Ana accepted by the link in the text" in told(night)
    (call,) = calls_of(night.strike.log.histories([night.eco_id])[night.eco_id])
    assert [(one["key"], one["meaning"]) for one in call["keys"]] == [
        (None, "accepted by the link in the text")
    ]
    assert night.happened().count("ResponderAssigned") == 1


def test_who_picks_up_after_having_accepted_by_the_link_hears_that_it_is_theirs() -> None:
    night = given_night()
    night.switchboard.is_reachable = False
    night.page(ANA).accepts()
    night.switchboard.is_reachable = True
    night.phone(ANA).answers().hears("yours").is_dismissed()
    assert any("could not be stopped" in line for line in told(night))
    night.phone(ANA).hangs_up()
    assert night.run.due_at is None


def test_accepting_while_listening_to_the_prompt_ends_the_call() -> None:
    night = given_night()
    night.phone(ANA).rings().answers()
    night.page(ANA).accepts().shows(Standing.YOURS)
    night.phone(ANA).is_silent()


def test_declining_stops_the_phone_before_the_next_one_rings() -> None:
    night = given_night()
    night.phone(ANA).rings()
    night.page(ANA).declines().shows(Standing.DECLINED)
    night.phone(ANA).is_silent()
    night.phone(BEN).is_rung()
    asked = night.switchboard.asked
    assert asked.index(("end", ANA.phone)) < asked.index(("place", BEN.phone))
    assert night.calls[0].outcome is CallOutcome.DECLINED
    assert "Call to Ana ended, declined by the link in the text" in told(night)


def test_a_phone_that_cannot_be_stopped_keeps_nobody_waiting() -> None:
    night = given_night()
    night.phone(ANA).rings()
    night.switchboard.is_reachable = False
    night.page(ANA).declines()
    night.switchboard.is_reachable = True
    night.after(15)
    night.phone(BEN).is_rung()


def test_the_same_answer_twice_changes_nothing_more() -> None:
    for answers in ("accepts", "declines"):
        night = given_night()
        page = night.page(ANA)
        getattr(page, answers)()
        before = night.strike.log.position()
        getattr(page, answers)()
        assert night.strike.log.position() == before


def test_who_was_replaced_has_it_again_if_they_say_so_before_anybody_else() -> None:
    night = given_night()
    page = night.page(ANA)
    night.phone(ANA).rings().presses("1")
    night.dispatch()
    page.shows(Standing.ASKED).accepts().shows(Standing.YOURS)
    night.eco_is(paging_state=PagingState.ACCEPTED)
    assert night.run.state is RunState.CANCELLED, "Nobody else is rung for it."


def test_who_was_rung_before_the_one_who_was_replaced_can_take_it_too() -> None:
    night = given_night()
    page = night.page(ANA)
    night.phone(ANA).rings().presses("2")
    night.phone(BEN).rings().presses("1")
    night.dispatch()
    page.accepts().shows(Standing.YOURS)
    assert night.eco.responder is not None and night.eco.responder.name == "Ana"


def test_a_key_that_is_told_again_after_others_were_dispatched_takes_nothing() -> None:
    """The provider may tell of a key twice, and late: that is nobody's word."""
    night = given_night()
    phone = night.phone(ANA).rings()
    phone.presses("1")
    night.dispatch()
    call = night.switchboard.calls[0]
    night.strike.paging.key_pressed(call.report, "1")
    night.eco_is(paging_state=PagingState.RUNNING, responder=None)


def test_who_accepts_after_somebody_else_sees_who_has_it() -> None:
    night = given_night()
    page = night.page(ANA)
    night.phone(ANA).rings().presses("2")
    night.phone(BEN).rings().presses("1")
    page.accepts().shows(Standing.TAKEN)
    assert page.job.taken_by == "Ben"
    night.eco_is(responder=night.eco.responder)
    assert night.run.accepted_by == BEN


def test_who_declined_can_still_accept_while_nobody_else_has_it() -> None:
    night = given_night()
    page = night.page(ANA).declines()
    night.phone(BEN).rings()
    page.accepts().shows(Standing.YOURS)
    night.phone(BEN).is_silent()
    assert night.run.accepted_by == ANA


def test_accepting_after_the_list_was_exhausted_is_still_welcome() -> None:
    night = given_night(ANA)
    night.phone(ANA).rings().does_not_answer()
    night.eco_is(paging_state=PagingState.EXHAUSTED)
    night.page(ANA).accepts().shows(Standing.YOURS)


def test_a_cancelled_callout_can_no_longer_be_accepted() -> None:
    night = given_night()
    night.cancel()
    night.page(ANA).shows(Standing.OVER).accepts().shows(Standing.OVER)
    night.eco_is(responder=None)


def test_a_call_that_is_still_being_placed_can_be_accepted_and_is_ended_then() -> None:
    night = Night(ANA, texted=TEXTED)
    night.switchboard.faults = [(True, OutcomeUnknown("Lost."))]
    night.create()
    assert night.calls[0].sid is None
    night.page(ANA).accepts()
    night.eco_is(paging_state=PagingState.ACCEPTED)
    night.phone(ANA).answers().hears("yours").is_dismissed()


def test_the_link_of_one_call_is_not_that_of_another() -> None:
    night = given_night()
    with pytest.raises(NotFound):
        night.strike.technicians.link(night.run.id, 2)
    with pytest.raises(NotFound):
        night.strike.technicians.link(night.eco_id, 1)
    _, link = night.strike.technicians.link(night.run.id, 1)
    assert link.phone == ANA.phone
    assert link.expires_at == night.calls[0].requested_at + timedelta(days=7)


# The work ----------------------------------------------------------------------------------


def test_on_the_way_and_done_move_an_eco_that_is_kept_by_hand() -> None:
    night = given_night()
    page = night.page(ANA).accepts()
    page.on_the_way()
    night.eco_is(status=EcoStatus.IN_PROGRESS)
    assert page.job.said == {Word.ON_MY_WAY}
    page.done().shows(Standing.DONE)
    night.eco_is(status=EcoStatus.COMPLETED)
    actors = {
        type(one).__name__: one.actor  # type: ignore[attr-defined]
        for _, one in night.strike.events()
    }
    for name in ("NoteAdded", "WorkStarted", "EcoCompleted", "ResponderAssigned"):
        assert actors[name] == "link:Ana"


def test_what_is_said_twice_is_stored_once_and_again_after_the_work_was_reopened() -> None:
    night = given_night()
    page = night.page(ANA).accepts().done()
    before = night.strike.log.position()
    page.done()
    assert night.strike.log.position() == before
    night.strike.callouts.reopen_eco(night.eco_id, DISPATCHER)
    page.shows(Standing.YOURS)
    assert page.job.said == frozenset()
    page.done().shows(Standing.DONE)


def test_where_field_tasks_exist_their_word_counts_and_the_technicians_is_a_note() -> None:
    night = given_night()
    task = FieldTask(id="t1", name="Investigate", state=TaskState.ALLOCATED)

    def tasked(eco: Eco) -> None:
        eco.request_tasking(stamp(1))
        eco.record_tasking("P", "S", "t1", stamp(2))
        eco.record_tasks(TaskSnapshot.of([task]), timedelta(hours=1), stamp(3))

    night.strike.log.change_eco(night.eco_id, tasked)
    page = night.page(ANA).accepts().on_the_way().done().shows(Standing.YOURS)
    night.eco_is(status=EcoStatus.OPEN)
    assert night.happened().count("NoteAdded") == 2
    assert page.job.said == {Word.ON_MY_WAY, Word.DONE}


def test_only_whoever_has_the_job_can_report_on_it() -> None:
    night = given_night()
    page = night.page(ANA)
    for say in (page.on_the_way, page.done):
        with pytest.raises(InvalidTransition):
            say()
    night.phone(ANA).rings().presses("2")
    night.phone(BEN).rings().presses("1")
    with pytest.raises(InvalidTransition):
        page.done()
    night.strike.callouts.cancel_eco(night.eco_id, "Over.", OPERATOR)
    with pytest.raises(InvalidTransition):
        night.page(BEN).done()
