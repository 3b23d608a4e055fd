"""Companies, people, links, pager lists, outside accounts, job numbers."""

from alembic import op

revision = "0001"
down_revision = None

UP = """
CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    side text NOT NULL CHECK (side IN ('NOC', 'OSP'))
);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    email text NOT NULL UNIQUE,
    name text NOT NULL,
    subject text UNIQUE
);

CREATE TABLE memberships (
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES tenants ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('VIEWER', 'OPERATOR', 'ADMIN')),
    PRIMARY KEY (user_id, tenant_id)
);

CREATE TABLE links (
    noc_id uuid NOT NULL REFERENCES tenants,
    osp_id uuid NOT NULL REFERENCES tenants,
    status text NOT NULL CHECK (status IN ('PENDING', 'ACTIVE', 'SUSPENDED')),
    paging_policy text NOT NULL DEFAULT 'AUTOMATIC'
        CHECK (paging_policy IN ('AUTOMATIC', 'MANUAL')),
    PRIMARY KEY (noc_id, osp_id)
);

CREATE TABLE pager_lists (
    id uuid PRIMARY KEY,
    osp_id uuid NOT NULL REFERENCES tenants,
    name text NOT NULL,
    region jsonb,
    region_box box,
    rounds int NOT NULL DEFAULT 1 CHECK (rounds BETWEEN 1 AND 10),
    answer_seconds int NOT NULL DEFAULT 30 CHECK (answer_seconds BETWEEN 5 AND 120),
    CHECK ((region IS NULL) = (region_box IS NULL))
);
COMMENT ON COLUMN pager_lists.region IS 'GeoJSON Polygon or MultiPolygon; NULL: the default list';
CREATE UNIQUE INDEX pager_lists_one_default ON pager_lists (osp_id) WHERE region IS NULL;
CREATE INDEX pager_lists_box ON pager_lists USING gist (region_box);
CREATE INDEX pager_lists_osp ON pager_lists (osp_id);

CREATE TABLE pager_contacts (
    list_id uuid NOT NULL REFERENCES pager_lists ON DELETE CASCADE,
    rank int NOT NULL,
    name text NOT NULL,
    phone text NOT NULL,
    language text NOT NULL DEFAULT 'en-US',
    PRIMARY KEY (list_id, rank)
);
COMMENT ON COLUMN pager_contacts.phone IS 'E.164';

CREATE TABLE render_instances (
    osp_id uuid PRIMARY KEY REFERENCES tenants,
    base_url text NOT NULL,
    client_id text NOT NULL,
    client_secret bytea NOT NULL,
    project text NOT NULL,
    polling_seconds int NOT NULL DEFAULT 30,
    inactivity_hours int NOT NULL DEFAULT 72,
    grace_hours int NOT NULL DEFAULT 24
);
COMMENT ON COLUMN render_instances.client_secret IS 'sealed: strike_adapters.secrets';

CREATE TABLE twilio_accounts (
    noc_id uuid PRIMARY KEY REFERENCES tenants,
    account_sid text NOT NULL,
    auth_token bytea NOT NULL,
    from_number text NOT NULL
);
COMMENT ON COLUMN twilio_accounts.auth_token IS 'sealed: strike_adapters.secrets';
CREATE INDEX twilio_accounts_sid ON twilio_accounts (account_sid);

CREATE TABLE job_sequences (
    osp_id uuid NOT NULL REFERENCES tenants,
    year int NOT NULL,
    last int NOT NULL,
    PRIMARY KEY (osp_id, year)
);
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: dropping these tables loses what people entered.")
