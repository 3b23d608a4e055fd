"""A long random night: followed, batched or rebuilt, in whatever way, it makes the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from eventsourcing.persistence import StoredEvent

from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.rebuild import rebuild
from strike_adapters.postgres.rebuild.fill import Filler
from strike_adapters.postgres.store import store_env
from strike_app.simulate.story import tell
from strike_domain import StrikeLog
from tests.integration.stored import follow, forget
from tests.integration.test_followers_behind import take_in
from tests.integration.test_rebuild import everything, quietly


def random_night(chance: Random, stories: int) -> Iterator[StoredEvent]:
    """Random stories, mixed as if they had happened in one night."""
    told = []
    for seed in chance.sample(range(1, 10_000), stories):
        found = tell(seed).system.recorder.select_notifications(1, 1_000_000)
        told.append(
            [
                StoredEvent(one.originator_id, one.originator_version, one.topic, one.state)
                for one in found
            ]
        )
    while told:
        story = chance.choice(told)
        yield story.pop(0)
        told = [one for one in told if one]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_night_makes_the_same_rows_however_it_is_taken_in(
    database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Random(f"night/{seed}")
    with StrikeLog(store_env(database_url)) as log:
        night = list(random_night(chance, 25))
        for one in night:
            log.recorder.insert_events([one])
    assert len(night) > 300
    follow(database_url)
    before = everything(database_url)
    for _ in range(3):
        for view in VIEWS:
            forget(database_url, view)
            take_in(database_url, view, chance.randint(1, 400))
        assert everything(database_url) == before
        monkeypatch.setattr(Filler.step, "__defaults__", (chance.randint(1, 400),))
        rebuild(database_url, VIEWS, quietly, processes=chance.randint(1, 4))
        assert everything(database_url) == before
