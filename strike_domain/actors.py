"""Who acts, for which tenant, and the stamp that every event carries because of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from strike_domain.errors import Forbidden


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
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Actor(BaseModel):
    """A person, or a part of Strike itself, acting for one tenant (`None`: for the system)."""

    model_config = ConfigDict(frozen=True)

    name: str
    tenant_id: UUID | None = None
    side: Side | None = None
    role: Role = Role.VIEWER

    @classmethod
    def system(cls, part: str) -> Actor:
        """A part of Strike (`pager`, `field-work`), which may do what the rules make it do."""
        return cls(name=f"strike:{part}", role=Role.ADMIN)

    def require(self, role: Role, *sides: Side) -> None:
        """Raise `Forbidden` unless the actor has `role` in a tenant on one of `sides`."""
        if self.side not in sides:
            needed = " or ".join(sides)
            raise Forbidden(f"Only {needed} tenants may do this.", "WRONG_SIDE")
        if not self.role.covers(role):
            raise Forbidden(f"This needs the role {role}; yours is {self.role}.", "ROLE_MISSING")


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
            "event_id": uuid5(self.causation_id, f"{originator_id}/{version}"),
            "actor": self.actor,
            "tenant_id": self.tenant_id,
            "correlation_id": self.correlation_id,
            "causation_id": self.causation_id,
        }
