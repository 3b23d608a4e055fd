"""The archive's tables beside a log's, and what is asked of both as of one log.

Whatever is archived of a stream is its beginning, up to one version; what comes later lies in the
live table. A statement reads both in one snapshot, so that an event which is being moved is seen
once, before or after.
"""

from __future__ import annotations

from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier

from strike_domain.log import LOG_NAME

# A table that is partitioned has no unique index without the key of its partitions: so months are
# those of the archive, and what no two events may have is held where events are stored.
ARCHIVED = """
CREATE TABLE IF NOT EXISTS {schema}.{archived} (
    originator_id {id_type} NOT NULL,
    originator_version bigint NOT NULL,
    topic text,
    state bytea,
    notification_id bigint NOT NULL,
    month date NOT NULL,
    PRIMARY KEY (originator_id, originator_version, month)
) PARTITION BY RANGE (month)
"""

BY_POSITION = """
CREATE UNIQUE INDEX IF NOT EXISTS {archived_positions}
    ON {schema}.{archived} (notification_id, month)
"""

STREAMS = """
CREATE TABLE IF NOT EXISTS {schema}.{streams} (
    originator_id {id_type} PRIMARY KEY,
    callout_id {id_type} NOT NULL,
    month date NOT NULL,
    last_version bigint NOT NULL,
    first_position bigint NOT NULL,
    last_position bigint NOT NULL,
    archived_at timestamptz NOT NULL
)
"""

BY_LAST_POSITION = """
CREATE INDEX IF NOT EXISTS {streams_positions} ON {schema}.{streams} (last_position)
"""

BY_CALLOUT = """
CREATE INDEX IF NOT EXISTS {streams_callouts} ON {schema}.{streams} (callout_id)
"""

EVERYTHING = """
CREATE OR REPLACE VIEW {schema}.{everything} AS
SELECT originator_id, originator_version, topic, state, notification_id FROM {schema}.{table}
UNION ALL
SELECT originator_id, originator_version, topic, state, notification_id FROM {schema}.{archived}
"""

# A trigger, because there is more than one way to store: saves with a tracking record do not call
# our function, and a version of Strike that knows of no archive may be running beside this one.
REFUSE = """
CREATE OR REPLACE FUNCTION {schema}.{refuse}() RETURNS trigger LANGUAGE plpgsql AS $refuse$
BEGIN
    -- Not a join: a session keeps its plan, and one made for a large group would read all streams.
    IF EXISTS (
        SELECT FROM added WHERE added.originator_version <= (
            SELECT kept.last_version FROM {schema}.{streams} kept
            WHERE kept.originator_id = added.originator_id
        )
    ) THEN
        RAISE unique_violation USING MESSAGE = 'an event with this originator and version exists '
            'already: it is archived';
    END IF;
    -- Who keeps an aggregate in mind may have it from a server that died, and that had acknowledged
    -- more than the standby in its place has: a stream with a hole could never be read again.
    IF EXISTS (
        SELECT FROM added WHERE added.originator_version > 1
        AND NOT coalesce((
            SELECT true FROM {schema}.{table} one
            WHERE one.originator_id = added.originator_id
              AND one.originator_version = added.originator_version - 1
        ), false)
        AND NOT coalesce((
            SELECT kept.last_version >= added.originator_version - 1
            FROM {schema}.{streams} kept WHERE kept.originator_id = added.originator_id
        ), false)
    ) THEN
        RAISE integrity_constraint_violation
            USING MESSAGE = 'an event has no other one before it in its stream';
    END IF;
    RETURN NULL;
END
$refuse$
"""

GUARD = """
CREATE OR REPLACE TRIGGER {refuse} AFTER INSERT ON {schema}.{table}
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {schema}.{refuse}()
"""

COMMENTS = """
COMMENT ON TABLE {schema}.{archived} IS 'Events of what is long over, by month; never drop one';
COMMENT ON TABLE {schema}.{streams} IS 'Each archived stream, and up to which version it is';
COMMENT ON COLUMN {schema}.{streams}.callout_id IS 'The ECO with which it was moved';
COMMENT ON COLUMN {schema}.{streams}.month IS 'In which the callout was over; where its events are';
COMMENT ON VIEW {schema}.{everything} IS 'The log as one: live and archived'
"""

DDL = (
    ARCHIVED,
    BY_POSITION,
    STREAMS,
    BY_LAST_POSITION,
    BY_CALLOUT,
    EVERYTHING,
    REFUSE,
    GUARD,
    COMMENTS,
)

