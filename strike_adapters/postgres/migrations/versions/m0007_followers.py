"""How followers fare, which events they were told to leave out, and views that are rebuilt."""

from alembic import op

revision = "0007"
down_revision = "0006"

UP = """
CREATE TABLE follower_states (
    name text PRIMARY KEY,
    process text NOT NULL,
    active_since timestamptz NOT NULL,
    error text,
    traceback text,
    position bigint,
    event_id uuid,
    topic text,
    failed_at timestamptz,
    retries int NOT NULL DEFAULT 0,
    again_at timestamptz
);
COMMENT ON COLUMN follower_states.process IS 'Which one was active last';
COMMENT ON COLUMN follower_states.error IS 'NULL: it gets on';
COMMENT ON COLUMN follower_states.position IS 'Of the event on which it fails; NULL: on none';
COMMENT ON COLUMN follower_states.failed_at IS 'For the first time in a row';

CREATE TABLE follower_skips (
    name text NOT NULL,
    position bigint NOT NULL,
    event_id uuid,
    topic text NOT NULL,
    error text NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (name, position)
);
COMMENT ON TABLE follower_skips IS 'Which events people told followers to leave out, and why';

CREATE TABLE view_rebuilds (
    view text NOT NULL,
    part int NOT NULL,
    parts int NOT NULL,
    fingerprint text NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    events bigint NOT NULL DEFAULT 0,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (view, part)
);
COMMENT ON TABLE view_rebuilds IS 'How far the tables beside a view are, for each part of the log';
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: dropping these tables loses which were skipped.")
