"""Accounts at outside systems, with their secrets sealed in the database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from strike_adapters.postgres.pools import Pool
from strike_adapters.render import RenderInstance
from strike_adapters.secrets import SecretBox
from strike_adapters.twilio.accounts import TwilioAccount

TWILIO_TOKEN = "twilio-auth-token"  # noqa: S105 - the purpose that the secret is bound to
RENDER_SECRET = "render-client-secret"  # noqa: S105

FIND_TWILIO = "SELECT * FROM twilio_accounts WHERE noc_id = %s"

FIND_TWILIO_BY_SID = "SELECT * FROM twilio_accounts WHERE account_sid = %s ORDER BY noc_id LIMIT 1"

SAVE_TWILIO = """
INSERT INTO twilio_accounts (noc_id, account_sid, auth_token, from_number) VALUES (%s, %s, %s, %s)
ON CONFLICT (noc_id) DO UPDATE SET account_sid = excluded.account_sid,
    auth_token = excluded.auth_token, from_number = excluded.from_number
"""

FIND_RENDER = "SELECT * FROM render_instances WHERE osp_id = %s"

SAVE_RENDER = """
INSERT INTO render_instances (osp_id, base_url, client_id, client_secret, project,
                              polling_seconds, inactivity_hours, grace_hours)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (osp_id) DO UPDATE SET base_url = excluded.base_url, client_id = excluded.client_id,
    client_secret = excluded.client_secret, project = excluded.project,
    polling_seconds = excluded.polling_seconds, inactivity_hours = excluded.inactivity_hours,
    grace_hours = excluded.grace_hours
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
        token = account.auth_token.get_secret_value()
        sealed = self._box.seal(noc_id, TWILIO_TOKEN, token)
        self._execute(SAVE_TWILIO, noc_id, account.account_sid, sealed, account.from_number)

    def for_osp(self, osp_id: UUID) -> RenderInstance | None:
        row = self._one(FIND_RENDER, osp_id)
        if row is None:
            return None
        secret = self._box.open(osp_id, RENDER_SECRET, row["client_secret"])
        return RenderInstance(**{**row, "client_secret": secret})

    def save_render(self, instance: RenderInstance) -> None:
        secret = instance.client_secret.get_secret_value()
        self._execute(
            SAVE_RENDER,
            instance.osp_id,
            instance.base_url,
            instance.client_id,
            self._box.seal(instance.osp_id, RENDER_SECRET, secret),
            instance.project,
            instance.polling_seconds,
            instance.inactivity_hours,
            instance.grace_hours,
        )

    def _one(self, statement: str, value: Any) -> DictRow | None:
        with self._pool.connection() as connection:
            return connection.execute(statement, (value,)).fetchone()

    def _execute(self, statement: str, *values: Any) -> None:
        with self._pool.connection() as connection:
            connection.execute(statement, values)
