"""How Alembic runs our migrations: on the connection that it is handed."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="strike_migrations")
with context.begin_transaction():
    context.run_migrations()
