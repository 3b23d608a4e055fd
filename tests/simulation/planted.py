"""Bugs that were made, or nearly made, in systems like this one; each can be put into Strike.

Each is a function that changes Strike by monkeypatching; the simulator must find it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import PersistenceError

from strike_adapters.render.errors import RenderUnavailable
from strike_adapters.render.field_work import RenderFieldWork
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_app import webhooks
from strike_app.simulate.system import _Accounts
from strike_domain import ringer
from strike_domain.contacts import Language
from strike_domain.eco import Eco
from strike_domain.field_tasks import FieldTask, Polled, TaskSnapshot, TaskState
from strike_domain.pager_process import PagerProcess
from strike_domain.pager_run import (
    Call,
    CallAccepted,
    CallOutcome,
    CallRinging,
    PagerRun,
    ReadBack,
    ResolveUnknown,
    RingListAgain,
)
from strike_domain.paging import CallReport, Paging, _voice
from strike_domain.ringer import Done, Ringer
from strike_domain.voice import Speech

Patch = pytest.MonkeyPatch
Bug = Callable[[Patch], None]


def the_signature_is_not_checked(patch: Patch) -> None:
    account = _Accounts().for_noc(UUID(int=0))
    patch.setattr(webhooks, "verify_webhook", lambda *_: account)


def an_answer_accepts(patch: Patch) -> None:
    answered = Paging.answered

    def accepting(self: Paging, report: CallReport) -> Any:
        answered(self, report)
        return self.key_pressed(report, "1")

    patch.setattr(Paging, "answered", accepting)


def a_late_key_is_ignored(patch: Patch) -> None:
    accept = Paging._accept

    def punctual(self: Paging, run: Any, call: Any, stamp: Any) -> Any:
        return accept(self, run, call, stamp) if call.is_live else _voice(run, call).silence()

    patch.setattr(Paging, "_accept", punctual)


def webhooks_are_believed_to_come_in_order(patch: Patch) -> None:
    def ringing(self: PagerRun, call_id: Any, stamp: Any) -> None:
        deadline = stamp.at + timedelta(seconds=self.plan.answer_seconds)
        self.emit(CallRinging, stamp, call_id=call_id, deadline=deadline)

    patch.setattr(PagerRun, "call_ringing", ringing)


def a_call_is_placed_again_after_a_time_out(patch: Patch) -> None:
    def again(self: Ringer, run: PagerRun, call: Any) -> Done:
        return self._again(run, call, "It timed out.")

    patch.setattr(Ringer, "_resolve", again)


def a_call_is_looked_for_only_once(patch: Patch) -> None:
    patch.setattr(Call, "is_missing", True)


def a_call_that_may_be_another_runs_is_taken(patch: Patch) -> None:
    patch.setattr(ringer, "_may_have_left_one", lambda *_: False)


def a_second_call_for_one_turn_is_let_ring(patch: Patch) -> None:
    patch.setattr(PagerRun, "second_due", None)


def a_second_call_is_ended_whatever_the_first_has_come_to(patch: Patch) -> None:
    patch.setattr(Call, "has_rung", True)


def what_the_provider_has_is_not_believed(patch: Patch) -> None:
    patch.setattr(Ringer, "_find", lambda *_: ((), None))


def the_old_call_rings_on_while_the_next_is_placed(patch: Patch) -> None:
    patch.setattr(TwilioTelephone, "end", lambda *_: None)


def whoever_comes_after_a_busy_phone_is_skipped(patch: Patch) -> None:
    property_ = PagerRun.next_contact

    def skipping(self: PagerRun) -> Any:
        contact = property_.fget(self)  # type: ignore[attr-defined]
        last = next(reversed(self.calls.values()), None)
        if contact and last and last.outcome is CallOutcome.BUSY:
            everybody = list(self.plan.contacts) * self.plan.rounds
            rest = everybody[len(self.calls) + 1 :]
            return rest[0] if rest else contact
        return contact

    patch.setattr(PagerRun, "next_contact", property(skipping))


def two_people_can_accept(patch: Patch) -> None:
    def accept(self: PagerRun, call_id: Any, stamp: Any) -> bool:
        contact = self.call(call_id).contact
        self.emit(CallAccepted, stamp, call_id=call_id, contact=contact, late=False)
        return False

    patch.setattr(PagerRun, "accept", accept)
    patch.setattr(Eco, "needs_responder", property(lambda self: True))
    original = Paging._accept

    def careless(self: Paging, run: Any, call: Any, stamp: Any) -> Any:
        taken, run.accepted_by = run.accepted_by, None
        try:
            return original(self, run, call, stamp)
        finally:
            run.accepted_by = run.accepted_by or taken

    patch.setattr(Paging, "_accept", careless)


def only_webhooks_end_a_call(patch: Patch) -> None:
    _without_step(patch, ReadBack)


def what_was_being_placed_when_a_worker_died_is_forgotten(patch: Patch) -> None:
    _without_step(patch, ResolveUnknown)


def _without_step(patch: Patch, kind: type) -> None:
    due_step = PagerRun.due_step

    def without(self: PagerRun, now: Any) -> Any:
        step = due_step(self, now)
        return None if isinstance(step, kind) else step

    patch.setattr(PagerRun, "due_step", without)


def a_poll_that_fails_means_that_all_is_done(patch: Patch) -> None:
    poll = RenderFieldWork.poll

    def hopeful(self: RenderFieldWork, osp_id: Any, subsector_id: str, etag: Any) -> Polled:
        try:
            return poll(self, osp_id, subsector_id, etag)
        except RenderUnavailable:
            task = FieldTask(id="tk", name="Everything", state=TaskState.COMPLETED)
            return Polled(snapshot=TaskSnapshot.of((task,)), etag=None, at=self._clock.now())

    patch.setattr(RenderFieldWork, "poll", hopeful)


def somebody_is_thanked_before_it_is_stored(patch: Patch) -> None:
    key_pressed = Paging.key_pressed

    def polite(self: Paging, report: CallReport, key: str) -> Any:
        try:
            return key_pressed(self, report, key)
        except PersistenceError:
            words = "Job number 1 is yours." if key == "1" else "Goodbye."
            return Speech((words,), Language.ENGLISH)

    patch.setattr(Paging, "key_pressed", polite)
    # Where the account is known without the database, an outage is first met by the key itself.
    patch.setattr(Paging, "noc_of", lambda self, run_id: UUID(int=0))


def an_offer_is_told_and_not_stored(patch: Patch) -> None:
    patch.setattr(Eco, "record_offer", lambda *_: None)


def an_exhausted_list_is_never_rung_again(patch: Patch) -> None:
    _without_step(patch, RingListAgain)


def a_cancelled_callout_goes_on_ringing(patch: Patch) -> None:
    patch.setattr(PagerProcess, "_cancel_run", lambda *_, **__: None)
    patch.setattr(Ringer, "_is_wanted", lambda *_: True)


BUGS: tuple[Bug, ...] = (
    the_signature_is_not_checked,
    an_answer_accepts,
    a_late_key_is_ignored,
    webhooks_are_believed_to_come_in_order,
    a_call_is_placed_again_after_a_time_out,
    a_call_is_looked_for_only_once,
    a_call_that_may_be_another_runs_is_taken,
    a_second_call_for_one_turn_is_let_ring,
    a_second_call_is_ended_whatever_the_first_has_come_to,
    what_the_provider_has_is_not_believed,
    the_old_call_rings_on_while_the_next_is_placed,
    whoever_comes_after_a_busy_phone_is_skipped,
    two_people_can_accept,
    only_webhooks_end_a_call,
    what_was_being_placed_when_a_worker_died_is_forgotten,
    a_poll_that_fails_means_that_all_is_done,
    somebody_is_thanked_before_it_is_stored,
    an_offer_is_told_and_not_stored,
    an_exhausted_list_is_never_rung_again,
    a_cancelled_callout_goes_on_ringing,
)
