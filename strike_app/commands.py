"""The long-running commands: `serve`, `follow`, `work`, `publish`."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog
from aiohttp import web
from pydantic import AnyHttpUrl

from strike_adapters.postgres.auditor import Runnable
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.fold import BRIEFLY, seldom_collecting
from strike_adapters.postgres.followers import FOLLOWER_NAMES
from strike_adapters.postgres.pools import Pool
from strike_app.archive_watch import ArchiveReporter
from strike_app.bootstrap import (
    WORK,
    Strike,
    open_database,
    open_services,
    open_strike,
    publisher_to,
)
from strike_app.followers import FollowerReporter
from strike_app.health import Health, database
from strike_app.logs import configure
from strike_app.metrics_port import serve_metrics
from strike_app.mute import StrikeRunner
from strike_app.processes import listen, run_until_stopped, start, stop_event, tell_ready, wait_for
from strike_app.safety import refuse, unsafe, unsafe_address_of_database, unsafe_database, warn
from strike_app.settings import Settings
from strike_app.tracing import tracing
from strike_domain.errors import Rejected

ASK_SECONDS = 2.0
"""How long `/readyz` waits for a connection to the database."""

logger = structlog.get_logger()


def run_followers(
    names: tuple[str, ...], *, ready_file: Path | None, exit_with_parent: bool
) -> None:
    """Run the named followers, or all. Raises `Rejected` for a name that is none."""
    for name in names:
        if name not in FOLLOWER_NAMES:
            known = ", ".join(FOLLOWER_NAMES)
            raise Rejected("UNKNOWN_FOLLOWER", f"There is no follower {name!r}; there are {known}.")
    configure()
    stop = stop_event(exit_with_parent=exit_with_parent)
    with tracing("follow"), _opened(Settings()) as (strike, health), seldom_collecting(BRIEFLY):
        tell_ready(ready_file, {"pid": os.getpid()})
        followers = strike.followers(names or FOLLOWER_NAMES)
        reporters = FollowerReporter(strike, health=health), ArchiveReporter(strike)
        run_until_stopped((*followers, *reporters), stop, health)


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Strike, Health]]:
    """Strike, and how this process fares, told on the port for metrics.

    Raises `Unsafe` for what must not be so in production.
    """
    codes = refuse(settings, unsafe(settings))
    health = Health()
    with open_strike(settings) as strike:
        warn([*codes, *refuse(settings, unsafe_database(strike.pool))])
        with serve_metrics(settings, health, lambda: database(partial(_ask, strike.pool))):
            yield strike, health


def _ask(pool: Pool) -> None:
    with pool.connection(timeout=ASK_SECONDS) as connection:
        connection.execute("SELECT 1 FROM eco_views LIMIT 1")


def run_workers(
    kinds: tuple[str, ...] = WORK, *, ready_file: Path | None, exit_with_parent: bool
) -> None:
    """Run the workers of these kinds, and the auditor that watches over paging."""
    configure()
    stop = stop_event(exit_with_parent=exit_with_parent)
    with tracing("work"), _opened(Settings()) as (strike, health), seldom_collecting(BRIEFLY):
        tell_ready(ready_file, {"pid": os.getpid()})
        watchers = strike.auditor(), FollowerReporter(strike, health=health)
        run_until_stopped((*strike.workers(kinds), *watchers), stop, health)


def run_publisher(*, ready_file: Path | None, exit_with_parent: bool) -> None:
    """Publish the log to NATS JetStream. It holds no key and opens no secret.

    Raises `Rejected` if it is not said where to, or the extra is missing; `Unavailable` if the
    server cannot be reached at the start.
    """
    settings = Settings()
    open_publisher = publisher_to(settings)
    refuse(settings, unsafe_address_of_database(settings))
    configure()
    stop = stop_event(exit_with_parent=exit_with_parent)
    with tracing("publish"), open_database(settings) as url:
        publisher = open_publisher(url)
        publisher.check()
        health = Health()
        with (
            open_pool(url, size=1) as pool,
            serve_metrics(settings, health, lambda: database(partial(_ask, pool))),
        ):
            tell_ready(ready_file, {"pid": os.getpid()})
            run_until_stopped((publisher,), stop, health)


def run_server(
    *, with_followers: bool, with_workers: bool, ready_file: Path | None, exit_with_parent: bool
) -> None:
    """Serve until stopped; requests under way are finished first.

    Raises `Rejected` if nobody is trusted to say who is calling: there is no mode without.
    """
    settings = Settings()
    if not settings.has_login:
        message = (
            "Set STRIKE_OIDC_SIGNER to the ARN of the load balancer that signs who is calling, or "
            "STRIKE_CLOUDFLARE_TEAM and STRIKE_CLOUDFLARE_AUDIENCE "
            "(strike demo --keep runs a server behind the mock's)."
        )
        raise Rejected("NO_SIGNER", message)
    configure()
    stop = stop_event(exit_with_parent=exit_with_parent)
    with tracing("serve"), _opened(settings) as (strike, health):
        runnables: list[Runnable] = [FollowerReporter(strike, health=health)]
        if with_followers:
            runnables += [*strike.followers(), ArchiveReporter(strike)]
        threads = start(runnables, stop)
        health.watch(threads)
        try:
            asyncio.run(_serve(strike, health, stop, ready_file, with_workers=with_workers))
        finally:
            stop.set()
            for thread in threads:
                thread.join()


async def _serve(
    strike: Strike,
    health: Health,
    stop: threading.Event,
    ready_file: Path | None,
    *,
    with_workers: bool,
) -> None:
    # Imported here: the schema takes most of a second, and only the server needs it.
    from strike_app.server import create_app

    settings = strike.settings
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    here = AnyHttpUrl(f"http://{settings.host}:{port}")
    public = settings.model_copy(update={"public_url": settings.public_url or here})
    services = open_services(strike, public)
    runner = StrikeRunner(create_app(services, health=health), access_log=None)
    await runner.setup()
    threads: list[threading.Thread] = []
    # Now that the schema is there.
    with seldom_collecting(BRIEFLY):
        try:
            await web.SockSite(runner, listener).start()
            logger.info("serving", url=str(here), public_url=public.webhook_base)
            tell_ready(ready_file, {"url": str(here).rstrip("/"), "pid": os.getpid()})
            if with_workers:
                threads = start((*strike.workers(), strike.auditor()), stop)
                health.watch(threads)
            await asyncio.to_thread(wait_for, stop)
            health.stop()
            await asyncio.sleep(settings.drain_seconds)
        finally:
            health.stop()
            await runner.cleanup()
            services.executor.shutdown()
            for thread in threads:
                await asyncio.to_thread(thread.join)
