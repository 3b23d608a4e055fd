"""What the edges of Strike (GraphQL, webhooks, console) are given to work with."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import psycopg
import structlog
from aiohttp import web
from eventsourcing import persistence

from strike_adapters.identity import Identities
from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.queries import Queries
from strike_adapters.postgres.replica import must_be_now
from strike_adapters.twilio.accounts import TwilioAccounts, WebhookUrls
from strike_adapters.twilio.links import SignedLinks
from strike_app.account_checks import AccountChecks
from strike_app.following import Following
from strike_app.settings import Settings
from strike_domain.administration import Administration
from strike_domain.callouts import Callouts
from strike_domain.drafts import Drafting
from strike_domain.errors import OutcomeUnknown
from strike_domain.paging import Paging
from strike_domain.places import Places
from strike_domain.ports import Clock
from strike_domain.technicians import Technicians

T = TypeVar("T")

DATABASE_FAILURES = (
    psycopg.OperationalError,
    persistence.OperationalError,
    persistence.InterfaceError,
)
"""What the drivers raise when the database is away, too slow or stopping."""

logger = structlog.get_logger()


@dataclass(frozen=True)
class Services:
    """Built once per process by the composition root (`strike_app.bootstrap`)."""

    settings: Settings
    clock: Clock
    callouts: Callouts
    drafting: Drafting
    paging: Paging
    paging_seen_by: Callable[[UUID], Paging]
    administration: Administration
    checks: AccountChecks
    queries: Queries
    changes: Changes
    following: Following
    identity: Identities
    places: Places
    technicians: Technicians
    links: SignedLinks
    twilio_accounts: TwilioAccounts
    webhook_urls: WebhookUrls
    executor: Executor

    async def run(self, command: Callable[[], T]) -> T:
        """Run a command of the domain, which blocks, without blocking the loop.

        Raises what the command raises, and `OutcomeUnknown` if the database fails meanwhile: the
        command may have been stored, or not. What this request asks afterwards, no replica answers.
        """
        must_be_now()
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.executor, lambda: context.run(command))
        except DATABASE_FAILURES as error:
            logger.warning("the database failed a command", reason=type(error).__name__)
            message = "The database did not answer. Look whether it was done, then try again."
            raise OutcomeUnknown(message) from error


SERVICES = web.AppKey("services", Services)
