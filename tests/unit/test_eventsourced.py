"""The layer between the library and our events."""

from __future__ import annotations

import pytest
from eventsourcing.domain import Aggregate as LibraryAggregate

from strike_domain.eventsourced import Aggregate


def test_an_aggregate_is_unhashable_as_python_expects_of_a_mutable_object() -> None:
    # On Python 3.13 `singledispatchmethod` caches by instance and takes TypeError for "do not".
    with pytest.raises(TypeError):
        hash(object.__new__(Aggregate))


def test_the_library_still_raises_what_no_cache_expects() -> None:
    # When this fails, the work-round in `Aggregate` can go.
    with pytest.raises(NotImplementedError):
        hash(object.__new__(LibraryAggregate))
