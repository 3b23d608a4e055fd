"""Callouts that were drafted, for whichever server is asked to make them."""

from alembic import op

revision = "0011"
down_revision = "0010"

UP = """
CREATE TABLE eco_drafts (
    noc_id uuid NOT NULL REFERENCES tenants,
    caller uuid NOT NULL,
    confirmation text NOT NULL,
    expires_at timestamptz NOT NULL,
    eco_order jsonb NOT NULL,
    PRIMARY KEY (noc_id, caller, confirmation)
);
COMMENT ON TABLE eco_drafts IS 'Callouts that a person has not agreed to; gone after ten minutes';
COMMENT ON COLUMN eco_drafts.caller IS 'Id of the user or API token; nobody else can confirm it';
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("DROP TABLE eco_drafts")
