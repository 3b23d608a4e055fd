"""Whether outside systems would do their part, asked without anything being done there."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from strike_adapters.render import RenderFieldWork, RenderUnavailable
from strike_adapters.secrets import SecretError
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_domain.errors import Unavailable

_NOBODYS_SUBSECTOR = "strike-test"


def telephone_problem(telephone: TwilioTelephone, noc_id: UUID, since: datetime) -> str:
    """Why that NOC's account could place no call; empty if it could.

    Reading the account's calls takes the same proof as making one.
    """
    try:
        telephone.find(noc_id, "+12025550100", since)
    except (Unavailable, SecretError) as error:
        return error.message
    return ""


def render_problem(crews: RenderFieldWork, osp_id: UUID) -> str:
    """Why no tasks could be made or read in that contractor's Render; empty if they could."""
    try:
        crews.poll(osp_id, _NOBODYS_SUBSECTOR, None)
    except RenderUnavailable as error:
        # It gave us a token, and knows of no such subsector: so it reads what we ask.
        has_token = any(one.token_since for one in crews.pulses() if one.osp_id == osp_id)
        return "" if error.code == "RENDER_NOT_FOUND" and has_token else error.message
    return ""
