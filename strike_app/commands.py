"""The long-running commands: `serve`, `follow`, `work`, `publish`."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import nullcontext
from pathlib import Path

import structlog
from aiohttp import web
from pydantic import AnyHttpUrl

from strike_adapters.postgres.fold import seldom_collecting
from strike_adapters.postgres.followers import FOLLOWER_NAMES
from strike_app.bootstrap import Strike, open_database, open_services, open_strike, publisher_to
from strike_app.followers import FollowerReporter
from strike_app.logs import configure
from strike_app.metrics import serve_metrics
from strike_app.mute import StrikeRunner
from strike_app.processes import listen, run_until_stopped, start, stop_event, tell_ready, wait_for
from strike_app.settings import Settings
from strike_domain.errors import Rejected

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
    with open_strike(Settings()) as strike, seldom_collecting():
        serve_metrics(strike.settings)
        tell_ready(ready_file, {"pid": os.getpid()})
        followers = strike.followers(names or FOLLOWER_NAMES)
        run_until_stopped((*followers, FollowerReporter(strike)), stop)


def run_workers(*, ready_file: Path | None, exit_with_parent: bool) -> None:
    """Run the pager's and the field's worker, and the auditor that watches over paging."""
    configure()
    stop = stop_event(exit_with_parent=exit_with_parent)
    with open_strike(Settings()) as strike:
        serve_metrics(strike.settings)
        tell_ready(ready_file, {"pid": os.getpid()})
        watchers = strike.auditor(), FollowerReporter(strike)
        run_until_stopped((*strike.workers(), *watchers), stop)


def run_publisher(*, ready_file: Path | None, exit_with_parent: bool) -> None:
    """Publish the log to NATS JetStream. It holds no key and opens no secret.

    Raises `Rejected` if it is not said where to, or the extra is missing; `Unavailable` if the
    server cannot be reached at the start.
    """
    settings = Settings()
    open_publisher = publisher_to(settings)
    configure()
    stop = stop_event(exit_with_parent=exit_with_parent)
    with open_database(settings) as url:
        publisher = open_publisher(url)
        publisher.check()
        serve_metrics(settings)
        tell_ready(ready_file, {"pid": os.getpid()})
        run_until_stopped((publisher,), stop)


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
    collecting = seldom_collecting() if with_followers else nullcontext()
    with open_strike(settings) as strike, collecting:
        serve_metrics(settings)
        followers = strike.followers() if with_followers else []
        threads = start((*followers, FollowerReporter(strike)), stop)
        try:
            asyncio.run(_serve(strike, stop, ready_file, with_workers=with_workers))
        finally:
            stop.set()
            for thread in threads:
                thread.join()


async def _serve(
    strike: Strike, stop: threading.Event, ready_file: Path | None, *, with_workers: bool
) -> None:
    # Imported here: the schema takes most of a second, and only the server needs it.
    from strike_app.server import create_app

    settings = strike.settings
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    here = AnyHttpUrl(f"http://{settings.host}:{port}")
    public = settings.model_copy(update={"public_url": settings.public_url or here})
    services = open_services(strike, public)
    runner = StrikeRunner(create_app(services), access_log=None)
    await runner.setup()
    threads: list[threading.Thread] = []
    try:
        await web.SockSite(runner, listener).start()
        logger.info("serving", url=str(here), public_url=public.webhook_base)
        tell_ready(ready_file, {"url": str(here).rstrip("/"), "pid": os.getpid()})
        if with_workers:
            threads = start((*strike.workers(), strike.auditor()), stop)
        await asyncio.to_thread(wait_for, stop)
    finally:
        await runner.cleanup()
        services.executor.shutdown()
        for thread in threads:
            await asyncio.to_thread(thread.join)
