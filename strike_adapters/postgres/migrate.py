"""Bring a database to the form that this version needs. Safe to run at every start."""

from __future__ import annotations

from pathlib import Path

import psycopg

MIGRATING = 7_305_114
"""Key of the advisory lock that lets one process migrate while others wait."""


def migrate(url: str) -> None:
    """Apply every migration that the database at `url` lacks.

    Raises `psycopg.OperationalError` if it cannot be reached.
    """
    # SQLAlchemy is slow to import and needed only here.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    with psycopg.connect(url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", (MIGRATING,))
        engine = create_engine(
            "postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool
        )
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
