"""A process that somebody waits for looks for garbage seldom, and then briefly."""

from __future__ import annotations

import gc

from strike_adapters.postgres.fold import BRIEFLY, seldom_collecting


def test_what_was_there_before_is_not_looked_through_and_afterwards_all_is_as_it_was() -> None:
    before = gc.get_threshold()
    frozen = gc.get_freeze_count()
    with seldom_collecting(BRIEFLY):
        assert gc.get_threshold() == BRIEFLY
        assert gc.get_freeze_count() > frozen
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_garbage_that_comes_later_is_still_found() -> None:
    with seldom_collecting(BRIEFLY):
        circle: list[object] = []
        circle.append(circle)
        del circle
        assert gc.collect() >= 1
