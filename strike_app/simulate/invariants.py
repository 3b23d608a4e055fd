"""What must hold after every story, whatever went wrong in it.

Each function looks at one thing and yields sentences about what is wrong. What really happened is
taken from the outside (the mock's calls, keys, requests), what Strike believes from its log.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from strike_app.simulate.loop import EPOCH
from strike_app.simulate.story import NOC, OPERATOR, OSP, Told
from strike_app.simulate.wire import Asked
from strike_domain.actors import Actor, Role, Side
from strike_domain.callouts import visible
from strike_domain.eco import (
    ArrivalOffered,
    Eco,
    EcoClosed,
    EcoCompleted,
    EcoCreated,
    EcoStatus,
    PagerDispatched,
    PagingState,
    ResponderAssigned,
)
from strike_domain.errors import NotFound, OutcomeUnknown
from strike_domain.eventsourced import project
from strike_domain.pager_run import (
    LOOK_AGAIN_AFTER,
    RESOLVE_AFTER,
    CallAccepted,
    CallPlaced,
    CallRequested,
    CallRetried,
    CallState,
    ListRungAgain,
    PagerRun,
    PagerRunExhausted,
    PagerRunStarted,
    RingingAgainDropped,
    RunState,
    SecondCallEnded,
    SecondCallFound,
)
from strike_domain.ringer import ARRIVES_WITHIN, CLOCK_SKEW
from strike_domain.timeline import Teller
from strike_mock.calls import Call, CallStatus
from strike_mock.scenarios import Phone
from strike_mock.tasks import Change

Wrongs = Iterator[str]
Check = Callable[["Case"], Wrongs]

LOOK_AGAIN = LOOK_AGAIN_AFTER.total_seconds() - 0.2
"""Seconds between two such looks; each takes its time on the way."""

GOODBYE = timedelta(seconds=15)
"""While somebody is still being told goodbye, the next phone may ring."""

POLL = timedelta(seconds=30)
"""The longest that a poll takes, from Render's answer to what is stored of it."""

RESTARTS_WITHIN = timedelta(seconds=20)
"""The longest that a process that died is missed, and what it had claimed with it."""

STOPS_WITHIN = 3.0
"""Seconds in which a phone stops that began to ring while we were told so."""

SURE_SECONDS = 20.0
"""Whoever answers and presses 1 within this can be reached."""


