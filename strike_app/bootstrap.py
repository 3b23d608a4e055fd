"""The composition root: the one place where parts meet. Everything else is handed what it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from uuid import UUID

from strike_adapters.embedded import embedded_postgres
from strike_adapters.heartbeat import HttpHeartbeat
from strike_adapters.identity import (
    CloudflareIdentity,
    CloudflareSettings,
    Identities,
    LoadBalancerIdentity,
    LoadBalancerSettings,
    http_certs_fetcher,
    http_key_fetcher,
)
from strike_adapters.places import GeoNamesPlaces
from strike_adapters.postgres.accounts import PostgresAccounts
from strike_adapters.postgres.auditor import Auditor, Runnable
from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.drafts import PostgresDrafts
from strike_adapters.postgres.due import DueTable, Worker
from strike_adapters.postgres.due_work import field_work, pager_work
from strike_adapters.postgres.followers import FOLLOWER_NAMES, Follower
from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.queries import Queries, open_async_pool
from strike_adapters.postgres.reading import SharedReading
from strike_adapters.postgres.regions import regions_of
from strike_adapters.postgres.registry import PostgresRegistry
from strike_adapters.postgres.render_health import RenderReporter
from strike_adapters.postgres.replica import Replica
from strike_adapters.postgres.sessions import named
from strike_adapters.postgres.store import store_env
from strike_adapters.render import RememberedInstances, RenderFieldWork
from strike_adapters.telemetry import stored, watch_edges
from strike_adapters.telemetry.following import worked
from strike_adapters.twilio.accounts import WebhookUrls
from strike_adapters.twilio.links import SignedLinks
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_app.account_checks import AccountChecks
from strike_app.clock import ScaledClock
from strike_app.following import Following, Most
from strike_app.keys import KeyRing, open_keys
from strike_app.logs import keep_off_stdout
from strike_app.metrics import METRICS
from strike_app.scrubbing import hide
from strike_app.services import Services
from strike_app.settings import Settings
from strike_app.texting import TextThreads
from strike_domain.administration import Administration
from strike_domain.callouts import Callouts
from strike_domain.drafts import Drafting
from strike_domain.errors import Rejected
from strike_domain.field_work import CrewDesk
from strike_domain.log import StrikeLog
from strike_domain.paging import Paging
from strike_domain.ringer import Ringer
from strike_domain.routing import Router
from strike_domain.technicians import Technicians
from strike_domain.texter import Texter

if TYPE_CHECKING:
    from strike_adapters.jetstream import Publisher

WORK = PAGING, FIELD = "paging", "field"
"""What a worker may be for: to ring people, or to look after field tasks."""

DATABASE = "strike"
"""Name of the database in the embedded PostgreSQL."""


@dataclass(frozen=True)
class Strike:
    """One process's parts, opened on one database."""

    settings: Settings
    url: str
    clock: ScaledClock
    pool: Pool
    directory: PostgresDirectory
    keys: KeyRing
    accounts: PostgresAccounts
    registry: PostgresRegistry
    router: Router
    log: StrikeLog

    def administration(self) -> Administration:
        """The commands of admins, each of which leaves its audit."""
        return Administration(self.registry, self.clock)

    def checks(self) -> AccountChecks:
        return AccountChecks(self.telephone, lambda: RenderFieldWork(self.accounts), self.clock)

    def callouts(self) -> Callouts:
        return Callouts(self.log, self.directory, self.clock)

    def drafting(self) -> Drafting:
        return Drafting(PostgresDrafts(self.pool), self.callouts(), self.clock)

    def paging(self) -> Paging:
        return Paging(self.log, self.router, self.directory, self.clock)

    def paging_seen_by(self, tenant_id: UUID) -> Paging:
        """For questions: of lists and links it sees what the second wall shows that tenant."""
        directory = self.directory.seen_by(tenant_id)
        return Paging(self.log, Router(directory), directory, self.clock)

    def followers(self, names: tuple[str, ...] = FOLLOWER_NAMES) -> list[Follower]:
        reading = SharedReading(self.url)
        return [Follower(name, self.url, self.router, self.clock, reading) for name in names]

    def auditor(self) -> Auditor:
        """Watches over paging, and stands in for followers that nobody runs."""
        url = self.settings.heartbeat_url
        return Auditor(
            self.url,
            self.log,
            self.clock,
            lambda name: Follower(name, self.url, self.router, self.clock),
            HttpHeartbeat(str(url)) if url else None,
            METRICS,
        )

    def links(self) -> SignedLinks:
        """The links in texts."""
        return SignedLinks(self.accounts, WebhookUrls(self.settings.webhook_base))

    def technicians(self) -> Technicians:
        """What whoever follows such a link may ask for."""
        return Technicians(self.log, self.paging(), self.directory, self.clock)

    def telephone(self) -> TwilioTelephone:
        urls = WebhookUrls(self.settings.webhook_base)
        base_url = self.settings.twilio_base_url
        return TwilioTelephone(
            self.accounts, urls, base_url=str(base_url).rstrip("/") if base_url else None
        )

    def workers(self, kinds: Sequence[str] = WORK) -> list[Runnable]:
        """One for each kind: a failing Render never delays paging."""
        makers = {PAGING: self._pager_workers, FIELD: self._field_workers}
        return [one for kind in kinds for one in makers[kind]()]

    def _pager_workers(self) -> list[Runnable]:
        telephone = self.telephone()
        telephone.warm_up()
        threads = TextThreads()
        texter = Texter(self.log, telephone, self.links(), self.clock, threads.submit)
        ringer = Ringer(
            self.log, telephone, self.clock, self.directory, router=self.router, texter=texter
        )
        return [self._worker(pager_work(ringer), self.settings.worker_threads), threads]

    def _field_workers(self) -> list[Runnable]:
        instances = RememberedInstances(self.accounts, terms=self.directory.field_terms)
        crews = RenderFieldWork(instances, clock=self.clock)
        desk = CrewDesk(self.log, crews, self.clock, instances)
        reporter = RenderReporter(self.pool, crews, self.clock, METRICS.render_answered)
        return [self._worker(field_work(desk), self.settings.field_threads), reporter]

    def _worker(self, table: DueTable, threads: int) -> Worker:
        return Worker(
            worked(table, self.log, self.clock),
            self.url,
            self.clock,
            threads=threads,
            lease_seconds=self.settings.lease_seconds,
            watcher=METRICS,
        )


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """The URL of a prepared database: the one that is set, or an embedded one, up meanwhile."""
    keep_off_stdout()
    if settings.database_url:
        url = named(settings.database_url)
        prepare(url)
        yield url
        return
    with embedded_postgres() as server:
        server.ensure_database(DATABASE)
        url = named(server.url(DATABASE))
        prepare(url)
        yield url


