"""The plain tables that are not derived from events: companies, people, links, lists, accounts."""

VERSION_TABLE = "strike_migrations"
"""Says which of them have been made."""
