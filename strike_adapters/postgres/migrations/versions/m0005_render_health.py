"""How each OSP's Render answers, as each worker process finds it."""

from alembic import op

revision = "0005"
down_revision = "0004"

UP = """
CREATE TABLE render_health (
    osp_id uuid NOT NULL,
    worker text NOT NULL,
    circuit text NOT NULL,
    circuit_until timestamptz,
    token_since timestamptz,
    token_until timestamptz,
    polls_per_minute double precision NOT NULL,
    unchanged_per_minute double precision NOT NULL,
    failures_per_minute double precision NOT NULL,
    last_answer_at timestamptz,
    last_error_at timestamptz,
    last_error text,
    reported_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (osp_id, worker)
);
COMMENT ON TABLE render_health IS
    'strike render status; a row that is older than a minute is of a worker that is gone';
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("DROP TABLE render_health")
