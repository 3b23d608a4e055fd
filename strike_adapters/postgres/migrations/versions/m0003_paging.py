"""Keys with a reason, lists that are rung again, consent, measured regions, whose call is whose."""

from alembic import op
from sqlalchemy import text

from strike_domain.regions import region_area_m2

revision = "0003"
down_revision = "0002"

UP = """
ALTER TABLE pager_lists
    ADD COLUMN decline_keys jsonb NOT NULL DEFAULT
        '[{"key": "3", "reason": "CANNOT"}, {"key": "4", "reason": "TOO_FAR", "minutes": 60}]',
    ADD COLUMN ring_again_minutes int CHECK (ring_again_minutes BETWEEN 1 AND 1440),
    ADD COLUMN ring_again_times int NOT NULL DEFAULT 0 CHECK (ring_again_times BETWEEN 0 AND 20),
    ADD COLUMN region_area_m2 double precision;
COMMENT ON COLUMN pager_lists.ring_again_minutes IS
    'Pause before an exhausted list is rung again; NULL: it is not';

ALTER TABLE pager_contacts ADD COLUMN consented_on date;
COMMENT ON COLUMN pager_contacts.consented_on IS 'When the owner agreed to be rung by a machine';

CREATE TABLE provider_calls (
    sid text PRIMARY KEY,
    call_id uuid NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE provider_calls IS
    'Which call of a run a provider''s call belongs to, where that had to be found out by asking';
"""

MEASURED = """
ALTER TABLE pager_lists ADD CHECK ((region IS NULL) = (region_area_m2 IS NULL))
"""


def upgrade() -> None:
    op.execute(UP)
    connection = op.get_bind()
    found = connection.execute(
        text("SELECT id, region FROM pager_lists WHERE region IS NOT NULL")
    ).all()
    for list_id, region in found:
        connection.execute(
            text("UPDATE pager_lists SET region_area_m2 = :area WHERE id = :id"),
            {"area": region_area_m2(region), "id": list_id},
        )
    op.execute(MEASURED)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: dropping these columns loses what people entered.")