# Reading -----------------------------------------------------------------------------------------
# The live table is asked first, and whether the archive has any of it: a row without a topic. Only
# if it has, both are asked.

NEWER_IN_STREAM = """
SELECT originator_version, topic, state FROM {schema}.{table}
WHERE originator_id = %(id)s AND originator_version > %(gt)s AND originator_version <= %(lte)s
UNION ALL
SELECT last_version, NULL, NULL FROM {schema}.{streams}
WHERE originator_id = %(id)s AND last_version > %(gt)s
ORDER BY originator_version
"""

WHOLE_STREAM = """
SELECT originator_version, topic, state FROM {schema}.{table}
WHERE originator_id = %(id)s AND originator_version > %(gt)s AND originator_version <= %(lte)s
UNION ALL
SELECT originator_version, topic, state FROM {schema}.{archived}
WHERE month = (SELECT month FROM {schema}.{streams} WHERE originator_id = %(id)s)
  AND originator_id = %(id)s AND originator_version > %(gt)s AND originator_version <= %(lte)s
ORDER BY originator_version
"""

NEWER_IN_LOG = """
(
    SELECT notification_id AS id, originator_id, originator_version, topic, state
    FROM {schema}.{table} WHERE notification_id > %(gt)s{narrower}
    ORDER BY notification_id LIMIT %(limit)s
)
UNION ALL
(
    SELECT last_position, originator_id, last_version, NULL, NULL FROM {schema}.{streams}
    WHERE last_position > %(gt)s ORDER BY last_position DESC LIMIT 1
)
ORDER BY id
"""

WHOLE_LOG = """
SELECT notification_id AS id, originator_id, originator_version, topic, state
FROM {schema}.{everything} WHERE notification_id > %(gt)s{narrower}
ORDER BY notification_id LIMIT %(limit)s
"""

# The month of each stream is known: of all partitions one is looked at.
STREAMS_UP_TO = """
SELECT notification_id AS id, originator_id, originator_version, topic, state
FROM {schema}.{table} WHERE originator_id = ANY(%(ids)s) AND notification_id <= %(end)s
UNION ALL
SELECT each.* FROM {schema}.{streams} kept CROSS JOIN LATERAL (
    SELECT notification_id, originator_id, originator_version, topic, state
    FROM {schema}.{archived} a
    WHERE a.month = kept.month AND a.originator_id = kept.originator_id
      AND a.notification_id <= %(end)s OFFSET 0
) each
WHERE kept.originator_id = ANY(%(ids)s)
ORDER BY id
"""

NEWEST_POSITION = f"""
coalesce(greatest((SELECT max(notification_id) FROM {LOG_NAME}_events),
                  (SELECT max(last_position) FROM {LOG_NAME}_events_archived_streams)), 0)
"""  # noqa: S608
"""Of Strike's own log, as a part of a statement; 0: it is empty."""

NEWEST = """
SELECT greatest((SELECT max(notification_id) FROM {schema}.{table}),
                (SELECT max(last_position) FROM {schema}.{streams})) AS max
"""


def narrowed(statement: str, *, ends: bool, of_topics: bool) -> str:
    """A reading of the log that is not of everything behind a position."""
    narrower = " AND notification_id <= %(lte)s" if ends else ""
    narrower += " AND topic = ANY(%(topics)s)" if of_topics else ""
    return statement.replace("{narrower}", narrower)


class Names:
    """What the tables of a log and of its archive are called; fills in statements."""

    def __init__(self, table: str, schema: str, id_type: str) -> None:
        self.table = table
        self.archived = f"{table}_archived"
        self.streams = f"{table}_archived_streams"
        self.everything = f"{table}_everything"
        self.all = (
            self.archived,
            self.streams,
            self.everything,
            f"{self.archived}_positions",
            f"{self.streams}_positions",
            f"{self.streams}_callouts",
        )
        self._names: dict[str, Any] = {
            "schema": Identifier(schema),
            "table": Identifier(table),
            "id_type": Identifier(id_type),
            "archived": Identifier(self.archived),
            "streams": Identifier(self.streams),
            "everything": Identifier(self.everything),
            "refuse": Identifier(f"{table}_refuse_archived"),
            "archived_positions": Identifier(f"{self.archived}_positions"),
            "streams_positions": Identifier(f"{self.streams}_positions"),
            "streams_callouts": Identifier(f"{self.streams}_callouts"),
        }

    def fill(self, statement: str, **parts: Composable) -> Composed:
        """The statement with names in the place of `{table}`, `{archived}` …, and those parts."""
        return SQL(statement).format(**self._names, **parts)
