"""A fault of PostgreSQL 18 that Strike goes round in one place: `views/eco_history.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from strike_adapters.postgres.views.eco_history import EcoHistory, EcoHistoryRecorder
from tests.integration.stored import follow, stored_night

ROWS, STATES_EACH = 20_000, 1_000

MANY = """
CREATE TEMP TABLE many (id int, made_of int, made int GENERATED ALWAYS AS (made_of + 1) STORED);
INSERT INTO many SELECT n, n FROM generate_series(1, %d) AS n;
"""


def peak(connection: psycopg.Connection[Any]) -> int:
    """The most memory that the connection's server process has ever had, in bytes."""
    status = Path(f"/proc/{connection.info.backend_pid}/status").read_text()
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def grown(connection: psycopg.Connection[Any], statement: str) -> float:
    """Bytes for each row by which a statement makes the server process grow."""
    before = peak(connection)
    cursor = connection.execute(statement.encode())
    return (peak(connection) - before) / cursor.rowcount


def test_an_update_beside_a_generated_column_still_keeps_memory_for_each_row(
    database_url: str,
) -> None:
    # When this fails, `stale = stale` can go.
    with psycopg.connect(database_url) as connection:
        connection.execute((MANY % (5 * ROWS)).encode())
        assert grown(connection, "UPDATE many SET id = id + 1, made_of = made_of") < 100
        assert grown(connection, "UPDATE many SET id = id + 1") > 200


STATES = """
CREATE TEMP TABLE eco_history_many (LIKE eco_history INCLUDING GENERATED INCLUDING DEFAULTS);
INSERT INTO eco_history_many ({columns}) SELECT {values}
FROM eco_history, generate_series(0, {rows} - 1) AS n WHERE from_position = 1
"""


def test_ending_the_states_of_the_past_takes_no_memory_for_each(database_url: str) -> None:
    """A rebuild ends those of a million ECOs in one statement."""
    with stored_night(database_url) as night:
        night.order()
        follow(night.url, EcoHistory)
        with psycopg.connect(night.url) as connection:
            connection.execute(many_states(connection))
            before = peak(connection)
            EcoHistoryRecorder.finish(connection, "_many")
            assert (peak(connection) - before) / ROWS < 500
            ended = "SELECT count(*) FROM eco_history_many WHERE until_at < '9999-01-01 00:00Z'"
            assert connection.execute(ended).fetchone() == (ROWS - ROWS // STATES_EACH,)


def many_states(connection: psycopg.Connection[Any]) -> bytes:
    """One ECO's first state, as if many had had so many each, for a second."""
    found = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'eco_history'::regclass "
        "AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
    ).fetchall()
    columns = [name for (name,) in found]
    made = {
        "from_position": "n",
        "from_at": "from_at + n * interval '1 s'",
        "eco_id": f"md5((n / {STATES_EACH})::text)::uuid",
    }
    return STATES.format(
        columns=", ".join(columns),
        values=", ".join(made.get(name, name) for name in columns),
        rows=ROWS,
    ).encode()
