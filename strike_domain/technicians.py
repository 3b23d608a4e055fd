"""Who was rung and follows the link in the text: what they see, and what they can say by it.

The link is the proof, of one call for one person (`ports.JobLink`); whoever opened it asks here.
Accepting and declining are the key presses of that call (`paging.py`). What is said of the work
afterwards is said by whoever has the job, and by nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID, uuid5

from strike_domain.actors import LINK, Stamp
from strike_domain.contacts import Language
from strike_domain.eco import Eco, EcoReactivated, EcoStatus
from strike_domain.errors import InvalidTransition, NotFound
from strike_domain.log import StrikeLog
from strike_domain.pager_run import Call, CallOutcome, PagerRun
from strike_domain.paging import ACCEPT, DECLINE, Paging
from strike_domain.ports import Clock, HasFieldTerms, JobLink
from strike_domain.texter import link_of


class Word(StrEnum):
    """What whoever has the job can say of it: once, and once more after the ECO was reactivated."""

    ON_MY_WAY = "ON_MY_WAY"
    DONE = "DONE"


class Standing(StrEnum):
    """How the job stands for one person who was rung."""

    ASKED = "ASKED"
    """Nobody has it: it can be accepted, and declined."""
    DECLINED = "DECLINED"
    """By this person; as nobody else has it, it can still be accepted."""
    YOURS = "YOURS"
    DONE = "DONE"
    """Theirs, and the work counts as done, as far as that is known."""
    TAKEN = "TAKEN"
    """Somebody else has it."""
    OVER = "OVER"
    """It was cancelled, closed, or done without them."""

    @property
    def can_accept(self) -> bool:
        return self in (Standing.ASKED, Standing.DECLINED)


@dataclass(frozen=True)
class Job:
    """What a technician sees of one job.

    `taken_by` is who has it, if that is somebody else; `said` what this person has said of it.
    `position` is longitude and latitude. `by_hand`: no field tasks say how the work stands, so that
    their word is what counts.
    """

    standing: Standing
    name: str
    language: Language
    job_number: str
    description: str
    place: str
    position: tuple[float, float]
    taken_by: str | None
    said: frozenset[Word]
    by_hand: bool


@dataclass(frozen=True)
class _Said:
    """The id of the command that says each word, and the words that were said."""

    ids: dict[Word, UUID]
    words: frozenset[Word]


class Technicians:
    """What the holder of a link may ask for. Everything raises `NotFound` for an unknown call."""

    def __init__(self, log: StrikeLog, paging: Paging, terms: HasFieldTerms, clock: Clock) -> None:
        self._log = log
        self._paging = paging
        self._terms = terms
        self._clock = clock

    def link(self, run_id: UUID, number: int) -> tuple[UUID, JobLink]:
        """The NOC, and what a link to the call of that number stands for."""
        run = self._log.run(run_id)
        call = next((one for one in run.calls.values() if one.number == number), None)
        if call is None:
            raise NotFound("call")
        return run.noc_id, link_of(run, call)

    def job(self, link: JobLink) -> Job:
        """How the job stands. Changes nothing."""
        _, call, eco = self._loaded(link)
        responder = eco.responder
        return Job(
            standing=_standing(eco, call),
            name=call.contact.name,
            language=call.contact.language,
            job_number=eco.job_number,
            description=eco.description,
            place=eco.location.describe(),
            position=eco.location.positions[0],
            taken_by=responder.name if responder and responder.call_id != call.id else None,
            said=self._said(eco, call).words,
            by_hand=eco.is_by_hand,
        )

    def accept(self, link: JobLink) -> None:
        """As key 1 in the call: theirs, if nobody else has it. `job` says what came of it."""
        self._paging.answered_by_link(link.run_id, link.call_id, ACCEPT)

    def decline(self, link: JobLink) -> None:
        """As key 2 in the call."""
        self._paging.answered_by_link(link.run_id, link.call_id, DECLINE)

    def on_my_way(self, link: JobLink) -> None:
        """A note; where no field tasks can say it, work has started, too.

        Said again, it changes nothing. Raises `InvalidTransition` unless the job is theirs, and
        still to be done.
        """

        def say(eco: Eco, name: str, stamp: Stamp) -> None:
            eco.add_note(f"{name} is on the way.", stamp)
            if eco.is_by_hand and eco.status is EcoStatus.OPEN:
                eco.start_by_hand(stamp)

        self._say(link, Word.ON_MY_WAY, say)

    def done(self, link: JobLink) -> None:
        """A note; where no field tasks can say it, the work is done. Otherwise as `on_my_way`."""

        def say(eco: Eco, name: str, stamp: Stamp) -> None:
            eco.add_note(f"{name} says that the work is done.", stamp)
            if eco.is_by_hand:
                eco.complete_by_hand(self._terms.field_terms(eco.osp_id).grace, stamp)

        self._say(link, Word.DONE, say)

    def _say(self, link: JobLink, word: Word, say: Callable[[Eco, str, Stamp], None]) -> None:
        run, call, eco = self._loaded(link)

        def change(newest: Eco) -> None:
            said = self._said(newest, call)
            if word in said.words:
                return
            if _standing(newest, call) is not Standing.YOURS:
                raise InvalidTransition("This job is not yours to report on, or it is over.")
            stamp = Stamp(
                at=self._clock.now(),
                actor=f"{LINK}{call.contact.name}",
                tenant_id=newest.osp_id,
                correlation_id=run.correlation_id,
                causation_id=said.ids[word],
            )
            say(newest, call.contact.name, stamp)

        self._log.change_eco(eco.id, change)

    def _said(self, eco: Eco, call: Call) -> _Said:
        events = list(self._log.events.get(eco.id))
        turn = sum(isinstance(one, EcoReactivated) for one in events)
        ids = {word: uuid5(call.id, f"{word}/{turn}") for word in Word}
        causes = {getattr(one, "causation_id", None) for one in events}
        return _Said(ids, frozenset(word for word in Word if ids[word] in causes))

    def _loaded(self, link: JobLink) -> tuple[PagerRun, Call, Eco]:
        run = self._log.run(link.run_id)
        return run, run.call(link.call_id), self._log.eco(run.eco_id)


def _standing(eco: Eco, call: Call) -> Standing:
    if eco.status.is_final:
        return Standing.OVER
    if eco.responder is not None and eco.responder.call_id == call.id:
        return Standing.YOURS if eco.is_active else Standing.DONE
    if not eco.is_active:
        return Standing.OVER
    if eco.responder is not None:
        return Standing.TAKEN
    return Standing.DECLINED if call.outcome is CallOutcome.DECLINED else Standing.ASKED
