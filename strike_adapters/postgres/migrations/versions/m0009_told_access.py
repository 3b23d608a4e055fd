"""Whoever loses a right is known at once to each server that streams to them."""

from alembic import op

revision = "0009"
down_revision = "0007"

UP = """
CREATE FUNCTION strike_tell_access() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public AS $$
DECLARE old_row jsonb := to_jsonb(OLD);
BEGIN
    PERFORM pg_notify('strike_access', json_build_object(
        'user', coalesce(old_row->>'user_id', old_row->>'id'),
        'tenant', old_row->>'tenant_id'
    )::text);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION strike_tell_access() IS
    'Tells on strike_access whose rights have changed; tenant null: in all tenants';

CREATE TRIGGER strike_tell_access AFTER UPDATE OR DELETE ON memberships
FOR EACH ROW EXECUTE FUNCTION strike_tell_access();

CREATE TRIGGER strike_tell_access
AFTER UPDATE OF role, scopes, expires_at, revoked_at, tenant_id OR DELETE ON api_tokens
FOR EACH ROW EXECUTE FUNCTION strike_tell_access();

CREATE FUNCTION strike_tell_link() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public AS $$
DECLARE link jsonb := to_jsonb(coalesce(OLD, NEW));
BEGIN
    PERFORM pg_notify('strike_access', json_build_object('tenant', link->>'noc_id')::text);
    PERFORM pg_notify('strike_access', json_build_object('tenant', link->>'osp_id')::text);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION strike_tell_link() IS 'Tells on strike_access that a link has changed';

CREATE TRIGGER strike_tell_link AFTER INSERT OR UPDATE OR DELETE ON links
FOR EACH ROW EXECUTE FUNCTION strike_tell_link();
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute(
        "DROP TRIGGER strike_tell_access ON memberships;"
        "DROP TRIGGER strike_tell_access ON api_tokens;"
        "DROP TRIGGER strike_tell_link ON links;"
        "DROP FUNCTION strike_tell_access(); DROP FUNCTION strike_tell_link();"
    )
