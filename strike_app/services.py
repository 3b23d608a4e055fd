"""What the edges of Strike (GraphQL, webhooks, console) are given to work with."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.queries import Queries

from strike_adapters.identity import LoadBalancerIdentity
from strike_adapters.twilio.accounts import TwilioAccounts, WebhookUrls
from strike_app.settings import Settings
from strike_domain.callouts import Callouts
from strike_domain.paging import Paging

T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """Built once per process by the composition root (`strike_app.bootstrap`)."""

    settings: Settings
    callouts: Callouts
    paging: Paging
    queries: Queries
    changes: Changes
    identity: LoadBalancerIdentity
    twilio_accounts: TwilioAccounts
    webhook_urls: WebhookUrls
    executor: Executor

    async def run(self, command: Callable[[], T]) -> T:
        """Run a command of the domain, which blocks, without blocking the loop."""
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, lambda: context.run(command))
