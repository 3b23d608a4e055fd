"""Half an hour is a time too: as whole numbers it was stored as none, and an ECO closed at once."""

from alembic import op

revision = "0002"
down_revision = "0001"

UP = """
ALTER TABLE render_instances
    ALTER COLUMN polling_seconds TYPE double precision,
    ALTER COLUMN inactivity_hours TYPE double precision,
    ALTER COLUMN grace_hours TYPE double precision;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: whole hours would lose what people entered.")