class Case:
    """A story that has been told, with what the checks look up."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.system = told.system
        self.events = list(told.events())
        self.calls: list[Call] = self.system.mock.exchange.book.all()
        self.of_call: dict[UUID, list[Call]] = defaultdict(list)
        for call in self.calls:
            self.of_call[_ids(call)[1]].append(call)
        self.eco_of_run: dict[UUID, UUID] = {
            event.originator_id: event.eco_id
            for _, event in self.events
            if isinstance(event, PagerRunStarted)
        }
        self.ecos = [e for e in self._all(EcoCreated)]
        self.runs = [self.system.log.run(run_id) for run_id in self.eco_of_run]
        self.calls_of_log = {one.id: one for run in self.runs for one in run.calls.values()}

    def _all(self, kind: type[EcoCreated]) -> list[Eco]:
        found = [event for _, event in self.events if isinstance(event, kind)]
        return [self.system.log.eco(event.originator_id) for event in found]

    def eco_at(self, eco_id: UUID, at: datetime) -> Eco | None:
        """The ECO as it was then."""
        eco: Any = None
        for _, event in self.events:
            if event.originator_id == eco_id and event.timestamp <= at:
                eco = event.mutate(eco)
        return eco  # type: ignore[no-any-return]

    def calls_of(self, run: PagerRun, phone: str) -> list[Call]:
        """What was placed to that number in that run."""
        return [c for c in self.calls if c.request.to == phone and _ids(c)[0] == run.id]


def _ids(call: Call) -> tuple[UUID, UUID]:
    return _ids_in(str(call.request.url))


def _ids_in(url: str) -> tuple[UUID, UUID]:
    run, one = urlsplit(url).path.split("/")[-2:]
    return UUID(run), UUID(one)


def nothing_broke(case: Case) -> Wrongs:
    """No part of Strike, and no request to it, ended in an error that nobody foresaw."""
    yield from case.told.wrongs
    is_store_bad = _is_store_bad(case)
    errors = [*case.system.outside.errors, *case.system.application.errors]
    for error in errors:
        if not (is_store_bad and isinstance(error, OutcomeUnknown)):
            yield f"a request broke: {type(error).__name__}: {error}"


def only_a_key_accepts(case: Case) -> Wrongs:
    """Behind every acceptance there is a 1 that somebody pressed in that very call."""
    for _, event in case.events:
        if isinstance(event, CallAccepted):
            keys = [key for call in case.of_call[event.call_id] for key in call.keys]
            if not any(k.key == "1" and k.heeded and k.at <= event.timestamp for k in keys):
                yield f"{event.contact.name} accepted without having pressed 1"


def no_key_is_lost(case: Case) -> Wrongs:
    """Once Strike has answered a 1, somebody has the job, or nobody was needed any more."""
    for one in case.system.courier.told:
        if one.key != "1" or one.status != 200 or one.letter.sealed or "<Redirect" in one.body:
            continue
        run_id = UUID(urlsplit(one.path).path.split("/")[-2])
        at = EPOCH + timedelta(seconds=one.answered_at or one.at, milliseconds=1)
        eco = case.eco_at(case.eco_of_run[run_id], at)
        if eco is not None and eco.needs_responder:
            yield f"a 1 was pressed for {eco.job_number}, and nobody has it"


def no_offer_is_lost(case: Case) -> Wrongs:
    """Once Strike has answered a 4 with thanks, the offer stands in the ECO."""
    offered = {e.offer.call_id for _, e in case.events if isinstance(e, ArrivalOffered)}
    for one in case.system.courier.told:
        if one.key == "4" and one.status == 200 and "Do not set off" in one.body:
            call_id = UUID(urlsplit(one.path).path.split("/")[-1])
            if call_id not in offered and not one.letter.sealed:
                yield f"an offer made in call {call_id} is lost"


def lists_are_rung_again_as_they_ask(case: Case) -> Wrongs:
    """After its pause, and not before, an exhausted list is rung again, or there is no need."""
    ended = {e.originator_id: e for _, e in case.events if isinstance(e, PagerRunExhausted)}
    settled = {
        e.originator_id: e
        for _, e in case.events
        if isinstance(e, ListRungAgain | RingingAgainDropped)
    }
    for run in case.runs:
        again = run.plan.ring_again
        if run.state is not RunState.EXHAUSTED or again is None or again.times == 0:
            continue
        after = settled.get(run.id)
        if after is None:
            yield f"the list of run {run.id} was not rung again"
        elif after.timestamp < ended[run.id].timestamp + timedelta(minutes=again.after_minutes):
            yield f"the list of run {run.id} was rung again too early"


def what_was_said_is_true(case: Case) -> Wrongs:
    """Whoever was told that the job is theirs is one who accepted."""
    accepted = {e.call_id for _, e in case.events if isinstance(e, CallAccepted)}
    for call in case.calls:
        told = any("is yours" in text or "es suyo" in text for text in call.heard)
        if told and _ids(call)[1] not in accepted:
            yield f"{call.request.to} was told that the job is theirs, but did not get it"


def one_accepts(case: Case) -> Wrongs:
    """At most one acceptance for each time that the ECO was dispatched."""
    taken: set[UUID] = set()
    for _, event in case.events:
        if isinstance(event, PagerDispatched):
            taken.discard(event.originator_id)
        if isinstance(event, ResponderAssigned):
            if event.originator_id in taken:
                yield f"two people have accepted: the second is {event.responder.name}"
            taken.add(event.originator_id)


def nobody_is_rung_in_vain(case: Case) -> Wrongs:
    """Nobody is rung for an ECO that somebody has, or that is over."""
    ecos: dict[UUID, Any] = {}
    since: dict[UUID, datetime] = {}
    for _, event in case.events:
        if isinstance(event, CallRequested | CallRetried):
            eco_id = case.eco_of_run[event.originator_id]
            eco = ecos[eco_id]
            if not _is_wanted(eco) and event.timestamp > since[eco_id]:
                yield f"somebody was rung for {eco.job_number} although that was not needed"
        elif event.originator_id not in case.eco_of_run:
            eco = ecos.get(event.originator_id)
            was_wanted = eco is not None and _is_wanted(eco)
            # The object itself changes.
            ecos[event.originator_id] = eco = event.mutate(eco)
            if was_wanted != _is_wanted(eco):
                since[event.originator_id] = event.timestamp


def _is_wanted(eco: Eco) -> bool:
    return eco.responder is None and eco.is_active


def one_call_at_a_time(case: Case) -> Wrongs:
    """A run never has two live calls, as Strike knows them; nor has the provider in peace."""
    runs: dict[UUID, Any] = {}
    for _, event in case.events:
        if event.originator_id in case.eco_of_run:
            run = runs[event.originator_id] = event.mutate(runs.get(event.originator_id))
            if sum(call.is_live for call in run.calls.values()) > 1:
                yield f"run {run.id} has two live calls"
    if _is_peaceful(case):
        for run in case.runs:
            placed = [call for call in case.calls if _ids(call)[0] == run.id]
            for earlier, later in pairwise(placed):
                ended = earlier.times.get("ended", later.created + 2 * GOODBYE)
                is_answered = "in-progress" in earlier.times
                if ended > later.created + (GOODBYE if is_answered else timedelta(0)):
                    yield f"{later.request.to} rang while {earlier.request.to} still did"


def a_turn_rings_once(case: Case) -> Wrongs:
    """Of two calls that the provider has for one turn, one rings, where its word and ours get
    through."""
    if _is_store_bad(case):
        return
    deaths = [at for one in case.system.processes for at in one.died_at]
    spoilt = {hit.about for hit in case.system.mock.faults.hits}
    asked = [one for one in case.system.network.asked if one.status not in (200, 201, 204)]
    for calls in case.of_call.values():
        rang = [call for call in calls if _seconds_of_ringing(call) > STOPS_WITHIN]
        is_spoilt = any(call.sid in spoilt for call in calls)
        is_refused = any(call.sid in one.path for call in calls for one in asked)
        since = min(call.created for call in calls) - RESTARTS_WITHIN
        is_deserted = any(since < at < call.updated for at in deaths for call in calls)
        if len(rang) > 1 and not (is_spoilt or is_refused or is_deserted):
            sids = ", ".join(call.sid[:6] for call in rang)
            yield f"{rang[0].request.to} rang {len(rang)} times in one turn: {sids}"


def a_second_call_is_ended_for_a_reason(case: Case) -> Wrongs:
    """Nobody loses a call before the other one of that turn has rung, unless the run is settled."""
    runs: dict[UUID, PagerRun] = {}
    for _, event in case.events:
        if event.originator_id not in case.eco_of_run:
            continue
        run = runs[event.originator_id] = event.mutate(runs.get(event.originator_id))
        if isinstance(event, SecondCallEnded) and event.reason is None:
            others = [one for one in case.of_call[event.call_id] if one.sid != event.sid]
            rang = [one.times["ringing"] for one in others if "ringing" in one.times]
            if not run.is_settled and min(rang, default=event.timestamp) >= event.timestamp:
                yield f"{event.sid} was ended, and nothing had rung in that turn"


def _seconds_of_ringing(call: Call) -> float:
    began = call.times.get("ringing")
    ended = call.times.get("in-progress", call.times.get("ended"))
    return (ended - began).total_seconds() if began and ended else 0.0


def _is_store_bad(case: Case) -> bool:
    return bool(case.told.luck.outages or case.told.luck.slips)


def each_call_belongs_to_its_run(case: Case) -> Wrongs:
    """What the log says the provider has for a call was placed for that call."""
    placed = {call.sid: _ids(call) for call in case.calls}
    for _, event in case.events:
        if isinstance(event, CallPlaced | SecondCallFound):
            believed = event.originator_id, event.call_id
            if placed[event.sid] != believed:
                yield f"{event.sid} was placed for {placed[event.sid]}, not for {believed}"


def _is_peaceful(case: Case) -> bool:
    """Whether neither Twilio nor a worker gave Strike a reason to lose track of a call."""
    edges = {hit.edge for hit in case.system.mock.faults.hits}
    has_trouble = any(edge.startswith("twilio.") for edge in edges)
    deaths = any(worker.died_at for worker in case.system.workers)
    return not (has_trouble or deaths or _is_store_bad(case))


def looked_up_before_placed_again(case: Case) -> Wrongs:
    """A call is placed again only after a sure refusal, or after the provider was asked twice, some
    time apart, and had none that could be it."""
    asked: dict[str, list[Asked]] = defaultdict(list)
    for one in case.system.network.asked:
        if one.method == "POST" and one.path.endswith("/Calls.json"):
            asked[one.form["Url"]].append(one)
        elif one.method == "GET" and "/Calls.json" in one.path and one.status == 200:
            number = parse_qs(urlsplit(one.path).query).get("To", [""])[0]
            for requests in asked.values():
                if requests[0].form["To"] == number:
                    requests.append(one)
    for requests in asked.values():
        placed = [index for index, one in enumerate(requests) if one.method == "POST"]
        for earlier, later in pairwise(placed):
            to, looks = requests[later].form["To"], requests[earlier + 1 : later]
            status = requests[earlier].status
            is_sure = status is not None and 400 <= status < 500
            if not is_sure and (len(looks) < 2 or looks[-1].at - looks[0].at < LOOK_AGAIN):
                yield f"{to} was rung again without looking twice what became of it"
            if looks and _is_shown(case, requests[earlier], looks[-1]):
                yield f"{to} was rung again although the provider had the call"


def _is_shown(case: Case, order: Asked, look: Asked) -> bool:
    """Whether the provider had that call when it was looked for, and nobody else's like it.

    One that Strike cancelled was given up before.
    """
    _, call = _ids_in(order.form["Url"])
    at = EPOCH + timedelta(seconds=look.at)
    if _may_be_another_s(case, call, at):
        return False
    return any(
        one.created < at and one.status is not CallStatus.CANCELED for one in case.of_call[call]
    )


def _may_be_another_s(case: Case, call: UUID, at: datetime) -> bool:
    """Whether another turn had rung that number not long before, and the log did not say by `at`
    what the provider had for each attempt.

    An answer to be stored just then may have come too late.
    """
    tries: dict[UUID, list[datetime]] = defaultdict(list)
    ids: dict[UUID, set[str]] = defaultdict(set)
    mine, others, told_by = case.calls_of_log[call], set[UUID](), at - RESOLVE_AFTER
    for _, event in case.events:
        if isinstance(event, CallRequested | CallRetried) and event.timestamp <= at:
            tries[event.call_id].append(event.timestamp)
            if event.call_id != call:
                others.add(event.call_id)
        elif isinstance(event, CallPlaced | SecondCallFound) and event.timestamp < told_by:
            ids[event.call_id].add(event.sid)
    since = mine.requested_at - 2 * CLOCK_SKEW - ARRIVES_WITHIN
    return any(
        case.calls_of_log[one].contact.phone == mine.contact.phone
        and tries[one][-1] >= since
        and len(tries[one]) > len(ids[one])
        for one in others
    )


def everything_ended(case: Case) -> Wrongs:
    """Every run has come to an end, and no phone rings any more."""
    for run in case.runs:
        if run.state is RunState.RUNNING:
            yield f"run {run.id} is still running"
        if any(call.state is not CallState.ENDED for call in run.calls.values()):
            yield f"run {run.id} has a call that never ended"
    for call in case.calls:
        if not call.status.is_final:
            yield f"the phone {call.request.to} is still {call.status}"
    for eco in case.ecos:
        if eco.paging_state in (PagingState.RUNNING, PagingState.NOT_STARTED) and eco.is_active:
            yield f"the paging of {eco.job_number} is {eco.paging_state}"


def nobody_is_left_out(case: Case) -> Wrongs:
    """A list is rung in its order; EXHAUSTED means that everybody was rung in every round."""
    for run in case.runs:
        names = [call.contact.phone for call in run.calls.values()]
        planned = [one.phone for one in run.plan.contacts] * run.plan.rounds
        if names != planned[: len(names)]:
            yield f"run {run.id} did not keep to the order of its list"
        if run.state is RunState.EXHAUSTED and len(names) != len(planned):
            yield f"run {run.id} is exhausted after {len(names)} of {len(planned)} calls"


def whoever_is_willing_gets_it(case: Case) -> Wrongs:
    """If somebody would surely have accepted, and nothing hindered them, somebody has accepted."""
    for run in case.runs:
        if run.state is not RunState.EXHAUSTED:
            continue
        for contact in run.plan.contacts:
            phone = case.told.scenario.phone(contact.phone)
            if _is_willing(phone) and not _is_hindered(case, run, contact.phone):
                yield f"{contact.name} would have accepted; the list is exhausted all the same"


def _is_willing(phone: Phone) -> bool:
    answers = phone.answers_after is not None and phone.answers_after <= SURE_SECONDS
    first = phone.presses[0] if phone.presses else None
    presses = first is not None and first.key == "1" and first.after <= 8
    stays = phone.hangs_up_after is None and first is not None and first.since == "prompt"
    return answers and presses and stays


def _is_hindered(case: Case, run: PagerRun, phone: str) -> bool:
    """Whether the way to that person was disturbed, in the last round at the latest."""
    placed = case.calls_of(run, phone)
    sids = {call.sid for call in placed}
    hits = case.system.mock.faults.hits
    if any(hit.edge == "webhook.twiml" and hit.about in sids for hit in hits):
        return True
    told = [one for one in case.system.courier.told if one.letter.call_sid in sids]
    if any(one.letter.kind == "twiml" and one.status != 200 for one in told):
        return True
    asked = [one for one in case.system.network.asked if one.form.get("To") == phone]
    refused = any(one.status != 201 for one in asked)
    ended_early = any(_was_ended_early(call, case.told.scenario.phone(phone)) for call in placed)
    return refused or not placed or (ended_early and not _is_peaceful(case))


def _was_ended_early(call: Call, phone: Phone) -> bool:
    return call.times.get("in-progress") is None


def crews_word_counts(case: Case) -> Wrongs:
    """An ECO is COMPLETED by finished tasks only, and CLOSED with nothing left to do."""
    for _, event in case.events:
        if isinstance(event, EcoCompleted) and not event.by_hand:
            yield from _completed_too_early(case, event)
        if isinstance(event, EcoClosed):
            yield from _closed_too_early(case, event)


def _completed_too_early(case: Case, event: EcoCompleted) -> Wrongs:
    """At some moment just before, all tasks must have been done."""
    eco = case.system.log.eco(event.originator_id)
    states: dict[str, str] = {}
    was_done = False
    for change in _history(case, str(eco.subsector_id)):
        if change.at > event.timestamp:
            break
        if change.at > event.timestamp - POLL:
            was_done |= _are_done(states)
        states[change.task_id] = change.state
        if change.state == "removed":
            del states[change.task_id]
    if not was_done and not _are_done(states):
        yield f"{eco.job_number} was completed, but its tasks are {sorted(states.values())}"


def _history(case: Case, subsector_id: str) -> list[Change]:
    projects = case.system.mock.render.projects.values()
    return [one for p in projects for one in p.history if one.subsector_id == subsector_id]


def _are_done(states: Mapping[str, str]) -> bool:
    return bool(states) and all(state == "completed" for state in states.values())


def _closed_too_early(case: Case, event: EcoClosed) -> Wrongs:
    eco = case.system.log.eco(event.originator_id)
    for project_ in case.system.mock.render.projects.values():
        found = project_.subsector(str(eco.subsector_id))
        for task in found.tasks if found else ():
            is_old = task.updated_at < event.timestamp - timedelta(seconds=15)
            if is_old and task.state != "completed":
                yield f"{eco.job_number} is closed although {task.name!r} is {task.state}"


def finished_work_is_noticed(case: Case) -> Wrongs:
    """When all tasks are done for longer than the grace period, the ECO is CLOSED."""
    hits = case.system.mock.faults.hits
    if any(hit.edge.startswith("render.") for hit in hits):
        return
    end, stakes = case.system.clock.now(), case.told.scenario.stakes
    due = timedelta(seconds=stakes.grace_seconds + 3 * stakes.polling_seconds + 60)
    for eco in case.ecos:
        for project_ in case.system.mock.render.projects.values():
            found = project_.subsector(str(eco.subsector_id))
            tasks = found.tasks if found else []
            is_done = bool(tasks) and all(task.state == "completed" for task in tasks)
            is_old = is_done and max(task.updated_at for task in tasks) + due < end
            if is_old and eco.status not in (EcoStatus.CLOSED, EcoStatus.CANCELLED):
                yield f"the work for {eco.job_number} is done, but it is {eco.status}"


def the_log_tells_it_all(case: Case) -> Wrongs:
    """Every state is what the log replays to, for each part that keeps one."""
    for originator_id, folded in case.system.folded.items():
        fresh: Any = project(None, case.system.log.events.get(originator_id))
        if fresh != folded:
            yield f"the log of {originator_id} replays to another state"


def both_sides_see_the_same(case: Case) -> Wrongs:
    """NOC and OSP are told the same lines, strangers nothing."""
    teller = Teller()
    after: dict[UUID, Any] = {}
    for _, event in case.events:
        now = after[event.originator_id] = event.mutate(after.get(event.originator_id))
        if not teller.line(event, now):
            yield f"nobody can tell {type(event).__name__}"
    noc, osp = OPERATOR, Actor(name="d", tenant_id=OSP, side=Side.OSP, role=Role.VIEWER)
    stranger = Actor(name="s", tenant_id=UUID(int=9), side=Side.NOC, role=Role.ADMIN)
    for eco in case.ecos:
        if visible(eco, noc) != visible(eco, osp) or eco.noc_id != NOC:
            yield f"the two sides see {eco.job_number} differently"
        try:
            visible(eco, stranger)
            yield f"a stranger sees {eco.job_number}"
        except NotFound:
            continue


def forgeries_are_refused(case: Case) -> Wrongs:
    """What is not signed by Twilio, or was changed after that, is answered 403."""
    for status in case.told.forged:
        if status != 403:
            yield f"a forged key press was answered {status}"
    for one in case.system.courier.told:
        if one.letter.sealed and one.status not in (403, None):
            yield f"a spoilt webhook was answered {one.status}"


def callouts_are_made_once(case: Case) -> Wrongs:
    """However often a command is repeated, its reference makes one ECO."""
    references = Counter(
        event.client_reference for _, event in case.events if isinstance(event, EcoCreated)
    )
    for reference, times in references.items():
        if times > 1:
            yield f"{reference} was created {times} times"
    if len(references) != len(case.told.luck.callouts):
        yield f"{len(references)} callouts of {len(case.told.luck.callouts)} were created"


def paging_starts_at_once(case: Case) -> Wrongs:
    """In peace the first phone is rung within ten seconds of the callout."""
    if case.told.luck.kills or not _is_peaceful(case):
        return
    for eco in case.ecos:
        created = next(e.timestamp for _, e in case.events if e.originator_id == eco.id)
        runs = [run for run in case.runs if run.eco_id == eco.id]
        first = min(
            (c.created for c in case.calls if runs and _ids(c)[0] == runs[0].id), default=None
        )
        if runs and first is None and eco.status is not EcoStatus.CANCELLED:
            yield f"nobody was rung for {eco.job_number}"
        if first is not None and first - created > timedelta(seconds=10):
            yield f"the first phone for {eco.job_number} rang after {first - created}"


def texts_are_sent_once(case: Case) -> Wrongs:
    """The provider gets each call's text at most once, and only for whom asked for one."""
    texted = {phone for run in case.runs for phone in run.plan.texted}
    taken = Counter(one.request.status_callback for one in case.system.mock.post.all())
    yield from (f"{number} texts told to {where}" for where, number in taken.items() if number > 1)
    for one in case.system.mock.post.all():
        if one.request.to not in texted:
            yield f"{one.request.to} got a text and had asked for none"
    if _is_peaceful(case):
        rung = {call.request.to for call in case.calls if "ringing" in call.times} & texted
        for phone in rung - {one.request.to for one in case.system.mock.post.all()}:
            yield f"{phone} was rung and got no text"


CHECKS: tuple[Check, ...] = (
    nothing_broke,
    only_a_key_accepts,
    no_key_is_lost,
    no_offer_is_lost,
    lists_are_rung_again_as_they_ask,
    what_was_said_is_true,
    one_accepts,
    nobody_is_rung_in_vain,
    one_call_at_a_time,
    a_turn_rings_once,
    a_second_call_is_ended_for_a_reason,
    each_call_belongs_to_its_run,
    looked_up_before_placed_again,
    everything_ended,
    nobody_is_left_out,
    whoever_is_willing_gets_it,
    crews_word_counts,
    finished_work_is_noticed,
    the_log_tells_it_all,
    both_sides_see_the_same,
    forgeries_are_refused,
    callouts_are_made_once,
    paging_starts_at_once,
    texts_are_sent_once,
)


def broken(told: Told) -> dict[str, list[str]]:
    """What does not hold: the names of the checks, and their sentences."""
    case = Case(told)
    found = {check.__name__: list(check(case)) for check in CHECKS}
    return {name: wrongs for name, wrongs in found.items() if wrongs}