def forget_embedded(settings: Settings) -> None:
    """Drop the embedded database, for development. Raises `Rejected` if another one is set."""
    if settings.database_url:
        message = "STRIKE_DATABASE_URL names a database; only the embedded one is thrown away."
        raise Rejected("NOT_EMBEDDED", message)
    with embedded_postgres() as server:
        server.drop_database(DATABASE)


@contextmanager
def open_strike(settings: Settings) -> Iterator[Strike]:
    """Open everything that any process of Strike needs, and close it again.

    Raises `SecretError` if what is stored needs a key that is not there: see `open_keys`.
    """
    with (
        open_database(settings) as url,
        open_pool(url) as pool,
        open_keys(settings, pool) as keys,
        StrikeLog(store_env(url)) as log,
    ):
        log.listeners += [METRICS.stored, stored]
        watch_edges(METRICS)
        directory = PostgresDirectory(pool, regions_of(pool))
        yield Strike(
            settings=settings,
            url=url,
            clock=ScaledClock(settings.clock_speed, settings.clock_epoch),
            pool=pool,
            directory=directory,
            keys=keys,
            accounts=PostgresAccounts(pool, keys.box),
            registry=PostgresRegistry(pool, keys.box),
            router=Router(directory),
            log=log,
        )


def publisher_to(settings: Settings) -> Callable[[str], Publisher]:
    """What opens a publisher of the log in a database to the NATS server that is set.

    Raises `Rejected` if none is set, or the extra `jetstream` is not installed.
    """
    if not settings.nats_url:
        message = "Set STRIKE_NATS_URL to the NATS server, as nats://127.0.0.1:4222."
        raise Rejected("NATS_NOT_SET", message)
    try:
        from strike_adapters.jetstream import Publisher, Target
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "nats":
            raise
        message = "To publish needs nats-py: pip install 'osprey-strike[jetstream]'."
        raise Rejected("NATS_NOT_INSTALLED", message) from None
    days = settings.nats_max_age_days
    target = Target(settings.nats_url, settings.nats_stream, timedelta(days=days) if days else None)
    for server in target.servers:
        _hide_login(server)
    return lambda url: Publisher(url, target, METRICS)


