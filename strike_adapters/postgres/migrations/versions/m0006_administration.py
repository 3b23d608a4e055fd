"""Who suspended a link, API tokens, and who changed what."""

from alembic import op

revision = "0006"
down_revision = "0005"

UP = """
ALTER TABLE links ADD COLUMN suspended_by text CHECK (suspended_by IN ('NOC', 'OSP'));
CREATE INDEX links_osp ON links (osp_id);
CREATE INDEX memberships_tenant ON memberships (tenant_id);

CREATE TABLE api_tokens (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES tenants,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('VIEWER', 'OPERATOR', 'ADMIN')),
    scopes text[] NOT NULL,
    digest bytea NOT NULL UNIQUE,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    last_used_at timestamptz
);
COMMENT ON COLUMN api_tokens.digest IS 'SHA-256 of the token, which nobody can read again';
COMMENT ON COLUMN api_tokens.last_used_at IS 'To the minute';
CREATE INDEX api_tokens_tenant ON api_tokens (tenant_id);

CREATE TABLE directory_audits (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    tenant_id uuid,
    seen_by uuid[] NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    before jsonb,
    after jsonb,
    correlation_id uuid NOT NULL
);
COMMENT ON TABLE directory_audits IS 'Who changed what in the settings; never a secret';
CREATE INDEX directory_audits_seen_by ON directory_audits USING gin (seen_by);
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    raise NotImplementedError("Restore a backup: dropping these tables loses what people entered.")
