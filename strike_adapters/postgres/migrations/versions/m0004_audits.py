"""What the auditor found, and when it last looked."""

from alembic import op

revision = "0004"
down_revision = "0003"

UP = """
CREATE TABLE audit_findings (
    code text NOT NULL,
    subject text NOT NULL,
    said text NOT NULL,
    repaired boolean NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleared_at timestamptz,
    PRIMARY KEY (code, subject, found_at)
);
COMMENT ON TABLE audit_findings IS
    'What was wrong with paging; cleared_at IS NULL: it still is';
CREATE UNIQUE INDEX audit_findings_open ON audit_findings (code, subject) WHERE cleared_at IS NULL;

CREATE TABLE audits (
    auditor text PRIMARY KEY,
    at timestamptz NOT NULL,
    findings int NOT NULL,
    heartbeat_at timestamptz
);
COMMENT ON COLUMN audits.heartbeat_at IS 'When the outside monitor was last told that all is well';
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: dropping these tables loses the audits' record.")