def _hide_login(url: str) -> None:
    # A name alone is a token.
    parts = urlsplit(url)
    hide(unquote(parts.password or parts.username or ""))


def open_identities(settings: Settings) -> Identities:
    """Whoever is trusted to say who is calling. Raises ValueError if that is nobody."""
    team, audience = settings.cloudflare_team, settings.cloudflare_audience
    return Identities(
        _load_balancer(settings) if settings.oidc_signer else None,
        _cloudflare(settings, team, audience) if team and audience else None,
    )


def _load_balancer(settings: Settings) -> LoadBalancerIdentity:
    endpoint = str(settings.oidc_keys).rstrip("/")
    believed = LoadBalancerSettings(
        signer=settings.oidc_signer,
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client,
        key_endpoint=endpoint,
    )
    return LoadBalancerIdentity(believed, http_key_fetcher(endpoint), _wall_clock)


def _cloudflare(settings: Settings, team: str, audience: str) -> CloudflareIdentity:
    certs = str(settings.cloudflare_certs) if settings.cloudflare_certs else None
    believed = CloudflareSettings(team=team, audience=audience, certs_url=certs)
    return CloudflareIdentity(believed, http_certs_fetcher(believed.keys_at()), _wall_clock)


def _wall_clock() -> datetime:
    """Of logins: other systems' tokens know no simulated time."""
    return datetime.now(UTC)


def _replica(settings: Settings, changes: Changes, size: int) -> Replica | None:
    if not settings.read_database_url:
        return None
    tenants = open_async_pool(settings.read_database_url, size=size, for_tenants=True)
    return Replica(
        settings.read_database_url, tenants, changes, settings.replica_lag_seconds, METRICS
    )


def open_services(strike: Strike, settings: Settings) -> Services:
    """What the HTTP server works with. `settings` may know the port by now."""
    changes = Changes(strike.url)
    size = settings.command_threads
    pool = open_async_pool(strike.url, size=max(2, size // 2))
    tenants = open_async_pool(strike.url, size=size, for_tenants=True)
    replica = _replica(settings, changes, size)
    queries = Queries(pool, tenants, changes, settings.wait_for_seconds, replica)
    most = Most(
        settings.streams_per_user, settings.streams_per_tenant, settings.streams_per_process
    )
    return Services(
        settings=settings,
        clock=strike.clock,
        callouts=strike.callouts(),
        drafting=strike.drafting(),
        paging=strike.paging(),
        queries=queries,
        changes=changes,
        following=Following(changes, queries.lines, strike.clock, METRICS, most),
        paging_seen_by=strike.paging_seen_by,
        administration=strike.administration(),
        checks=strike.checks(),
        identity=open_identities(settings),
        places=GeoNamesPlaces(),
        technicians=strike.technicians(),
        links=SignedLinks(strike.accounts, WebhookUrls(settings.webhook_base)),
        twilio_accounts=strike.accounts,
        webhook_urls=WebhookUrls(settings.webhook_base),
        executor=ThreadPoolExecutor(settings.command_threads, thread_name_prefix="command"),
    )
