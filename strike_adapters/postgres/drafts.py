"""Drafted callouts in PostgreSQL, behind the wall of the company that drafted them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.tenancy import acting_for
from strike_domain.callouts import EcoOrder
from strike_domain.drafts import Draft

# By itself and not by a migration: the version before this one may be started beside it still, and
# does not begin on a database whose migrations it does not know.
CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS eco_drafts (
    noc_id uuid NOT NULL REFERENCES tenants,
    caller uuid NOT NULL,
    confirmation text NOT NULL,
    expires_at timestamptz NOT NULL,
    eco_order jsonb NOT NULL,
    PRIMARY KEY (noc_id, caller, confirmation)
);
COMMENT ON TABLE eco_drafts IS 'Callouts that a person has not agreed to; gone after ten minutes';
COMMENT ON COLUMN eco_drafts.caller IS 'Id of the user or API token; nobody else can confirm it';
"""

FORGET = "DELETE FROM eco_drafts WHERE noc_id = %s AND expires_at <= %s"

KEEP = """
INSERT INTO eco_drafts (noc_id, caller, confirmation, expires_at, eco_order)
VALUES (%s, %s, %s, %s, %s)
"""

FIND = """
SELECT expires_at, eco_order FROM eco_drafts
WHERE noc_id = %s AND caller = %s AND confirmation = %s AND expires_at > %s
"""


class PostgresDrafts:
    """`Drafts` that every process with this database finds."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def keep(self, draft: Draft, now: datetime) -> None:
        with acting_for(self._pool, draft.noc_id) as connection:
            connection.execute(FORGET, (draft.noc_id, now))
            order = Jsonb(draft.order.model_dump(mode="json"))
            row = (draft.noc_id, draft.caller, draft.confirmation, draft.expires_at, order)
            connection.execute(KEEP, row)

    def find(self, noc_id: UUID, caller: UUID, confirmation: str, now: datetime) -> Draft | None:
        with acting_for(self._pool, noc_id) as connection:
            row = connection.execute(FIND, (noc_id, caller, confirmation, now)).fetchone()
        if row is None:
            return None
        order = EcoOrder.model_validate(row["eco_order"])
        return Draft(noc_id, caller, confirmation, row["expires_at"], order)
