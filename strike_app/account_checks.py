"""Whether the accounts at outside systems would do their part, asked without anything being done.

Each check has a connection of its own: what others find out of an account (a circuit that is open)
does not answer for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from uuid import UUID

from strike_adapters.render import RenderFieldWork, RenderUnavailable
from strike_adapters.secrets import SecretError
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_domain.errors import Unavailable
from strike_domain.ports import Clock

NOBODYS_NUMBER = "+12025550100"
NOBODYS_SUBSECTOR = "strike-test"


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
        """Why the NOC's account could place no call, in a sentence; None if it could.

        Reading the account's calls takes the same proof as making one.
        """
        since = self._clock.now() - timedelta(minutes=1)
        with closing(self._telephone()) as telephone:
            try:
                telephone.find(noc_id, NOBODYS_NUMBER, since)
            except (Unavailable, SecretError) as error:
                return error.message
        return None

    def render(self, osp_id: UUID) -> str | None:
        """Why no tasks could be made or read in the OSP's Render; None if they could.

        A project exists as soon as something is made in it: its name cannot be checked.
        """
        with closing(self._field_work()) as crews:
            try:
                crews.poll(osp_id, NOBODYS_SUBSECTOR, None)
            except RenderUnavailable as error:
                # It gave us a token, and knows of no such subsector: so it reads what we ask.
                has_token = any(one.token_since for one in crews.pulses() if one.osp_id == osp_id)
                is_well = error.code == "RENDER_NOT_FOUND" and has_token
                return None if is_well else error.message
        return None
