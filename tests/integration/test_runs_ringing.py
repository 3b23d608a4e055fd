"""Which runs ring a number: known as soon as it is stored, however far the read model is behind."""

from __future__ import annotations

from datetime import timedelta

from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.views.pager_run_views import PagerRunViews
from tests.integration.stored import follow, stored_night
from tests.unit.given import ANA, BEN, START

LONG_AGO = START - timedelta(hours=1)


def test_a_run_rings_a_number_from_its_intent_on_followed_or_not(database_url: str) -> None:
    with stored_night(database_url) as night:
        directory = PostgresDirectory(night.pool)
        followed = night.create().run.id
        follow(database_url, PagerRunViews)
        assert directory.runs_ringing(ANA.phone, LONG_AGO) == [followed]
        ahead = night.create().run.id
        assert {*directory.runs_ringing(ANA.phone, LONG_AGO)} == {followed, ahead}
        follow(database_url, PagerRunViews)
        assert {*directory.runs_ringing(ANA.phone, LONG_AGO)} == {followed, ahead}
        assert directory.runs_ringing(BEN.phone, LONG_AGO) == []


def test_without_any_follower_the_log_alone_says_so(database_url: str) -> None:
    with stored_night(database_url) as night:
        runs = [night.create().run.id for _ in range(3)]
        assert {*PostgresDirectory(night.pool).runs_ringing(ANA.phone, LONG_AGO)} == {*runs}


def test_what_was_long_ago_and_is_followed_is_left_out(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.create().after(29)
        follow(database_url, PagerRunViews)
        since = night.clock.now() - timedelta(seconds=10)
        assert PostgresDirectory(night.pool).runs_ringing(ANA.phone, since) == []
