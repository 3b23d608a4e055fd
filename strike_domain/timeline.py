"""The audit trail in words: one line per event, for people (specification, section 8)."""

from __future__ import annotations

from strike_domain import eco, pager_run
from strike_domain.actors import LINK
from strike_domain.eco import Eco
from strike_domain.eventsourced import singledispatchmethod
from strike_domain.pager_run import PagerRun

MOST_CHANGES = 5
"""Field tasks whose change one line tells; of more it says how many."""


class Teller:
    """Tells an event in one line, given the aggregate as it was right after the event."""

    @singledispatchmethod
    def line(self, event: object, after: Eco | PagerRun) -> str:
        raise NotImplementedError(f"Nobody has said how to tell {type(event).__name__}.")

    @line.register
    def _(self, event: eco.EcoCreated, after: Eco) -> str:
        return f"{event.job_type} {event.job_number} created: {event.description}"

    @line.register
    def _(self, event: eco.EcoAmended, after: Eco) -> str:
        changed = [
            name
            for name in ("description", "location", "priority")
            if getattr(event, name) is not None
        ]
        return f"Amended: {', '.join(changed)}"

    @line.register
    def _(self, event: eco.NoteAdded, after: Eco) -> str:
        return f"Note: {event.text}"

    @line.register
    def _(self, event: eco.RenderTasked, after: Eco) -> str:
        return "Investigation task created for the field crew"

    @line.register
    def _(self, event: eco.RenderTaskingFailed, after: Eco) -> str:
        return f"Field task could not be created after {event.attempts} attempts: {event.reason}"

    @line.register
    def _(self, event: eco.RenderTaskingRequested, after: Eco) -> str:
        return "Field tasks are wanted: they are made now"

    @line.register
    def _(self, event: eco.PagerDispatched, after: Eco) -> str:
        return f"Ringing the list {event.list_name!r}: {event.reason}"

    @line.register
    def _(self, event: eco.ResponderAssigned, after: Eco) -> str:
        late = " (after the call had been given up)" if event.late else ""
        return f"{event.responder.name} has accepted{late}"

    @line.register
    def _(self, event: eco.ArrivalOffered, after: Eco) -> str:
        offer = event.offer
        return f"{offer.name} could come, but in more than {in_time(offer.minutes)}"

    @line.register
    def _(self, event: eco.PagingExhausted, after: Eco) -> str:
        return f"Nobody accepted: the list is exhausted after {event.calls} calls"

    @line.register
    def _(self, event: eco.PagingUnroutable, after: Eco) -> str:
        return f"Nobody can be rung: {event.reason}"

    @line.register
    def _(self, event: eco.WorkStarted, after: Eco) -> str:
        return "Work has started"

    @line.register
    def _(self, event: eco.FieldTasksChanged, after: Eco) -> str:
        if after.tasks_before is None:
            return f"Field tasks: {event.summary}"
        changes = event.snapshot.changes_since(after.tasks_before)
        more = len(changes) - MOST_CHANGES
        told = [*changes[:MOST_CHANGES], *([f"{more} more changes"] if more > 0 else [])]
        return f"Field tasks: {'; '.join(told)}. Now {event.summary}"

    @line.register
    def _(self, event: eco.FieldTasksUnreadable, after: Eco) -> str:
        problem = event.problem
        return (
            f"How the field tasks stand is not known since {problem.since:%d %b %H:%M} UTC: "
            f"{problem.reason}"
        )

    @line.register
    def _(self, event: eco.FieldTasksReadable, after: Eco) -> str:
        return "The field tasks can be read again"

    @line.register
    def _(self, event: eco.EcoCompleted, after: Eco) -> str:
        how = "by hand" if event.by_hand else "all field tasks are done"
        return f"Completed: {how}"

    @line.register
    def _(self, event: eco.EcoReactivated, after: Eco) -> str:
        if after.is_by_hand:
            return "Active again: the work is not done after all"
        if not (after.tasks and after.tasks.tasks):
            return "Active again: its field tasks are gone"
        return "Active again: a field task was added or reopened"

    @line.register
    def _(self, event: eco.EcoClosed, after: Eco) -> str:
        return "Closed: the grace period is over"

    @line.register
    def _(self, event: eco.EcoCancelled, after: Eco) -> str:
        return f"Cancelled: {event.reason}"

    @line.register
    def _(self, event: eco.EcoWentStale, after: Eco) -> str:
        return f"Stale: nothing heard from the field since {event.unchanged_since:%d %b %H:%M} UTC"

    @line.register
    def _(self, event: pager_run.PagerRunStarted, after: PagerRun) -> str:
        names = ", ".join(one.name for one in event.plan.contacts)
        return f"Pager run started: {names}"

    @line.register
    def _(self, event: pager_run.CallRequested, after: PagerRun) -> str:
        return f"Calling {event.contact.name} ({event.contact.masked_phone})"

    @line.register
    def _(self, event: pager_run.CallRetried, after: PagerRun) -> str:
        return f"Calling {_who(event, after)} again, attempt {event.attempt}: {event.reason}"

    @line.register
    def _(self, event: pager_run.CallRefused, after: PagerRun) -> str:
        return f"The call to {_who(event, after)} was refused: {event.reason}"

    @line.register
    def _(self, event: pager_run.PlacementGivenUp, after: PagerRun) -> str:
        return f"The call to {_who(event, after)} is left to another worker: nothing was sent yet"

    @line.register
    def _(self, event: pager_run.CallNotFound, after: PagerRun) -> str:
        who = _who(event, after)
        return f"The provider has no call to {who} yet that is surely this: it is asked once more"

    @line.register
    def _(self, event: pager_run.CallPlaced, after: PagerRun) -> str:
        return f"The provider has the call to {_who(event, after)}"

    @line.register
    def _(self, event: pager_run.SecondCallFound, after: PagerRun) -> str:
        return f"The provider has a second call to {_who(event, after)}: only one is to ring"

    @line.register
    def _(self, event: pager_run.SecondCallCounts, after: PagerRun) -> str:
        if after.call(event.call_id).came_late:
            return f"{_who(event, after)}'s phone rings after all: the call had been given up"
        return f"The second call to {_who(event, after)} came through first: it is the one now"

    @line.register
    def _(self, event: pager_run.SecondCallEnded, after: PagerRun) -> str:
        if event.reason:
            return f"The other call to {_who(event, after)} was not ended: {event.reason}"
        return f"The other call to {_who(event, after)} was ended"

    @line.register
    def _(self, event: pager_run.CallRinging, after: PagerRun) -> str:
        return f"{_who(event, after)}'s phone is ringing"

    @line.register
    def _(self, event: pager_run.CallAnswered, after: PagerRun) -> str:
        machine = " (a machine, it seems)" if (event.answered_by or "").startswith("mach") else ""
        return f"{_who(event, after)}'s phone was answered{machine}"

    @line.register
    def _(self, event: pager_run.CallDeadlineExtended, after: PagerRun) -> str:
        return f"Waiting longer for the call to {_who(event, after)}: {event.reason}"

    @line.register
    def _(self, event: pager_run.PromptRepeated, after: PagerRun) -> str:
        return f"The prompt is said again to {_who(event, after)}"

    @line.register
    def _(self, event: pager_run.CallAccepted, after: PagerRun) -> str:
        if event.actor.startswith(LINK):
            return f"{event.contact.name} accepted by the link in the text"
        return f"{event.contact.name} pressed 1 to accept"

    @line.register
    def _(self, event: pager_run.CallEnded, after: PagerRun) -> str:
        outcome = event.outcome.replace("_", " ").lower()
        reason = f": {event.reason}" if event.reason else ""
        how = " by the link in the text" if event.actor.startswith(LINK) else ""
        return f"Call to {_who(event, after)} ended, {outcome}{how}{reason}"

    @line.register
    def _(self, event: pager_run.CallLeftUp, after: PagerRun) -> str:
        return f"{_who(event, after)} answered by the link in the text: the phone is to stop"

    @line.register
    def _(self, event: pager_run.CallTakenDown, after: PagerRun) -> str:
        if event.reason:
            return f"{_who(event, after)}'s phone could not be stopped: {event.reason}"
        return f"{_who(event, after)}'s phone was stopped"

    @line.register
    def _(self, event: pager_run.TextRequested, after: PagerRun) -> str:
        return f"Sending a text to {_who(event, after)}"

    @line.register
    def _(self, event: pager_run.TextSent, after: PagerRun) -> str:
        return f"The provider has the text to {_who(event, after)}"

    @line.register
    def _(self, event: pager_run.TextFailed, after: PagerRun) -> str:
        return f"The text to {_who(event, after)} failed: {event.reason}"

    @line.register
    def _(self, event: pager_run.PagerRunExhausted, after: PagerRun) -> str:
        return f"Pager run ended after {event.calls} calls without an acceptance"

    @line.register
    def _(self, event: pager_run.ListRungAgain, after: PagerRun) -> str:
        return f"The list {after.plan.list_name!r} is rung again"

    @line.register
    def _(self, event: pager_run.RingingAgainDropped, after: PagerRun) -> str:
        return f"The list is not rung again: {event.reason}"

    @line.register
    def _(self, event: pager_run.PagerRunCancelled, after: PagerRun) -> str:
        return f"Pager run cancelled: {event.reason}"


def in_time(minutes: int) -> str:
    """90 as "90 minutes", 60 as "an hour"."""
    return "an hour" if minutes == 60 else f"{minutes} minutes"


def _who(
    event: pager_run.CallRetried
    | pager_run.CallRefused
    | pager_run.PlacementGivenUp
    | pager_run.CallNotFound
    | pager_run.CallPlaced
    | pager_run.SecondCallFound
    | pager_run.SecondCallCounts
    | pager_run.SecondCallEnded
    | pager_run.CallRinging
    | pager_run.CallAnswered
    | pager_run.CallDeadlineExtended
    | pager_run.PromptRepeated
    | pager_run.CallEnded
    | pager_run.CallLeftUp
    | pager_run.CallTakenDown
    | pager_run.TextRequested
    | pager_run.TextSent
    | pager_run.TextFailed,
    after: PagerRun,
) -> str:
    return after.calls[event.call_id].contact.name
