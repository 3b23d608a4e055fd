"""What all read models share: rows and position are one transaction, and the change is announced.

A read model is a pure function from an event, and the aggregate right after it, to rows. Its
follower runs no side effect: it may be stopped, repeated and rebuilt at any time.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from eventsourcing.persistence import OperationalError, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection
from psycopg import Connection, Cursor
from psycopg.rows import DictRow
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.fold import Fold, Read
from strike_adapters.postgres.pools import OnOneServer
from strike_adapters.postgres.views.rows import Upsert, write
from strike_domain.eco import Eco
from strike_domain.log import LOG_NAME
from strike_domain.pager_run import PagerRun

CHANGES = "strike_changes"
"""Channel on which every view says how far it is and what changed."""

DUE = "strike_due"
"""Channel that wakes the workers when something may be due."""

ANNOUNCE = f"SELECT pg_notify('{CHANGES}', %s)"

RECORDED = """
SELECT pg_notify(%s, told), set_config('synchronous_commit', 'off', true)
FROM json_array_elements_text(%s::json) AS told
"""
"""Announces what changed, and lets the commit not wait for the disk.

Rows and position are one transaction: what a crash of the database takes of both is followed again,
also by a follower that lived through it (`ViewRecorder.record`). Whatever a worker makes of the
rows is written to the disk after them, so never without them.
"""

STORED_POSITION = "SELECT notification_id FROM {} WHERE application_name = %s"

LIVE = 100
"""A batch of no more events than that is told ECO by ECO; a longer one wakes everybody."""


@dataclass(frozen=True)
class Change:
    """What one event does to a read model."""

    rows: Sequence[Upsert] = ()
    eco_id: UUID | None = None
    noc_id: UUID | None = None
    osp_id: UUID | None = None


NO_CHANGE = Change()


def change_of(aggregate: Eco | PagerRun, *rows: Upsert) -> Change:
    """A change that is announced to both sides of the ECO."""
    eco_id = aggregate.id if isinstance(aggregate, Eco) else aggregate.eco_id
    return Change(rows, eco_id, aggregate.noc_id, aggregate.osp_id)


@dataclass
class Batch:
    """What some events do to a read model: each row once, as it is after the last of them."""

    rows: dict[str, dict[Any, Upsert]] = field(default_factory=dict)
    """By table and key."""
    changes: dict[UUID | None, Change] = field(default_factory=dict)
    """The latest of each ECO."""

    def add(self, change: Change) -> None:
        """Take in what the next event does."""
        for one in change.rows:
            self.rows.setdefault(one.table, {})[one.row[one.key]] = one
        if change.eco_id is not None:
            self.changes[change.eco_id] = change

    def announcements(self, view: str, position: int, *, behind: bool) -> Iterator[str]:
        """What is told of it. Nobody whom a change concerns is left out."""
        if behind:
            yield announcement(view, position, NO_CHANGE, all=True)
            return
        for change in self.changes.values() or (NO_CHANGE,):
            yield announcement(view, position, change)


class Gathering:
    """What a view makes of some events, one after the other."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._batch = Batch()
        self._latest: dict[UUID, tuple[Any, Any, int]] = {}

    def take(self, event: Any, after: Any, position: int) -> None:
        """The next event, and its aggregate right after it."""
        if self._view.shows_latest:
            self._latest[after.id] = event, after, position
        else:
            self._batch.add(self._view.change(event, after, position))

    def batch(self) -> Batch:
        """What came of all of them."""
        for event, after, position in self._latest.values():
            self._batch.add(self._view.change(event, after, position))
        self._view.round_off(self._batch)
        return self._batch


@dataclass(frozen=True)
class Kept:
    """Columns of a table that workers write, and that a rebuild keeps.

    `always`: as they are. `if_same`: unless the follower would have written the row anew.
    `newer_rows`: workers write whole rows; of the old table and the new the newer row stands.
    """

    always: tuple[str, ...] = ()
    if_same: tuple[str, ...] = ()
    newer_rows: bool = False


