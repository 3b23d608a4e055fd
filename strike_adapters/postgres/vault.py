"""The sealed secrets of the whole database: counted, tried, and moved to another key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

from psycopg.sql import SQL, Composed, Identifier

from strike_adapters.postgres.accounts import RENDER_SECRET, TWILIO_TOKEN
from strike_adapters.postgres.pools import Pool
from strike_adapters.secrets import KEY_UNAVAILABLE, SecretBox, SecretError, key_id_of


@dataclass(frozen=True)
class Kind:
    """One sort of secret, and where it is. `purpose` is what it is bound to, and its name."""

    purpose: str
    words: str
    table: str
    owner: str
    column: str

    def sql(self, text: str) -> Composed:
        """`text` with {table}, {owner} and {column} filled in."""
        return SQL(text).format(
            table=Identifier(self.table),
            owner=Identifier(self.owner),
            column=Identifier(self.column),
        )


KINDS = (
    Kind(TWILIO_TOKEN, "Twilio auth token", "twilio_accounts", "noc_id", "auth_token"),
    Kind(RENDER_SECRET, "Render client secret", "render_instances", "osp_id", "client_secret"),
)

# Where the key id is: strike_adapters/secrets/envelope.py.
KEY_ID = r"""
CASE WHEN substr({column}, 1, 1) IN ('\x01', '\x02') AND length({column}) > 9
     THEN substr({column}, 2, 8) END
"""

COUNT = f"""
SELECT %s AS purpose, {KEY_ID} AS key_id, count(*) AS times FROM {{table}} GROUP BY 2
"""  # noqa: S608 - all of it is written here

ELSEWHERE = f"""
SELECT {{owner}} AS id FROM {{table}} WHERE ({KEY_ID}) IS DISTINCT FROM %s ORDER BY 1
"""  # noqa: S608

ALL = "SELECT {owner} AS id, {column} AS sealed FROM {table} ORDER BY 1"

HOLD = "SELECT {column} AS sealed FROM {table} WHERE {owner} = %s FOR UPDATE"

KEEP = "UPDATE {table} SET {column} = %s WHERE {owner} = %s"


@dataclass(frozen=True)
class Stored:
    """So many secrets of one kind under one key; `key_id` is None for what is no sealed secret."""

    kind: Kind
    key_id: bytes | None
    count: int


@dataclass(frozen=True)
class Closed:
    """A secret that does not open, and why."""

    kind: Kind
    tenant_id: UUID
    error: SecretError


@dataclass(frozen=True)
class Step:
    """How far a rotation is: `done` of `of` were looked at; `closed` is the last, if it failed."""

    done: int
    of: int
    closed: Closed | None = None


@dataclass(frozen=True)
class Rotation:
    """What a rotation did. Those that were changed by others meanwhile are in neither."""

    moved: int
    closed: tuple[Closed, ...]


def sealed(pool: Pool) -> list[Stored]:
    """Return what is stored, by kind and key id. One statement; nothing is opened."""
    statement = SQL(" UNION ALL ").join([one.sql(COUNT) for one in KINDS])
    by_purpose = {one.purpose: one for one in KINDS}
    with pool.connection() as connection:
        rows = connection.execute(statement, [one.purpose for one in KINDS]).fetchall()
    found = [Stored(by_purpose[row["purpose"]], row["key_id"], row["times"]) for row in rows]
    return sorted(found, key=lambda one: (one.kind.purpose, one.key_id or b""))


def closed(pool: Pool, box: SecretBox) -> Iterator[Closed]:
    """Open every secret, forget it, and yield those that do not open.

    A key that cannot be asked is asked once: what else is under it is not tried.
    """
    silent: dict[bytes | None, SecretError] = {}
    for kind in KINDS:
        with pool.connection() as connection:
            rows = connection.execute(kind.sql(ALL)).fetchall()
        for row in rows:
            key_id = key_id_of(row["sealed"])
            error = silent.get(key_id) or _failure(box, row["id"], kind, row["sealed"])
            if error is None:
                continue
            if error.code == KEY_UNAVAILABLE:
                silent[key_id] = error
            yield Closed(kind, row["id"], error)


def rewrap_all(
    pool: Pool, box: SecretBox, progress: Callable[[Step], None] = lambda step: None
) -> Rotation:
    """Move every secret that is not under the present key of `box` to it, each by itself.

    Can be interrupted at any moment (also by an exception of `progress`, which is called after each
    secret) and begun again: what is done stays done. A secret that somebody saves meanwhile is
    kept. One that does not open is left as it is, and the others go on. Raises `SecretError`
    (KEY_UNAVAILABLE) if nothing can be sealed with the present key.
    """
    # To learn it here, and not from every row.
    box.seal(UUID(int=0), "rotation", "")
    work = [(kind, id_) for kind in KINDS for id_ in _elsewhere(pool, box, kind)]
    mover = _Mover(pool, box)
    for done, (kind, tenant_id) in enumerate(work, 1):
        progress(Step(done, len(work), mover.move(kind, tenant_id)))
    return Rotation(mover.moved, tuple(mover.closed))


class _Mover:
    def __init__(self, pool: Pool, box: SecretBox) -> None:
        self._pool = pool
        self._box = box
        self._silent: dict[bytes | None, SecretError] = {}
        self.moved = 0
        self.closed: list[Closed] = []

    def move(self, kind: Kind, tenant_id: UUID) -> Closed | None:
        try:
            self.moved += self._rewrap(kind, tenant_id)
        except SecretError as error:
            self.closed.append(Closed(kind, tenant_id, error))
            return self.closed[-1]
        return None

    def _rewrap(self, kind: Kind, tenant_id: UUID) -> bool:
        """Whether there was anything to do. The lock keeps out whoever would save it meanwhile."""
        with self._pool.connection() as connection, connection.transaction():
            row = connection.execute(kind.sql(HOLD), (tenant_id,)).fetchone()
            if row is None or key_id_of(row["sealed"]) == self._box.key_id:
                return False
            moved = self._asked(kind, tenant_id, row["sealed"])
            connection.execute(kind.sql(KEEP), (moved, tenant_id))
        return True

    def _asked(self, kind: Kind, tenant_id: UUID, stored: bytes) -> bytes:
        """A key that cannot be asked would let every row wait, and whoever wants to save it."""
        key_id = key_id_of(stored)
        if key_id in self._silent:
            raise self._silent[key_id]
        try:
            return self._box.rewrap(tenant_id, kind.purpose, stored)
        except SecretError as error:
            if error.code == KEY_UNAVAILABLE:
                self._silent[key_id] = error
            raise


def _elsewhere(pool: Pool, box: SecretBox, kind: Kind) -> list[UUID]:
    with pool.connection() as connection:
        rows = connection.execute(kind.sql(ELSEWHERE), (box.key_id,)).fetchall()
    return [row["id"] for row in rows]


def _failure(box: SecretBox, tenant_id: UUID, kind: Kind, stored: bytes) -> SecretError | None:
    try:
        box.open(tenant_id, kind.purpose, stored)
    except SecretError as error:
        return error
    return None
