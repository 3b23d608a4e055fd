"""Whose a call at the provider is, where two runs found it at the same moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from strike_adapters.postgres.directory import PostgresDirectory, open_pool
from strike_adapters.postgres.views.pager_run_views import PagerRunViews
from tests.integration.stored import follow, stored_night


def test_of_many_who_claim_one_call_at_once_one_gets_it_and_keeps_it(database_url: str) -> None:
    with open_pool(database_url, size=8) as pool, ThreadPoolExecutor(8) as executor:
        directory = PostgresDirectory(pool)
        calls = [uuid4() for _ in range(8)]
        for sid in (f"CA{number:032d}" for number in range(10)):
            won = list(executor.map(lambda call, sid=sid: directory.claim(sid, call), calls))
            assert won.count(True) == 1
            owner = calls[won.index(True)]
            assert directory.claim(sid, owner)
            assert not directory.claim(sid, uuid4())


def test_what_was_told_of_a_call_counts_more_than_a_claim(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.create()
        follow(database_url, PagerRunViews)
        (call,) = night.calls
        assert call.sid is not None
        directory = PostgresDirectory(night.pool)
        assert not directory.claim(call.sid, uuid4())
        assert directory.claim(call.sid, call.id)