class ViewRecorder(OnOneServer, PostgresTrackingRecorder):
    """Keeps rows and position together. Subclasses say which tables (`DDL`)."""

    DDL: ClassVar[Sequence[str]] = ()
    wakes_workers: ClassVar[bool] = False
    kept: ClassVar[Kept] = Kept()
    appended: ClassVar[frozenset[str]] = frozenset()
    """Tables in which every event has a row of its own, never written again."""

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

    @classmethod
    def settle(cls, cursor: Cursor[Any], batch: Batch, suffix: str = "") -> None:
        """What follows from a batch for rows of earlier ones, in the same transaction: nothing.

        `suffix`: what the names of its tables end with, where they are filled beside.
        """

    @classmethod
    def finish(cls, connection: Connection[Any], suffix: str) -> None:
        """What follows from all rows of tables that were filled beside, before they have indexes.

        It can be done again.
        """

    def record(
        self, name: str, batch: Batch, tracking: Tracking, *, behind: bool, after: int = 0
    ) -> None:
        """Write the rows and the position, and announce both, in one transaction.

        `behind`: there are too many changes to tell one by one. `after`: the position that is
        stored, as far as the caller knows. Raises `OperationalError` if it is no longer, or if this
        is another server: the database may have come back without what was committed last, and has
        to be followed again.
        """
        # The statements do not wait for each other's answers, nor the commit for theirs.
        with (
            self.datastore.get_connection() as connection,
            connection.pipeline(),
            connection.transaction(),
        ):
            self.check_server()
            cursor = connection.cursor()
            stored = connection.execute(
                self._stored_position, (tracking.application_name,), prepare=True
            )
            self._insert_tracking(cursor, tracking)
            self._check_not_behind(stored, after)
            for rows in batch.rows.values():
                write(cursor, rows.values())
            self.settle(cursor, batch)
            told = batch.announcements(name, tracking.notification_id, behind=behind)
            cursor.execute(RECORDED, (CHANGES, json.dumps([*told])))
            if self.wakes_workers and batch.rows:
                cursor.execute(f"NOTIFY {DUE}")

    def _check_not_behind(self, stored: Cursor[DictRow], after: int) -> None:
        """`stored`: the position before the new one. It came with the answer to that."""
        if after:
            row = stored.fetchone()
            if row is None or row["notification_id"] < after:
                raise OperationalError(f"{self.tracking_table_name} is no longer at {after}.")

    @cached_property
    def _stored_position(self) -> bytes:
        table = Identifier(self.datastore.schema, self.tracking_table_name)
        return SQL(STORED_POSITION).format(table).as_bytes()


def announcement(view: str, position: int, change: Change, *, all: bool = False) -> str:
    """What goes over the channel: `{"view", "position", "eco_id", "noc_id", "osp_id"}`.

    With `"all": true` there were too many changes to tell, and it concerns everybody.
    """
    ids = {"eco_id": change.eco_id, "noc_id": change.noc_id, "osp_id": change.osp_id}
    values: dict[str, Any] = {key: str(value) if value else None for key, value in ids.items()}
    if all:
        values["all"] = True
    return json.dumps({"view": view, "position": position, **values}, separators=(",", ":"))


class View(Projection[ViewRecorder]):
    """A read model: give `name` and `change`, and a recorder with its `DDL`."""

    recorder_class: ClassVar[type[ViewRecorder]]
    shows_latest: ClassVar[bool] = False
    """Rows say how the aggregate stands: of many events of one, only the last makes a row."""

    is_urgent: ClassVar[bool] = False
    """Somebody waits for its rows: people who look, workers who ring."""

    def __init__(self, view: ViewRecorder, fold: Fold) -> None:
        super().__init__(view)
        self._fold = fold

    @abstractmethod
    def change(self, event: Any, after: Any, position: int) -> Change:
        """The rows that follow from `event`. No I/O, no side effect."""

    def round_off(self, batch: Batch) -> None:
        """What rows of a batch say of each other, before they are written: nothing."""

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        after = self._fold.after(domain_event)
        try:
            self.process_batch([Read(tracking.notification_id, domain_event, after)])
        except BaseException:
            self._fold.forget(domain_event)
            raise

    def process_batch(self, reads: Sequence[Read], after: int = 0) -> None:
        """Take in some events, and the position of the last of them, or none.

        `after`: the position that is stored, as far as the caller knows (`ViewRecorder.record`).
        """
        gathering = Gathering(self)
        for one in reads:
            if one.error is not None:
                raise one.error
            gathering.take(one.event, one.after, one.position)
        tracking = Tracking(LOG_NAME, reads[-1].position)
        behind = len(reads) > LIVE
        self.view.record(self.name, gathering.batch(), tracking, behind=behind, after=after)
