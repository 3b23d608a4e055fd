"""Companies with secrets, for tests that move them from key to key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from pydantic import SecretStr

from strike_adapters.postgres.accounts import PostgresAccounts
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.people import save_tenant
from strike_adapters.postgres.pools import Pool
from strike_adapters.render import RenderInstance
from strike_adapters.secrets import SecretBox
from strike_adapters.twilio.accounts import TwilioAccount
from strike_domain import Side, Tenant

NOCS = tuple(UUID(int=number) for number in range(1, 6))
OSPS = tuple(UUID(int=number) for number in range(11, 14))


def account(noc: UUID, token: str = "") -> TwilioAccount:
    secret = SecretStr(token or f"token of {noc}")
    return TwilioAccount(
        account_sid=f"AC{noc.int:032d}", auth_token=secret, from_number="+13035550100"
    )


def instance(osp: UUID) -> RenderInstance:
    return RenderInstance(
        osp_id=osp,
        base_url="https://render.example",
        client_id="strike",
        client_secret=SecretStr(f"secret of {osp}"),
        project="P-1",
        inactivity_hours=100,
    )


@contextmanager
def filled(url: str, box: SecretBox) -> Iterator[Pool]:
    """A pool on a database where every company has its secret in `box`."""
    with open_pool(url) as pool:
        accounts = PostgresAccounts(pool, box)
        for noc in NOCS:
            save_tenant(pool, Tenant(id=noc, name=f"N{noc.int}", side=Side.NOC))
            accounts.save_twilio(noc, account(noc))
        for osp in OSPS:
            save_tenant(pool, Tenant(id=osp, name=f"O{osp.int}", side=Side.OSP))
            accounts.save_render(instance(osp))
        yield pool


def assert_all_open(pool: Pool, box: SecretBox) -> None:
    """Every company's secret is what it was given."""
    accounts = PostgresAccounts(pool, box)
    assert [accounts.for_noc(noc) for noc in NOCS] == [account(noc) for noc in NOCS]
    assert [accounts.for_osp(osp) for osp in OSPS] == [instance(osp) for osp in OSPS]
