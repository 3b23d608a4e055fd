"""What every telephone owes its users, the fake as well as Twilio."""

import pytest

from strike_domain.errors import OutcomeUnknown, Unavailable
from strike_domain.ports import ProviderCallState
from tests.contracts.stages import NOC, OTHER_NOC, WILLING, TelephoneStage, call_order, text_order


class TestTelephone:
    @pytest.fixture(autouse=True)
    def _stage(self, telephone_stage: TelephoneStage) -> None:
        self.stage = telephone_stage
        self.telephone = telephone_stage.telephone

    def found(self) -> list[str]:
        since = self.stage.now().replace(hour=0)
        return [call.sid for call in self.telephone.find(NOC, WILLING, since)]

    def test_a_placed_call_is_under_way_to_its_number(self) -> None:
        sid = self.telephone.place(call_order())
        call = self.telephone.fetch(NOC, sid)
        assert (call.sid, call.to) == (sid, WILLING)
        assert not call.state.is_final

    def test_every_order_is_a_call_of_its_own(self) -> None:
        order = call_order()
        assert self.telephone.place(order) != self.telephone.place(order)

    def test_a_call_is_found_by_its_number(self) -> None:
        sid = self.telephone.place(call_order())
        self.telephone.place(call_order("+15125550199"))
        assert self.found() == [sid]

    def test_only_calls_since_the_moment_given_are_found(self) -> None:
        self.telephone.place(call_order())
        self.stage.pass_time(60)
        since = self.stage.now()
        late = self.telephone.place(call_order())
        assert [c.sid for c in self.telephone.find(NOC, WILLING, since)] == [late]

    def test_another_nocs_call_is_not_found(self) -> None:
        sid = self.telephone.place(call_order(noc_id=OTHER_NOC))
        assert self.found() == []
        with pytest.raises(Unavailable):
            self.telephone.fetch(NOC, sid)

    def test_an_answered_call_is_in_progress(self) -> None:
        sid = self.telephone.place(call_order())
        self.stage.let_answer(sid)
        assert self.telephone.fetch(NOC, sid).state is ProviderCallState.IN_PROGRESS

    def test_ending_a_call_that_nobody_answered_cancels_it(self) -> None:
        sid = self.telephone.place(call_order())
        self.telephone.end(NOC, sid)
        assert self.telephone.fetch(NOC, sid).state is ProviderCallState.CANCELED

    def test_ending_an_answered_call_completes_it(self) -> None:
        sid = self.telephone.place(call_order())
        self.stage.let_answer(sid)
        self.telephone.end(NOC, sid)
        assert self.telephone.fetch(NOC, sid).state is ProviderCallState.COMPLETED

    def test_ending_a_call_that_is_over_is_no_error(self) -> None:
        sid = self.telephone.place(call_order())
        self.telephone.end(NOC, sid)
        before = self.telephone.fetch(NOC, sid)
        self.telephone.end(NOC, sid)
        assert self.telephone.fetch(NOC, sid) == before

    def test_an_unknown_call_is_an_error_that_no_repeat_helps(self) -> None:
        sid = "CA" + "f" * 32
        with pytest.raises(Unavailable) as fetching:
            self.telephone.fetch(NOC, sid)
        with pytest.raises(Unavailable) as ending:
            self.telephone.end(NOC, sid)
        assert not fetching.value.can_retry and not ending.value.can_retry

    def test_a_refused_order_starts_no_call(self) -> None:
        self.stage.refuse()
        with pytest.raises(Unavailable) as error:
            self.telephone.place(call_order())
        assert not isinstance(error.value, OutcomeUnknown)
        assert not error.value.can_retry
        assert self.found() == []

    @pytest.mark.parametrize("call_started", [True, False])
    def test_after_a_lost_answer_the_list_tells_whether_a_call_was_started(
        self, call_started: bool
    ) -> None:
        self.stage.lose(call_started=call_started)
        with pytest.raises(OutcomeUnknown):
            self.telephone.place(call_order())
        assert len(self.found()) == call_started

    def test_a_fault_is_over_with_the_order_it_hit(self) -> None:
        self.stage.refuse()
        with pytest.raises(Unavailable):
            self.telephone.place(call_order())
        assert self.found() == [] and self.telephone.place(call_order()) in self.found()

    def test_out_of_reach_nothing_is_done_and_a_repeat_may_help(self) -> None:
        sid = self.telephone.place(call_order())
        self.stage.cut_off()
        for ask in (
            lambda: self.telephone.place(call_order()),
            lambda: self.telephone.find(NOC, WILLING, self.stage.now()),
            lambda: self.telephone.fetch(NOC, sid),
            lambda: self.telephone.end(NOC, sid),
        ):
            with pytest.raises(Unavailable) as error:
                ask()
            assert not isinstance(error.value, OutcomeUnknown) and error.value.can_retry


class TestTexts:
    @pytest.fixture(autouse=True)
    def _stage(self, telephone_stage: TelephoneStage) -> None:
        self.stage = telephone_stage

    def test_a_text_is_handed_over_as_it_is_and_rings_nobody(self) -> None:
        order = text_order()
        assert self.stage.texts.send_text(order)
        assert self.stage.texted() == [(order.to, order.body)]
        since = self.stage.now().replace(hour=0)
        assert list(self.stage.telephone.find(NOC, WILLING, since)) == []

    def test_every_order_is_a_text_of_its_own(self) -> None:
        order = text_order()
        assert self.stage.texts.send_text(order) != self.stage.texts.send_text(order)

    def test_a_refused_text_is_certainly_not_sent(self) -> None:
        self.stage.refuse()
        with pytest.raises(Unavailable) as error:
            self.stage.texts.send_text(text_order())
        assert not isinstance(error.value, OutcomeUnknown) and not error.value.can_retry
        assert self.stage.texted() == []

    @pytest.mark.parametrize("was_sent", [True, False])
    def test_a_text_whose_answer_was_lost_may_have_been_sent(self, was_sent: bool) -> None:
        self.stage.lose(call_started=was_sent)
        with pytest.raises(OutcomeUnknown):
            self.stage.texts.send_text(text_order())
        assert len(self.stage.texted()) == was_sent

    def test_out_of_reach_nothing_is_sent_and_a_repeat_may_help(self) -> None:
        self.stage.cut_off()
        with pytest.raises(Unavailable) as error:
            self.stage.texts.send_text(text_order())
        assert not isinstance(error.value, OutcomeUnknown) and error.value.can_retry
