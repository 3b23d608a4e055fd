"""Checks of accounts for people at a page; each has a connection of its own.

So what others find out of an account (a circuit that is open) does not answer for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from uuid import UUID

from strike_adapters.render import RenderFieldWork
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_app.provider import render_problem, telephone_problem
from strike_domain.ports import Clock


class AccountChecks:
    """Asks outside systems; no phone rings and no task is made."""

    def __init__(
        self,
        telephone: Callable[[], TwilioTelephone],
        field_work: Callable[[], RenderFieldWork],
        clock: Clock,
    ) -> None:
        self._telephone = telephone
        self._field_work = field_work
        self._clock = clock

    def twilio(self, noc_id: UUID) -> str | None:
        """Why the NOC's account could place no call, in a sentence; None if it could."""
        since = self._clock.now() - timedelta(minutes=1)
        with closing(self._telephone()) as telephone:
            return telephone_problem(telephone, noc_id, since) or None

    def render(self, osp_id: UUID) -> str | None:
        """Why the OSP's Render would not be worked with, in a sentence; None if it would."""
        with closing(self._field_work()) as field_work:
            return render_problem(field_work, osp_id) or None
