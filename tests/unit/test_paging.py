"""Paging as it sounds on the phone (specification, section 4)."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from strike_domain import (
    CallReport,
    Contact,
    InvalidTransition,
    NotFound,
    PagerList,
    PagingPolicy,
    PagingState,
    ProviderCallState,
    Rejected,
    Role,
    Route,
    RunState,
    TaskSnapshot,
    TaskState,
    parse_location,
)
from strike_domain.errors import Forbidden
from tests.unit.given import (
    ANA,
    BEN,
    BOULDER,
    CEM,
    DISPATCHER,
    LIST,
    NOC,
    OPERATOR,
    OSP,
    Night,
    stamp,
    tasks,
)


def test_the_first_on_the_list_is_rung_and_accepts_with_a_key() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("1").hears(
        "Thank you, Ana", "two six, zero zero zero one is yours"
    )
    night.phone(BEN).is_silent()
    assert night.eco.responder is not None and night.eco.responder.name == "Ana"
    night.eco_is(paging_state=PagingState.ACCEPTED)
    assert night.run.state is RunState.ACCEPTED
    assert night.outcomes == ["Ana ACCEPTED"]


def test_an_answer_alone_accepts_nothing() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings().answers().is_asked_for_a_key().hears("To accept, press 1")
    assert night.eco.responder is None


def test_a_machine_accepts_nothing_and_the_next_is_rung() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().voicemail().says_nothing().is_asked_for_a_key()
    night.phone(ANA).says_nothing().is_dismissed()
    night.phone(BEN).rings()
    assert night.outcomes == ["Ana VOICEMAIL", "Ben None"]


def test_a_voicemail_that_takes_the_call_and_ends_it_is_voicemail() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().voicemail().hangs_up()
    night.phone(BEN).is_rung()
    assert night.outcomes[0] == "Ana VOICEMAIL"


def test_a_person_taken_for_a_machine_can_still_accept() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings().voicemail().presses("1").hears("is yours")
    assert night.outcomes == ["Ana ACCEPTED"]


def test_key_2_declines_and_the_next_is_rung() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("2").hears("You declined")
    night.phone(BEN).rings().presses("1").hears("is yours")
    assert night.outcomes == ["Ana DECLINED", "Ben ACCEPTED"]


def test_key_9_says_it_again_and_a_wrong_key_says_so() -> None:
    night = Night(ANA).create()
    ana = night.phone(ANA).rings()
    ana.presses("9").hears("This is Osprey Strike").is_asked_for_a_key()
    ana.presses("5").hears("no meaning").is_asked_for_a_key()
    ana.presses("1").hears("is yours")


def test_a_prompt_is_not_repeated_for_ever() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    for _ in range(4):
        ana.presses("9").is_asked_for_a_key()
    ana.presses("9").is_dismissed()
    night.phone(BEN).is_rung()


def test_silence_hears_the_prompt_once_more_and_then_the_next_is_rung() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings().answers()
    ana.says_nothing().is_asked_for_a_key().hears("To accept, press 1")
    ana.says_nothing().is_dismissed().hears("No key was pressed")
    night.phone(BEN).is_rung()
    assert night.outcomes[0] == "Ana TIMED_OUT"


def test_who_does_not_answer_in_time_is_given_up_and_the_next_is_rung() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings()
    night.after(29)
    night.phone(ANA).is_rung()
    night.phone(BEN).is_silent()
    night.after(1)
    night.phone(ANA).is_silent()
    night.phone(BEN).is_rung()
    assert night.outcomes == ["Ana NO_ANSWER", "Ben None"]


@pytest.mark.parametrize(
    ("does", "outcome"),
    [("is_busy", "BUSY"), ("fails", "FAILED"), ("does_not_answer", "NO_ANSWER")],
)
def test_what_the_provider_ends_moves_on_at_once(does: str, outcome: str) -> None:
    night = Night(ANA, BEN).create()
    getattr(night.phone(ANA).rings(), does)()
    night.phone(BEN).is_rung()
    assert night.outcomes[0] == f"Ana {outcome}"


def test_who_hangs_up_without_a_key_has_not_accepted() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().answers().hangs_up()
    night.phone(BEN).is_rung()
    assert night.outcomes[0] == "Ana TIMED_OUT"


def test_everybody_declines_and_the_run_is_exhausted() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("2").hears("The next person will be called")
    night.phone(BEN).rings().presses("2").hears("There is nobody else on the list")
    assert night.run.state is RunState.EXHAUSTED
    night.eco_is(paging_state=PagingState.EXHAUSTED)
    assert night.happened()[-2:] == ["PagerRunExhausted", "PagingExhausted"]


@pytest.mark.parametrize("phone", ["+1303", "+15550100001", "", "0049"])
def test_a_list_without_a_number_that_can_be_called_is_no_list(phone: str) -> None:
    wrong = Contact(name="Wrong", phone=phone)
    night = Night(wrong, wrong).create()
    night.eco_is(paging_state=PagingState.NO_LIST)
    assert night.switchboard.placed() == []
    with pytest.raises(Rejected, match="No number on the list 'nights' can be called"):
        night.dispatch()


def test_one_number_that_can_be_called_is_enough_to_ring_the_list() -> None:
    night = Night(Contact(name="Wrong", phone="+1303"), BEN).create()
    night.eco_is(paging_state=PagingState.RUNNING)


def test_rounds_go_over_the_list_again() -> None:
    night = Night(ANA, BEN, rounds=2).create()
    for contact in (ANA, BEN, ANA):
        night.phone(contact).rings().presses("2")
    night.phone(BEN).rings().presses("1").hears("is yours")
    assert night.outcomes == ["Ana DECLINED", "Ben DECLINED", "Ana DECLINED", "Ben ACCEPTED"]


def test_nobody_ever_answers_and_no_webhook_ever_comes() -> None:
    night = Night(ANA, BEN).create()
    night.after(600)
    assert night.run.state is RunState.EXHAUSTED
    assert night.outcomes == ["Ana NO_ANSWER", "Ben NO_ANSWER"]
    assert night.switchboard.live() == []


def test_a_late_key_while_the_next_is_ringing_wins_and_that_call_is_ended() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.after(30)
    night.phone(BEN).rings()
    ana.presses("1").hears("is yours")
    night.phone(BEN).is_silent()
    assert night.outcomes == ["Ana ACCEPTED", "Ben CANCELLED"]
    assert night.eco.responder is not None and night.eco.responder.name == "Ana"


def test_who_accepts_afterwards_hears_who_has_it() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.after(30)
    night.phone(BEN).rings().presses("1").hears("is yours")
    ana.presses("1").hears("Ben already has this job")
    assert night.eco.responder is not None and night.eco.responder.name == "Ben"
    assert night.happened().count("ResponderAssigned") == 1


def test_who_answers_after_somebody_accepted_hears_it_at_once() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.after(30)
    night.phone(BEN).rings().presses("1")
    ana.answers().hears("Ben already has this job").is_dismissed()
    ana.presses("9").hears("Ben already has this job").is_dismissed()


def test_a_late_key_after_the_run_was_exhausted_wins() -> None:
    night = Night(ANA).create()
    ana = night.phone(ANA).rings()
    night.after(60)
    night.eco_is(paging_state=PagingState.EXHAUSTED)
    ana.presses("1").hears("is yours")
    night.eco_is(paging_state=PagingState.ACCEPTED)
    assert night.run.state is RunState.ACCEPTED


def test_who_declined_may_change_their_mind() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings().presses("2")
    ana.presses("1").hears("is yours")
    night.phone(BEN).is_silent()


def test_a_late_key_in_an_earlier_run_wins_and_the_later_run_is_ended() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.after(120)
    night.dispatch()
    assert len(night.eco.runs) == 2
    again = night.phone(ANA).is_rung()
    ana.presses("1").hears("is yours")
    again.is_silent()
    assert night.run.state is RunState.CANCELLED
    assert night.strike.log.run(night.eco.runs[0]).state is RunState.ACCEPTED
    night.eco_is(paging_state=PagingState.ACCEPTED)
    again.presses("1").hears("Ana already has this job")


def test_a_key_in_an_earlier_run_after_the_later_one_was_accepted_comes_too_late() -> None:
    night = Night(ANA).create()
    first = night.phone(ANA).rings()
    night.after(60)
    night.dispatch()
    night.phone(ANA).rings().presses("1").hears("is yours")
    first.presses("1").hears("Ana already has this job")
    assert night.happened().count("ResponderAssigned") == 1


def test_a_dispatch_by_hand_after_an_acceptance_looks_for_somebody_else() -> None:
    night = Night(ANA, BEN).create()
    night.phone(ANA).rings().presses("1")
    night.dispatch()
    assert night.eco.responder is None
    night.phone(ANA).rings().presses("2")
    night.phone(BEN).rings().presses("1").hears("is yours")
    assert night.eco.responder is not None and night.eco.responder.name == "Ben"
    assert night.eco.responder.run_id == night.run.id


def test_a_late_key_in_a_run_that_was_accepted_hears_who_had_it_while_others_are_rung() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.after(30)
    night.phone(BEN).rings().presses("1").hears("is yours")
    late = ana.call
    night.dispatch()
    speech = night.strike.paging.key_pressed(late.report, "1")
    assert "Ben already has this job" in speech.sentences[0]
    assert night.eco.responder is None


def test_accepting_twice_is_said_twice_and_stored_once() -> None:
    night = Night(ANA).create()
    ana = night.phone(ANA).rings().presses("1")
    before = night.strike.log.position()
    ana.presses("1").hears("is yours")
    ana.presses("2").hears("is yours")
    assert night.strike.log.position() == before


def test_the_greeting_asked_for_again_does_not_tell_the_acceptor_that_somebody_has_it() -> None:
    night = Night(ANA).create()
    night.phone(ANA).rings().presses("1").answers().hears("is yours").is_dismissed()


def test_cancelling_ends_the_live_call_and_rings_nobody_else() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.cancel().after(300)
    ana.is_silent()
    assert night.switchboard.placed() == [ANA.phone]
    assert night.run.state is RunState.CANCELLED
    night.eco_is(paging_state=PagingState.CANCELLED)
    assert night.outcomes == ["Ana CANCELLED"]


def test_a_key_after_the_cancellation_hears_that_it_is_over() -> None:
    night = Night(ANA).create()
    ana = night.phone(ANA).rings().answers()
    night.cancel()
    ana.presses("1").hears("no longer needed").is_dismissed()
    ana.answers().hears("no longer needed").is_dismissed()
    assert night.eco.responder is None


def test_a_key_that_comes_between_the_cancellation_and_the_process_hears_that_it_is_over() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings().answers()
    night.strike.callouts.cancel_eco(night.eco_id, "Signal is back.", OPERATOR)
    ana.presses("1").hears("no longer needed").is_dismissed()
    night.after(300)
    night.phone(BEN).is_silent()
    assert night.switchboard.placed() == [ANA.phone]


def test_silence_on_a_call_that_was_given_up_ends_it_instead_of_talking_to_a_machine_for_ever() -> (
    None
):
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.after(30)
    ana.voicemail().is_asked_for_a_key()
    ana.says_nothing().is_dismissed()


def test_a_key_says_that_somebody_answered_should_that_report_be_missing() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    ana.call.state = ProviderCallState.IN_PROGRESS
    ana.says_nothing().is_asked_for_a_key()
    ana.says_nothing().is_dismissed()
    assert night.outcomes[0] == "Ana TIMED_OUT"
    assert night.calls[0].answered_at is not None


def test_two_contacts_with_one_number_are_two_calls() -> None:
    twin = Contact(name="Ana's brother", phone=ANA.phone)
    night = Night(ANA, twin).create()
    night.phone(ANA).rings().presses("2")
    night.phone(twin).rings().presses("1").hears("Thank you, Ana's brother")
    assert night.outcomes == ["Ana DECLINED", "Ana's brother ACCEPTED"]


# Webhooks: late, doubled, shuffled, never ---------------------------------------------------


def test_a_report_that_comes_twice_is_stored_once() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    before = night.strike.log.position()
    ana.rings().rings()
    assert night.strike.log.position() == before


def test_ringing_reported_after_the_answer_changes_nothing() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).answers()
    before = night.strike.log.position()
    ana.reports(ProviderCallState.RINGING).reports(ProviderCallState.QUEUED)
    assert night.strike.log.position() == before


def test_reports_of_a_call_that_is_over_change_nothing() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings().is_busy()
    before = night.strike.log.position()
    for state in ProviderCallState:
        ana.reports(state)
    assert night.strike.log.position() == before
    night.phone(BEN).is_rung()


def test_the_end_reported_after_the_acceptance_changes_nothing() -> None:
    night = Night(ANA).create()
    ana = night.phone(ANA).rings().presses("1")
    ana.reports(ProviderCallState.COMPLETED)
    assert night.outcomes == ["Ana ACCEPTED"]


def test_our_own_hanging_up_reported_before_we_stored_it_is_still_no_answer() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    night.switchboard.meanwhile["ended"] = lambda: night.strike.paging.reported(ana.call.report)
    night.after(30)
    assert night.outcomes == ["Ana NO_ANSWER", "Ben None"]


def test_a_call_ended_at_the_provider_by_somebody_is_cancelled_and_the_next_is_rung() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    ana.call.state = ProviderCallState.CANCELED
    ana.reports(ProviderCallState.CANCELED)
    assert night.outcomes == ["Ana CANCELLED", "Ben None"]


def test_an_answer_whose_report_was_lost_is_found_by_asking() -> None:
    night = Night(ANA, BEN).create()
    ana = night.phone(ANA).rings()
    ana.call.state = ProviderCallState.IN_PROGRESS
    night.after(30)
    night.phone(ANA).is_rung()
    night.phone(BEN).is_silent()
    ana.presses("1").hears("is yours")


def test_a_report_of_an_unknown_call_or_run_is_not_found_and_stores_nothing() -> None:
    night = Night(ANA).create()
    before = night.strike.log.position()
    for run_id in (night.run.id, uuid4(), night.eco_id):
        report = CallReport(run_id, uuid4(), "CA1", ProviderCallState.RINGING)
        with pytest.raises(NotFound):
            night.strike.paging.reported(report)
        with pytest.raises(NotFound):
            night.strike.paging.answered(report)
        with pytest.raises(NotFound):
            night.strike.paging.key_pressed(report, "1")
    assert night.strike.log.position() == before


def test_a_report_of_a_stray_call_says_nothing_about_the_one_that_counts() -> None:
    night = Night(ANA, BEN).create()
    report = night.phone(ANA).rings().call.report
    stray = CallReport(report.run_id, report.call_id, "stray", ProviderCallState.BUSY)
    before = night.strike.log.position()
    night.strike.paging.reported(stray)
    assert night.strike.log.position() == before
    night.phone(BEN).is_silent()


def test_a_key_pressed_in_a_stray_call_accepts_all_the_same() -> None:
    night = Night(ANA, BEN).create()
    report = night.phone(ANA).rings().call.report
    stray = CallReport(report.run_id, report.call_id, "stray")
    assert "is yours" in night.strike.paging.key_pressed(stray, "1").sentences[0]
    assert night.eco.responder is not None


# Which list is rung, and dispatch by hand ---------------------------------------------------


def test_with_nobody_to_ring_the_eco_is_no_list_at_once() -> None:
    night = Night(ANA)
    night.strike.directory.lists.clear()
    night.create()
    night.eco_is(paging_state=PagingState.NO_LIST)
    assert night.happened() == ["EcoCreated", "PagingUnroutable"]


def test_an_empty_list_is_no_list_at_once() -> None:
    night = Night(ANA)
    night.strike.directory.add(PagerList(id=LIST, osp_id=OSP, name="nights", contacts=()))
    night.create()
    night.eco_is(paging_state=PagingState.NO_LIST)
    assert night.switchboard.asked == []


def test_the_reason_of_the_choice_is_stored_and_can_be_previewed() -> None:
    night = Night(ANA)
    place = parse_location(BOULDER)
    preview = night.strike.paging.who_would_be_rung(OSP, place, OPERATOR)
    assert isinstance(preview, Route) and preview.pager_list.id == LIST
    assert night.strike.log.position() == 0
    night.create()
    assert night.eco.route == ("nights", preview.reason)


def test_only_the_contractor_and_its_nocs_may_ask_who_would_be_rung() -> None:
    night = Night(ANA)
    ask = night.strike.paging.who_would_be_rung
    assert isinstance(ask(OSP, parse_location(BOULDER), DISPATCHER), Route)
    stranger = OPERATOR.model_copy(update={"tenant_id": UUID(int=7)})
    with pytest.raises(NotFound):
        ask(OSP, parse_location(BOULDER), stranger)


def test_a_link_with_manual_paging_rings_nobody_until_told() -> None:
    night = Night(ANA, policy=PagingPolicy.MANUAL).create()
    night.eco_is(paging_state=PagingState.NOT_STARTED)
    assert night.switchboard.asked == []
    night.dispatch()
    night.phone(ANA).rings().presses("1").hears("is yours")


def test_dispatch_is_refused_while_a_run_is_going_on() -> None:
    night = Night(ANA).create()
    before = night.strike.log.position()
    with pytest.raises(InvalidTransition):
        night.dispatch()
    assert night.strike.log.position() == before


def test_dispatch_after_the_end_of_a_run_can_choose_a_list() -> None:
    night = Night(ANA).create().after(90)
    other = PagerList(id=uuid4(), osp_id=OSP, name="managers", contacts=(CEM,))
    night.strike.directory.add(other)
    night.dispatch(other.id)
    assert night.eco.route == ("managers", "chosen by hand")
    night.phone(CEM).rings().presses("1").hears("Gracias, Cem")


def test_dispatch_by_hand_to_nobody_is_rejected_and_stores_nothing() -> None:
    night = Night(ANA).create().after(90)
    stranger = PagerList(id=uuid4(), osp_id=uuid4(), name="of another company", contacts=(BEN,))
    night.strike.directory.add(stranger)
    before = night.strike.log.position()
    with pytest.raises(Rejected, match="NO_LIST"):
        night.dispatch(stranger.id)
    assert night.strike.log.position() == before


def test_the_osp_may_dispatch_too_but_nobody_else() -> None:
    night = Night(ANA).create().after(90)
    night.strike.paging.dispatch(night.eco_id, DISPATCHER)
    stranger = OPERATOR.model_copy(update={"tenant_id": UUID(int=7)})
    viewer = OPERATOR.model_copy(update={"role": Role.VIEWER})
    with pytest.raises(NotFound):
        night.strike.paging.dispatch(night.eco_id, stranger)
    with pytest.raises(Forbidden):
        night.strike.paging.dispatch(night.eco_id, viewer)


def test_edits_of_the_list_do_not_reach_a_run_that_goes_on() -> None:
    night = Night(ANA, BEN).create()
    night.strike.directory.add(PagerList(id=LIST, osp_id=OSP, name="nights", contacts=(ANA, CEM)))
    night.phone(ANA).rings().presses("2")
    night.phone(BEN).is_rung()


def report(night: Night, snapshot: TaskSnapshot) -> None:
    """The field says this, and the process hears of it."""
    night.strike.log.change_eco(
        night.eco_id, lambda eco: eco.record_tasks(snapshot, timedelta(1), stamp(1))
    )
    night.strike.settle()


def test_an_acceptance_counts_after_the_work_was_completed_and_reactivated() -> None:
    """The run was cancelled with the completion, but the ECO needs somebody again."""
    night = Night(ANA).create()
    ana = night.phone(ANA).rings().answers()
    for snapshot in (tasks(TaskState.COMPLETED), tasks(TaskState.COMPLETED, TaskState.ALLOCATED)):
        report(night, snapshot)
    assert night.run.state is RunState.CANCELLED
    ana.presses("1").hears("is yours")
    night.eco_is(paging_state=PagingState.ACCEPTED)


def test_both_sides_of_one_company_may_be_the_same_tenant() -> None:
    assert NOC != OSP
    night = Night(ANA)
    night.strike.directory.links[NOC, NOC] = night.strike.directory.links[NOC, OSP].model_copy(
        update={"osp_id": NOC}
    )
    own = PagerList(id=uuid4(), osp_id=NOC, name="own crew", contacts=(CEM,))
    night.strike.directory.add(own)
    night.create(osp_id=NOC)
    night.phone(CEM).rings().presses("1").hears("Gracias")
