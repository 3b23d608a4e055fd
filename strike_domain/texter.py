"""The text beside a call: to those who asked for one, with a link to answer by.

The call is the page; the text only adds to it. It is begun after the call was given to the
provider, by whoever `in_turn` has do it, and nothing that becomes of it changes what is done about
the call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID, uuid4

from strike_domain.actors import Actor, Stamp
from strike_domain.errors import OutcomeUnknown, StrikeError
from strike_domain.log import StrikeLog
from strike_domain.pager_run import LINK_LASTS, Call, PagerRun
from strike_domain.ports import Clock, JobLink, JobLinks, TextOrder, Texts
from strike_domain.voice import text_of

TEXTER = Actor.system("texter")

InTurn = Callable[[Callable[[], None]], object]
"""Has something done, now or soon, by this thread or by another."""


def at_once(work: Callable[[], None]) -> None:
    """For an embedder, and for tests: whoever rings also sends."""
    work()


class Texter:
    """Sends each text at most once: the intent is stored first, and what was begun is not repeated.

    A process that dies after that leaves "Sending a text" in the timeline, and nobody knows whether
    it went. One that dies before leaves it to whoever works on the run next, for `TEXT_WITHIN`.
    """

    def __init__(
        self,
        log: StrikeLog,
        texts: Texts,
        links: JobLinks,
        clock: Clock,
        in_turn: InTurn = at_once,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._log = log
        self._texts = texts
        self._links = links
        self._clock = clock
        self._in_turn = in_turn
        self._new_id = new_id

    def look_at(self, run: PagerRun) -> None:
        """Have sent what is due for the run's calls."""
        for call in run.texts_due(self._clock.now()):
            self._in_turn(partial(self.send, run.id, call.id))

    def send(self, run_id: UUID, call_id: UUID) -> None:
        """Send one text, unless somebody has begun to, or it has come too late."""
        begun = False

        def begin(run: PagerRun) -> None:
            nonlocal begun
            begun = run.request_text(call_id, self._stamp(run))

        run = self._log.change_run(run_id, begin).aggregate
        if not begun:
            return
        call = run.call(call_id)
        try:
            sid = self._texts.send_text(self._order(run, call))
        except OutcomeUnknown as error:
            self._failed(run_id, call_id, f"Whether it was sent is not known. {error.message}")
        except StrikeError as error:
            self._failed(run_id, call_id, error.message)
        else:
            self._log.change_run(run_id, lambda r: r.text_sent(call_id, sid, self._stamp(r)))

    def _order(self, run: PagerRun, call: Call) -> TextOrder:
        address = self._links.address(run.noc_id, link_of(run, call))
        body = text_of(call.contact, run.briefing, address)
        return TextOrder(run.noc_id, run.id, call.id, call.contact.phone, body)

    def _failed(self, run_id: UUID, call_id: UUID, reason: str) -> None:
        self._log.change_run(run_id, lambda r: r.text_failed(call_id, reason, self._stamp(r)))

    def _stamp(self, run: PagerRun) -> Stamp:
        return Stamp(
            at=self._clock.now(),
            actor=TEXTER.name,
            tenant_id=None,
            correlation_id=run.correlation_id,
            causation_id=self._new_id(),
        )


def link_of(run: PagerRun, call: Call) -> JobLink:
    """What the link in the text beside that call stands for."""
    expires_at = (call.requested_at + LINK_LASTS).replace(microsecond=0)
    return JobLink(run.id, call.id, call.contact.phone, call.number, expires_at)
