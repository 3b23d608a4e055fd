"""How an OSP's Render has been answering: counted where it is asked, read by whoever watches."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from strike_adapters.render.circuit import CircuitState
from strike_adapters.render.errors import RenderUnavailable


@dataclass(frozen=True)
class Pulse:
    """One OSP's Render, as one process has found it since it started.

    `polls` were answered, `unchanged` of them with "nothing has changed". `token_since` and
    `token_until` tell when the token in use was got and when it will be renewed.
    """

    osp_id: UUID
    circuit: CircuitState = CircuitState.CLOSED
    circuit_until: datetime | None = None
    token_since: datetime | None = None
    token_until: datetime | None = None
    polls: int = 0
    unchanged: int = 0
    failures: int = 0
    last_answer_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str | None = None

    def answered(self, at: datetime, *, is_poll: bool, unchanged: bool) -> Pulse:
        return replace(
            self,
            polls=self.polls + is_poll,
            unchanged=self.unchanged + unchanged,
            last_answer_at=at,
        )

    def failed(self, at: datetime, error: RenderUnavailable) -> Pulse:
        return replace(self, failures=self.failures + 1, last_error_at=at, last_error=error.message)
