"""Whether the accounts at outside systems work, found out by asking them and changing nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from strike_domain.errors import Unavailable
from strike_domain.ports import Clock, FieldWork, Telephone

NOBODY = "+12025550100"
"""A number that nobody has: the account is asked for its calls to it."""

NOWHERE = "strike-check"
"""A subsector that there need not be."""


class ClosingTelephone(Telephone, Protocol):
    def close(self) -> None: ...


class ClosingFieldWork(FieldWork, Protocol):
    def close(self) -> None: ...


class AccountChecks:
    """Asks; no phone rings and no task is made. Each check has a connection of its own.

    So what others find out of an account (a circuit that is open) does not answer for it.
    """

    def __init__(
        self,
        telephone: Callable[[], ClosingTelephone],
        field_work: Callable[[], ClosingFieldWork],
        clock: Clock,
    ) -> None:
        self._telephone = telephone
        self._field_work = field_work
        self._clock = clock

    def twilio(self, noc_id: UUID) -> str | None:
        """Why the NOC's account could place no call, in a sentence; None if it could."""
        since = self._clock.now() - timedelta(minutes=1)
        with closing(self._telephone()) as telephone:
            try:
                telephone.find(noc_id, NOBODY, since)
            except Unavailable as error:
                return error.message
        return None

    def render(self, osp_id: UUID) -> str | None:
        """Why the OSP's Render would not be worked with, in a sentence; None if it would.

        A project exists as soon as something is made in it: its name cannot be checked.
        """
        with closing(self._field_work()) as field_work:
            try:
                field_work.poll(osp_id, NOWHERE, None)
            except Unavailable as error:
                # It let us in, and said that there is no such subsector.
                return None if error.code == "RENDER_NOT_FOUND" else error.message
        return None
