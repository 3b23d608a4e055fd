"""The domain's stories, told on PostgreSQL, and whatever else these tests need of a database."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import psycopg
from eventsourcing.persistence import Tracking
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from strike_adapters.memory import FakeFieldWork
from strike_adapters.postgres.accounts import PostgresAccounts
from strike_adapters.postgres.auditor import Runnable
from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.followers import FOLLOWER_NAMES, VIEWS, open_view
from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.view import View
from strike_adapters.render import RenderInstance
from strike_adapters.secrets import SecretBox
from strike_domain import (
    Callouts,
    CrewDesk,
    FieldTerms,
    Link,
    LinkStatus,
    ManualClock,
    PagerList,
    PagerProcess,
    Paging,
    Ringer,
    Router,
    Side,
    StrikeInMemory,
    StrikeLog,
    Tenant,
)
from strike_domain.memory import PaperLinks
from strike_domain.technicians import Technicians
from strike_domain.texter import Texter
from tests.unit.given import ANA, BEN, CEM, LIST, NOC, OSP, START, Night, Switchboard

CREWED, LISTLESS = UUID(int=0xC4E3), UUID(int=0x0115)
"""A contractor with a Render instance, and one with no list."""

TENANTS = (
    Tenant(id=NOC, name="Nordlicht", side=Side.NOC),
    Tenant(id=OSP, name="Splice & Sons", side=Side.OSP),
    Tenant(id=CREWED, name="Crewed", side=Side.OSP),
    Tenant(id=LISTLESS, name="Listless", side=Side.OSP),
)
LINKS = tuple(
    Link(noc_id=NOC, osp_id=osp_id, status=LinkStatus.ACTIVE) for osp_id in (OSP, CREWED, LISTLESS)
)
LISTS = (
    PagerList(id=LIST, osp_id=OSP, name="nights", contacts=(ANA, BEN)),
    PagerList(id=UUID(int=0x116), osp_id=CREWED, name="crew", contacts=(CEM, ANA), rounds=2),
)
RENDER = RenderInstance(
    osp_id=CREWED,
    base_url="http://render.invalid",
    client_id="strike",
    client_secret=SecretStr("not-for-the-log"),
    project="P-1",
)

KEY = bytes(range(32))
"""What the secrets of these tests are sealed with."""

THING = TypeVar("THING")


def eventually(probe: Callable[[], THING], seconds: float = 10) -> THING:
    """What `probe` says as soon as that is true of anything; the test fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < end, f"Not within {seconds} s: {found!r}"
        time.sleep(0.005)
    return found


def rows(url: str, query: str, *values: object) -> list[DictRow]:
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(query, values).fetchall()


def is_waited_for(url: str, table: str) -> bool:
    """Whether somebody waits until they can have that table for themselves."""
    query = """
    SELECT 1 FROM pg_locks WHERE relation = to_regclass(%s) AND NOT granted
    AND mode = 'AccessExclusiveLock'
    """
    return bool(rows(url, query, table))


def is_caught_up(url: str) -> bool:
    """Whether every follower, the pager among them, has come to the end of the log.

    Once more after it was true: what the pager wrote meanwhile is for the others to follow.
    """
    end = "SELECT coalesce(max(notification_id), 0) AS n FROM strike_events"
    reached = "SELECT notification_id AS n FROM {}_tracking WHERE application_name = 'strike'"
    names = ["strike" if name == "pager" else name for name in FOLLOWER_NAMES]
    statements = [end, *map(reached.format, names), end]
    with psycopg.connect(url, autocommit=True) as connection:
        found = [connection.execute(one.encode()).fetchone() for one in statements]
    return len(set(found)) == 1


def execute(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement, values)


def table(url: str, name: str) -> list[DictRow]:
    """All rows of a table, in the order of its first column."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        query = SQL("SELECT * FROM {} ORDER BY 1").format(Identifier(name))
        return connection.execute(query).fetchall()


class Stands:
    """A clock for workers that stands until it is moved; counts how often it is read."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.manual = clock or ManualClock(START)
        self.reads = 0

    def now(self) -> datetime:
        self.reads += 1
        return self.manual.now()

    def seconds_until(self, moment: datetime) -> float:
        self.reads += 1
        return (moment - self.manual.now()).total_seconds()


class Running:
    """Things with `run(stop)`, each in a thread of its own."""

    def __init__(self, *things: Runnable) -> None:
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=one.run, args=(self.stop,)) for one in things]

    def __enter__(self) -> Running:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def opened(url: str) -> Iterator[Pool]:
    """A pool on a database that holds the companies of these tests."""
    with open_pool(url) as pool:
        settle_in(pool)
        yield pool


def settle_in(pool: Pool) -> None:
    """Store the companies of these tests."""
    for tenant in TENANTS:
        save_tenant(pool, tenant)
    for link in LINKS:
        save_link(pool, link)
    for pager_list in LISTS:
        PostgresDirectory(pool).save_list(pager_list)
    PostgresAccounts(pool, SecretBox(KEY)).save_render(RENDER)


