"""What all read models share: rows and position are one transaction, and the change is announced.

A read model is a pure function from an event, and the aggregate right after it, to rows. Its
follower runs no side effect: it may be stopped, repeated and rebuilt at any time.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Protocol
from uuid import UUID

from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection
from psycopg.sql import SQL, Identifier, Placeholder

from strike_adapters.postgres.fold import Fold
from strike_domain.eco import Eco
from strike_domain.pager_run import PagerRun

CHANGES = "strike_changes"
"""Channel on which every view says how far it is and what changed."""

DUE = "strike_due"
"""Channel that wakes the workers when something may be due."""

ANNOUNCE = f"SELECT pg_notify('{CHANGES}', %s)"

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Upsert:
    """One row for one table; `key` names its primary key, `newer` the column that only rises."""

    table: str
    key: str
    row: Row
    newer: str = "version"

    def statement(self) -> bytes:
        """INSERT, or UPDATE unless the stored row is as new already."""
        return _upsert(self.table, self.key, self.newer, tuple(self.row))


class Write(Protocol):
    """One statement of ours on a read model's table, and its values."""

    @property
    def table(self) -> str: ...

    @property
    def row(self) -> Row: ...

    def statement(self) -> bytes: ...


@lru_cache(maxsize=100)
def _upsert(table: str, key: str, newer: str, columns: tuple[str, ...]) -> bytes:
    updates = [
        SQL("{0} = excluded.{0}").format(Identifier(name)) for name in columns if name != key
    ]
    statement = SQL(
        "INSERT INTO {table} AS stored ({columns}) VALUES ({values}) "
        "ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE stored.{newer} < excluded.{newer}"
    ).format(
        table=Identifier(table),
        columns=SQL(", ").join(map(Identifier, columns)),
        values=SQL(", ").join(map(Placeholder, columns)),
        key=Identifier(key),
        updates=SQL(", ").join(updates),
        newer=Identifier(newer),
    )
    return statement.as_bytes(None)


@dataclass(frozen=True)
class Change:
    """What one event does to a read model."""

    rows: Sequence[Write] = ()
    eco_id: UUID | None = None
    noc_id: UUID | None = None
    osp_id: UUID | None = None


NO_CHANGE = Change()


def change_of(aggregate: Eco | PagerRun, *rows: Write) -> Change:
    """A change that is announced to both sides of the ECO."""
    eco_id = aggregate.id if isinstance(aggregate, Eco) else aggregate.eco_id
    return Change(rows, eco_id, aggregate.noc_id, aggregate.osp_id)


class ViewRecorder(PostgresTrackingRecorder):
    """Keeps rows and position together. Subclasses say which tables (`DDL`)."""

    DDL: ClassVar[Sequence[str]] = ()
    wakes_workers: ClassVar[bool] = False

    def __init__(
        self, datastore: PostgresDatastore, *, tracking_table_name: str, **kwargs: Any
    ) -> None:
        super().__init__(datastore, tracking_table_name=tracking_table_name, **kwargs)
        self.sql_create_statements.extend(SQL(text).format() for text in self.DDL)
        # The library turns vacuuming off in effect, and this one row changes with every event.
        self.sql_create_statements.append(
            SQL("ALTER TABLE {} SET (autovacuum_vacuum_threshold = 1000, fillfactor = 50)").format(
                Identifier(self.datastore.schema, tracking_table_name)
            )
        )

    def record(self, name: str, change: Change, tracking: Tracking) -> None:
        """Write the rows and the position, and announce both, in one transaction."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            for one in change.rows:
                cursor.execute(one.statement(), one.row)
            cursor.execute(ANNOUNCE, (announcement(name, tracking.notification_id, change),))
            if self.wakes_workers and change.rows:
                cursor.execute(f"NOTIFY {DUE}")


def announcement(view: str, position: int, change: Change) -> str:
    """What goes over the channel: `{"view", "position", "eco_id", "noc_id", "osp_id"}`."""
    ids = {"eco_id": change.eco_id, "noc_id": change.noc_id, "osp_id": change.osp_id}
    values = {key: str(value) if value else None for key, value in ids.items()}
    return json.dumps({"view": view, "position": position, **values}, separators=(",", ":"))


class View(Projection[ViewRecorder]):
    """A read model: give `name` and `change`, and a recorder with its `DDL`."""

    recorder_class: ClassVar[type[ViewRecorder]]

    def __init__(self, view: ViewRecorder, fold: Fold) -> None:
        super().__init__(view)
        self._fold = fold

    @abstractmethod
    def change(self, event: Any, after: Any, position: int) -> Change:
        """The rows that follow from `event`. No I/O, no side effect."""

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        try:
            after = self._fold.after(domain_event)
            change = self.change(domain_event, after, tracking.notification_id)
            self.view.record(self.name, change, tracking)
        except BaseException:
            self._fold.forget(domain_event)
            raise
