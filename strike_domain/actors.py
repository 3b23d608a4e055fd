"""Who acts, for which tenant, and the stamp that every event carries because of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from strike_domain.new_ids import derived_id


class Side(StrEnum):
    """Which half of the work a tenant does: order repairs (NOC) or carry them out (OSP)."""

    NOC = "NOC"
    OSP = "OSP"


class Role(StrEnum):
    """What a user may do in one tenant, from least to most (specification, section 6)."""

    VIEWER = "VIEWER"
    OPERATOR = "OPERATOR"
    ADMIN = "ADMIN"

    def covers(self, needed: Role) -> bool:
        """True if this role may do all that `needed` may."""
        return _HEIGHT[self] >= _HEIGHT[needed]


_HEIGHT = {role: height for height, role in enumerate(Role)}


class Scope(StrEnum):
    """What an API token may be used for; a person may do whatever the role allows."""

    READ = "READ"
    CALLOUT = "CALLOUT"
    """Create ECOs and work on them."""
    ADMIN = "ADMIN"
    """Change the tenant's settings."""


LINK = "link:"
"""How the name of an actor begins who used the link in a text; a key press has `contact:`."""


class Actor(BaseModel):
    """A person, a machine, or a part of Strike, acting for one tenant (`None`: for the system).

    `scopes` are those of the API token that was used; None: a person's login, without limits.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    tenant_id: UUID | None = None
    side: Side | None = None
    role: Role = Role.VIEWER
    scopes: frozenset[Scope] | None = None
    request_id: UUID | None = None
    """What this actor asks for now: the correlation id of all that comes of it."""
    command_id: UUID | None = None
    """Names one command, so that it is done once: it is stored as the cause of its events, and a
    command of the same id changes nothing where such events are. None: each is a new one."""

    @property
    def is_system(self) -> bool:
        """Whether it is Strike itself, or whoever runs it."""
        return self.tenant_id is None and self.side is None and self.role is Role.ADMIN

    @classmethod
    def system(cls, part: str) -> Actor:
        """A part of Strike (`pager`, `field-work`), which may do what the rules make it do."""
        return cls(name=f"strike:{part}", role=Role.ADMIN)


class Stamp(BaseModel):
    """When, by whom, for whom and because of what: goes into every event of one command.

    `correlation_id` is the same along the whole chain that one request set off, `causation_id`
    names the request or the event that directly caused this one.
    """

    model_config = ConfigDict(frozen=True)

    at: datetime
    actor: str
    tenant_id: UUID | None
    correlation_id: UUID
    causation_id: UUID

    def fields(self, originator_id: UUID, version: int) -> dict[str, Any]:
        """The stamped fields of the event that takes `version` in the stream `originator_id`.

        The event id is derived, so the same attempt at the same place always has the same id:
        that is how a save whose answer was lost is recognised when it is tried again.
        """
        return {
            "timestamp": self.at,
            "event_id": derived_id(self.causation_id, f"{originator_id}/{version}"),
            "actor": self.actor,
            "tenant_id": self.tenant_id,
            "correlation_id": self.correlation_id,
            "causation_id": self.causation_id,
        }
