"""What an admin enters about the outside is kept as it was entered, and sealed where it must be."""

from __future__ import annotations

import os
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from strike_adapters.postgres.accounts import PostgresAccounts
from strike_adapters.render import RenderInstance
from strike_adapters.secrets import SecretBox
from strike_adapters.twilio.accounts import TwilioAccount
from tests.integration.stored import opened
from tests.unit.given import NOC, OSP

hours = st.floats(1, 1_000, allow_nan=False)
words = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=40)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(polling=hours, inactivity=hours, grace=hours, secret=words, project=words)
def test_every_setting_of_render_comes_back_as_it_was(
    database_url: str, polling: float, inactivity: float, grace: float, secret: str, project: str
) -> None:
    instance = RenderInstance(
        osp_id=OSP,
        base_url="https://render.example/in",
        client_id="strike",
        client_secret=SecretStr(secret),
        project=project,
        polling_seconds=polling,
        inactivity_hours=inactivity,
        grace_hours=grace,
    )
    with opened(database_url) as pool:
        accounts = PostgresAccounts(pool, SecretBox(os.urandom(32)))
        accounts.save_render(instance)
        assert accounts.for_osp(OSP) == instance
        assert accounts.for_osp(UUID(int=77)) is None


def test_a_twilio_account_comes_back_by_noc_and_by_sid(database_url: str) -> None:
    account = TwilioAccount(
        account_sid=f"AC{1:032d}", auth_token=SecretStr("top"), from_number="+13035550100"
    )
    with opened(database_url) as pool:
        accounts = PostgresAccounts(pool, SecretBox(os.urandom(32)))
        accounts.save_twilio(NOC, account)
        assert accounts.for_noc(NOC) == accounts.by_sid(account.account_sid) == account
