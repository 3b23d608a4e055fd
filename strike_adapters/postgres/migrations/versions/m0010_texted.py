"""Who also gets a text with a link when their phone is rung."""

from alembic import op

revision = "0010"
down_revision = "0009"

UP = """
ALTER TABLE pager_contacts ADD COLUMN texted boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN pager_contacts.texted IS 'Gets a text with a link as well, when rung';
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("ALTER TABLE pager_contacts DROP COLUMN texted")
