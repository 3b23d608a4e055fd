"""Accounts at outside systems, with their secrets sealed in the database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import SecretStr

from strike_adapters.postgres.pools import Pool
from strike_adapters.render import RenderInstance
from strike_adapters.secrets import SecretBox
from strike_adapters.twilio.accounts import TwilioAccount
from strike_domain.outside import RenderTerms, TwilioTerms

TWILIO_TOKEN = "twilio-auth-token"  # noqa: S105 - the purpose that the secret is bound to
RENDER_SECRET = "render-client-secret"  # noqa: S105

FIND_TWILIO = "SELECT * FROM twilio_accounts WHERE noc_id = %s"

FIND_TWILIO_BY_SID = "SELECT * FROM twilio_accounts WHERE account_sid = %s ORDER BY noc_id LIMIT 1"

# Not by ON CONFLICT: that would have to read what is sealed, which a tenant's connection cannot.
CHANGE_TWILIO = """
UPDATE twilio_accounts SET account_sid = %(account_sid)s, from_number = %(from_number)s
WHERE noc_id = %(noc_id)s
"""

SEAL_TWILIO = "UPDATE twilio_accounts SET auth_token = %(sealed)s WHERE noc_id = %(noc_id)s"

ADD_TWILIO = """
INSERT INTO twilio_accounts (noc_id, account_sid, auth_token, from_number)
VALUES (%(noc_id)s, %(account_sid)s, %(sealed)s, %(from_number)s)
"""

FIND_RENDER = "SELECT * FROM render_instances WHERE osp_id = %s"

CHANGE_RENDER = """
UPDATE render_instances SET base_url = %(base_url)s, client_id = %(client_id)s,
    project = %(project)s, polling_seconds = %(polling_seconds)s,
    inactivity_hours = %(inactivity_hours)s, grace_hours = %(grace_hours)s
WHERE osp_id = %(osp_id)s
"""

SEAL_RENDER = "UPDATE render_instances SET client_secret = %(sealed)s WHERE osp_id = %(osp_id)s"

ADD_RENDER = """
INSERT INTO render_instances (osp_id, base_url, client_id, client_secret, project,
                              polling_seconds, inactivity_hours, grace_hours)
VALUES (%(osp_id)s, %(base_url)s, %(client_id)s, %(sealed)s, %(project)s,
        %(polling_seconds)s, %(inactivity_hours)s, %(grace_hours)s)
"""


class PostgresAccounts:
    """`TwilioAccounts` and `RenderInstances`; read at every use, so a change takes effect at once.

    Opening a secret raises `SecretError` if the key is not the one it was sealed with, or if the
    key's service does not do its part.
    """

    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool = pool
        self._box = box

    def for_noc(self, noc_id: UUID) -> TwilioAccount | None:
        return self._twilio(self._one(FIND_TWILIO, noc_id))

    def by_sid(self, account_sid: str) -> TwilioAccount | None:
        return self._twilio(self._one(FIND_TWILIO_BY_SID, account_sid))

    def serves(self, account_sid: str, noc_id: UUID) -> bool:
        row = self._one(FIND_TWILIO, noc_id)
        return row is not None and bool(row["account_sid"] == account_sid)

    def _twilio(self, row: DictRow | None) -> TwilioAccount | None:
        if row is None:
            return None
        token = self._box.open(row["noc_id"], TWILIO_TOKEN, row["auth_token"])
        return TwilioAccount(
            account_sid=row["account_sid"], auth_token=token, from_number=row["from_number"]
        )

    def save_twilio(self, noc_id: UUID, account: TwilioAccount) -> None:
        with self._pool.connection() as connection, connection.transaction():
            store_twilio(connection, self._box, noc_id, account.terms, account.auth_token)

    def for_osp(self, osp_id: UUID) -> RenderInstance | None:
        row = self._one(FIND_RENDER, osp_id)
        if row is None:
            return None
        secret = self._box.open(osp_id, RENDER_SECRET, row["client_secret"])
        return RenderInstance(**{**row, "client_secret": secret})

    def save_render(self, instance: RenderInstance) -> None:
        with self._pool.connection() as connection, connection.transaction():
            store_render(connection, self._box, instance.terms, instance.client_secret)

    def _one(self, statement: str, value: Any) -> DictRow | None:
        with self._pool.connection() as connection:
            return connection.execute(statement, (value,)).fetchone()


def store_twilio(
    connection: Connection[DictRow],
    box: SecretBox,
    noc_id: UUID,
    terms: TwilioTerms,
    token: SecretStr | None,
) -> None:
    """Within a transaction. Without a token the stored one stays."""
    sealed = box.seal(noc_id, TWILIO_TOKEN, token.get_secret_value()) if token else None
    values = {**terms.model_dump(), "noc_id": noc_id, "sealed": sealed}
    _store(connection, values, CHANGE_TWILIO, SEAL_TWILIO, ADD_TWILIO)


def store_render(
    connection: Connection[DictRow], box: SecretBox, terms: RenderTerms, secret: SecretStr | None
) -> None:
    """Within a transaction. Without a secret the stored one stays."""
    sealed = box.seal(terms.osp_id, RENDER_SECRET, secret.get_secret_value()) if secret else None
    values = {**terms.model_dump(), "sealed": sealed}
    _store(connection, values, CHANGE_RENDER, SEAL_RENDER, ADD_RENDER)


def _store(
    connection: Connection[DictRow], values: dict[str, Any], change: str, seal: str, add: str
) -> None:
    if not connection.execute(change.encode(), values).rowcount:
        connection.execute(add.encode(), values)
    elif values["sealed"] is not None:
        connection.execute(seal.encode(), values)
