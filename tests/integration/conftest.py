"""A real PostgreSQL for all tests here, a fresh database for each, and Strike opened on it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.postgres.prepare import prepare
from strike_app.bootstrap import Strike
from tests.integration.served import Served, new_signer, seeded, serving

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    with embedded_postgres(tmp_path_factory.mktemp("postgres")) as server:
        server.ensure_database("prepared")
        prepare(server.url("prepared"))
        yield server


@pytest.fixture
def database_url(postgres: EmbeddedServer) -> Iterator[str]:
    """The URL of a fresh, prepared database, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE prepared")
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def strike(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strike]:
    """Strike's parts on a fresh database, with the demo's companies."""
    with seeded(database_url, tmp_path_factory.mktemp("secrets")) as opened:
        yield opened


@pytest.fixture
def followers(strike: Strike) -> Iterator[None]:
    """Every follower, running beside the test."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=follower.run, args=(stop,)) for follower in strike.followers()
    ]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()


@pytest.fixture
async def served(strike: Strike) -> AsyncIterator[Served]:
    """The HTTP server on a free port, behind a signer that it trusts."""
    async with serving(strike, new_signer()) as opened:
        yield opened
