"""Bring a database to the form that this version needs. Safe to run at every start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import psycopg
from eventsourcing.persistence import InfrastructureFactory
from eventsourcing.utils import Environment

from strike_adapters.postgres import drafts, publisher_positions
from strike_adapters.postgres.archive import runs
from strike_adapters.postgres.archive.tables import DDL
from strike_adapters.postgres.followers import VIEWS, open_view
from strike_adapters.postgres.giving_way import LIMITED, give_way
from strike_adapters.postgres.group_commit import APPEND
from strike_adapters.postgres.migrations import VERSION_TABLE
from strike_adapters.postgres.regions import ADD_SHAPES, HAS_POSTGIS, HAS_SHAPES
from strike_adapters.postgres.row_security import FUNCTIONS, WALLS, WORDS, walls
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.view import View
from strike_domain.log import StrikeLog

PREPARING = 7_305_114
"""Key of the advisory lock that lets one process prepare the database while others wait."""

CREATE_MEMORY = """
CREATE TABLE IF NOT EXISTS strike_prepared (
    fingerprint text PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""

BESIDE = (publisher_positions.CREATE_TABLE, drafts.CREATE_TABLE, runs.CREATE_TABLE)
"""Tables that are no read models and that no migration makes."""

REMEMBER = "INSERT INTO strike_prepared (fingerprint) VALUES (%s)"


def prepare(url: str) -> None:
    """Create or migrate every table in the database at `url`, unless this version has done it.

    Migrations of a newer version stay as they are: during an upgrade both run side by side.
    Raises `psycopg.OperationalError` if it cannot be reached, `TenantRoleMissing` if its user may
    not make the role that keeps tenants apart, and `TablesInUse` if somebody is at a table that is
    to be changed and does not end.
    """
    with psycopg.connect(url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", (PREPARING,))
        gate.execute(LIMITED)
        if not _is_prepared(gate):
            give_way(gate, _steps(url, gate))
            gate.execute(REMEMBER, (_fingerprint(),))
        give_way(gate, [lambda: _use_postgis(gate)])


def _steps(url: str, gate: psycopg.Connection) -> Iterator[Callable[[], object]]:
    """What there is to do, in this order; each step may be repeated."""
    yield lambda: _migrate_directory(url)
    env = store_env(url, pool_size=1, creates_tables=True, gives_way=True)
    yield lambda: _create_log(env)
    with StrikeLog(store_env(url, pool_size=1)) as log:
        for view_class in VIEWS:
            yield partial(_create_view, view_class, log, env)
    for text in BESIDE:
        yield partial(gate.execute, text)
    yield from walls(gate)


def _is_prepared(gate: psycopg.Connection) -> bool:
    gate.execute(CREATE_MEMORY)
    row = gate.execute("SELECT 1 FROM strike_prepared WHERE fingerprint = %s", (_fingerprint(),))
    return row.fetchone() is not None


def _use_postgis(gate: psycopg.Connection) -> None:
    """Where the extension is there, also if it came later, regions get a form that it compares."""
    if gate.execute(HAS_POSTGIS).fetchone() and not gate.execute(HAS_SHAPES).fetchone():
        gate.execute(ADD_SHAPES)


def _fingerprint() -> str:
    """Changes with every table that this version would make otherwise."""
    migrations = sorted((Path(__file__).parent / "migrations" / "versions").glob("m*.py"))
    texts = [version("eventsourcing"), *(one.read_text("utf-8") for one in migrations)]
    texts += [APPEND, *DDL, FUNCTIONS, WORDS, *(f"{name}{wall}" for name, wall in WALLS.items())]
    texts += BESIDE
    texts += [text for view in VIEWS for text in view.recorder_class.DDL]
    return sha256("\0".join(texts).encode()).hexdigest()


def _migrate_directory(url: str) -> None:
    # SQLAlchemy is slow to import and needed only here.
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        connection.exec_driver_sql(LIMITED)
        config.attributes["connection"] = connection
        known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
        made = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        if set(made.get_current_heads()) <= known:
            command.upgrade(config, "head")


def _create_log(env: Mapping[str, str]) -> None:
    factory: InfrastructureFactory = InfrastructureFactory.construct(
        Environment(StrikeLog.name, dict(env))
    )
    with factory, StrikeLog(env):
        factory.process_recorder()


def _create_view(view_class: type[View], log: StrikeLog, env: Mapping[str, str]) -> None:
    open_view(view_class, log, env).view.datastore.close()
