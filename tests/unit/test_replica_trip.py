"""The trip line: a replica that fails one question is asked no other until it is found well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from strike_adapters.postgres import replica as module
from strike_adapters.postgres.replica import Replica, Standing

TENANT = UUID(int=1)


class Asked:
    """What the replica stands on, all in one: a pool, its connection, a cursor, and `Changes`.

    `fails`: with what each question ends; looks are answered in any case.
    """

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.questions = 0
        self.answers: list[tuple[str, str]] = []
        self.looked_at = asyncio.Event()
        self.listeners: list[object] = []

    @asynccontextmanager
    async def connection(self, **_: float) -> AsyncIterator[Asked]:
        self.questions += 1
        if self.fails:
            raise self.fails
        yield self

    async def execute(self, statement: bytes, values: object) -> Asked:
        return self

    async def open(self, *, wait: bool) -> None: ...

    async def close(self, **_: float) -> None: ...

    async def fetchall(self) -> list[dict[str, Any]]:
        self.looked_at.set()
        return [{"is_standby": True, "reached": 7}]

    def reached(self) -> int:
        return 7

    def replica_is(self, name: str, lag_seconds: float, *, is_used: bool) -> None: ...

    def read_by(self, who: str, why: str) -> None:
        self.answers.append((who, why))


class Watched(Replica):
    """One that looks only when it is told to."""

    def __init__(self, asked: Any) -> None:
        super().__init__("postgresql://replica", asked, asked, 5.0, asked)
        self.looked()
        self._asked = asked

    async def look(self) -> None:
        await self._look(self._asked)

    async def question(self) -> bool:
        """Whether the replica has answered."""
        return await self.rows_until(0, TENANT, "SELECT 1", {}) is not None


FAILURES = (psycopg.OperationalError("gone"), PoolTimeout("none is free"), TimeoutError())


@pytest.mark.parametrize("failure", FAILURES, ids=lambda one: type(one).__name__)
async def test_the_first_question_that_fails_keeps_all_others_from_it(failure: Exception) -> None:
    asked = Asked()
    replica = Watched(asked)
    await replica.look()
    assert await replica.question()
    asked.fails = failure
    assert not await replica.question()
    assert asked.questions == 2 and replica.standing is Standing.AWAY
    asked.fails = None
    for _ in range(3):
        assert not await replica.question()
    assert asked.questions == 2, "Nobody may find out once more."
    away = ("primary", "away")
    assert asked.answers == [("replica", "near enough"), ("primary", "failed"), away, away, away]


async def test_a_look_that_finds_it_well_brings_it_back() -> None:
    asked = Asked()
    replica = Watched(asked)
    await replica.look()
    asked.fails = psycopg.OperationalError("gone")
    await replica.question()
    asked.fails = None
    await replica.look()
    assert replica.standing is Standing.USED and await replica.question()


async def test_a_question_that_comes_into_the_way_of_replay_is_no_failure() -> None:
    asked = Asked()
    replica = Watched(asked)
    await replica.look()
    asked.fails = psycopg.errors.SerializationFailure("in the way")
    assert not await replica.question()
    asked.fails = None
    assert await replica.question()


async def test_a_failure_is_looked_into_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next look that is planned would never come."""
    asked = Asked()

    async def connect(*args: object, **more: object) -> Asked:
        return asked

    monkeypatch.setattr(module, "LOOK_EVERY", 3_600.0)
    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect)
    replica = Watched(asked)
    async with asyncio.timeout(10):
        await replica.open()
        try:
            await asked.looked_at.wait()
            asked.fails, asked.looked_at = psycopg.OperationalError("gone"), asyncio.Event()
            await replica.question()
            await asked.looked_at.wait()
        finally:
            await replica.close()
