"""Callouts that a program has drafted and a person has not agreed to yet.

A draft is kept where every server finds it, for its caller alone, and for ten minutes. It carries
the client reference of the callout that it becomes: however often, and on however many servers, it
is confirmed, the log holds one callout. It is not taken away by its confirmation: an answer that
was lost is asked for again, and a page that is silently not sent would be worse.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Protocol
from uuid import UUID

from strike_domain.access import Action, require
from strike_domain.actors import Actor
from strike_domain.callouts import Callouts, EcoOrder
from strike_domain.eco import Eco
from strike_domain.errors import NotFound, Rejected
from strike_domain.log import Receipt
from strike_domain.new_ids import new_id
from strike_domain.ports import Clock

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Nothing that is read in two ways."""

LENGTH, LIFE = 8, timedelta(minutes=10)


@dataclass(frozen=True)
class Draft:
    """`caller`: the id of the login or token that drafted it for the company `noc_id`."""

    noc_id: UUID
    caller: UUID
    confirmation: str
    expires_at: datetime
    order: EcoOrder


class Drafts(Protocol):
    """Where drafts are kept; for all servers the same place."""

    def keep(self, draft: Draft, now: datetime) -> None:
        """Keep it; what of the company's has expired by `now` is thrown away."""

    def find(self, noc_id: UUID, caller: UUID, confirmation: str, now: datetime) -> Draft | None:
        """The draft; None if there is none, it is another caller's, or it has expired."""


class MemoryDrafts:
    """Of one process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[UUID, UUID, str], Draft] = {}
        self._lock = Lock()

    def keep(self, draft: Draft, now: datetime) -> None:
        with self._lock:
            kept = {key: one for key, one in self._kept.items() if one.expires_at > now}
            self._kept = kept | {(draft.noc_id, draft.caller, draft.confirmation): draft}

    def find(self, noc_id: UUID, caller: UUID, confirmation: str, now: datetime) -> Draft | None:
        found = self._kept.get((noc_id, caller, confirmation))
        return found if found and found.expires_at > now else None


class Drafting:
    """The two steps to a callout. Raise as the commands of `Callouts` do."""

    def __init__(
        self,
        drafts: Drafts,
        callouts: Callouts,
        clock: Clock,
        new_id: Callable[[], UUID] = new_id,
    ) -> None:
        self._drafts, self._callouts, self._clock, self._new_id = drafts, callouts, clock, new_id

    def draft(self, order: EcoOrder, caller: UUID, actor: Actor) -> Draft:
        """Keep an order that could be carried out now. Nobody is rung."""
        noc_id = self._callouts.check_order(order, actor)
        now = self._clock.now()
        reference = order.client_reference or f"draft-{self._new_id()}"
        draft = Draft(
            noc_id=noc_id,
            caller=caller,
            confirmation="".join(secrets.choice(ALPHABET) for _ in range(LENGTH)),
            expires_at=now + LIFE,
            order=order.model_copy(update={"client_reference": reference}),
        )
        self._drafts.keep(draft, now)
        return draft

    def confirm(self, confirmation: str, caller: UUID, actor: Actor) -> Receipt[Eco]:
        """Call out as drafted. Raises `Rejected` (DRAFT_UNKNOWN).

        The same confirmation again gives the same ECO.
        """
        require(actor, Action.ECO_CREATE)
        if actor.tenant_id is None:
            raise NotFound("tenant")
        code, now = confirmation.strip().upper(), self._clock.now()
        is_code = len(code) == LENGTH and set(code) <= set(ALPHABET)
        draft = self._drafts.find(actor.tenant_id, caller, code, now) if is_code else None
        if draft is None:
            message = "There is no such draft, or it has expired. Draft it again."
            raise Rejected("DRAFT_UNKNOWN", message, ("confirmation",))
        return self._callouts.create_eco(draft.order, actor)