def write_key(folder: Path) -> Path:
    """A key file of `KEY`, for commands that open the database by themselves."""
    file = folder / "secrets.key"
    file.write_bytes(base64.b64encode(KEY))
    file.chmod(0o600)
    return file


def follow(url: str, *views: type[View]) -> None:
    """Let each view take in what is new in the log, here and now."""
    env = store_env(url, pool_size=1)
    with StrikeLog(env) as log:
        for view_class in views or VIEWS:
            view = open_view(view_class, log, env)
            with view.view.datastore:
                catch_up(view, log)


def catch_up(view: View, log: StrikeLog) -> None:
    last = view.view.max_tracking_id(log.name)
    for one in log.recorder.select_notifications(last, 1_000_000, inclusive_of_start=False):
        view.process_event(log.mapper.to_domain_event(one), Tracking(log.name, one.id))


def forget(url: str, view: type[View]) -> None:
    """Empty a view's tables, and forget its position with them."""
    # Not the whole tracking table: the library remembers there in which form it is.
    position = Identifier(f"{view.name}_tracking")
    with psycopg.connect(url) as connection:
        for name in tables_of(view):
            connection.execute(SQL("TRUNCATE {}").format(Identifier(name)))
        connection.execute(SQL("DELETE FROM {} WHERE application_name = 'strike'").format(position))


def tables_of(view: type[View]) -> Sequence[str]:
    found = (
        re.search(r"CREATE TABLE IF NOT EXISTS (\w+)", text) for text in view.recorder_class.DDL
    )
    return [one[1] for one in found if one]


# Nights ------------------------------------------------------------------------------------


class StrikeStored(StrikeInMemory):
    """The same parts on PostgreSQL, still moved step by step by the test's own thread."""

    def __init__(
        self, url: str, pool: Pool, telephone: Switchboard, crew: FakeFieldWork, clock: ManualClock
    ) -> None:
        env = store_env(url)
        directory = PostgresDirectory(pool)
        router = Router(directory)
        self.clock = clock
        self.log = StrikeLog(env)
        self.process = PagerProcess(router, clock, env)
        self.callouts = Callouts(self.log, directory, clock)
        self.paging = Paging(self.log, router, directory, clock)
        self.technicians = Technicians(self.log, self.paging, directory, clock)
        self.ringer = Ringer(
            self.log,
            telephone,
            clock,
            others=directory,
            router=router,
            texter=Texter(self.log, telephone, PaperLinks(), clock),
        )
        self.desk = CrewDesk(self.log, crew, clock, directory)
        self._runs = set()
        self._looks = {}


class LongNight(Night):
    """A night in memory, with all the companies of these tests and a crew."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.crew = FakeFieldWork(self.clock)
        self.switchboard = Switchboard(self.clock)
        self.strike = self._strike()
        self.eco_id = UUID(int=0)

    def save_list(self, pager_list: PagerList) -> None:
        self.strike.directory.add(pager_list)

    def set_terms(self, terms: FieldTerms) -> None:
        """How `CREWED` wants its field work followed from now on."""
        self.strike.directory.terms[CREWED] = terms

    def _strike(self) -> StrikeInMemory:
        strike = StrikeInMemory(
            self.switchboard, self.crew, clock=self.clock, texts=self.switchboard
        )
        strike.directory.add(*TENANTS, *LINKS, *LISTS)
        strike.directory.render_osps.add(CREWED)
        return strike


class StoredNight(LongNight):
    """The same night in the database at `url`."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.url, self.pool = url, pool
        super().__init__()

    def save_list(self, pager_list: PagerList) -> None:
        PostgresDirectory(self.pool).save_list(pager_list)

    def set_terms(self, terms: FieldTerms) -> None:
        update = {
            "polling_seconds": terms.interval.total_seconds(),
            "grace_hours": terms.grace.total_seconds() / 3600,
            "inactivity_hours": terms.inactivity.total_seconds() / 3600,
        }
        accounts = PostgresAccounts(self.pool, SecretBox(KEY))
        accounts.save_render(RENDER.model_copy(update=update))

    def _strike(self) -> StrikeInMemory:
        return StrikeStored(self.url, self.pool, self.switchboard, self.crew, self.clock)


@contextmanager
def stored_night(url: str) -> Iterator[StoredNight]:
    """A night on a fresh database, with the companies stored."""
    with opened(url) as pool:
        night = StoredNight(url, pool)
        try:
            yield night
        finally:
            night.strike.process.close()
            night.strike.log.close()


HERE = (
    "SELECT {} FROM pg_stat_activity "
    "WHERE pid <> pg_backend_pid() AND datname = current_database() AND "
)


def end_connections(url: str, where: str = "true", *values: object) -> None:
    """End the connections to this database that are so, or all, and wait until they are gone."""
    rows(url, HERE.format("pg_terminate_backend(pid, 10000)") + where, *values)


def end_connections_when(many: int, url: str, where: str, *values: object) -> None:
    """The same, as soon as there are so many: a follower that just lost one may be between two."""
    eventually(lambda: len(rows(url, HERE.format("pid") + where, *values)) >= many)
    end_connections(url, where, *values)
