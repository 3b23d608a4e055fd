"""How Alembic runs our migrations: on the connection that it is handed."""

from alembic import context

from strike_adapters.postgres.migrations import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
