"""Stand-ins for everything outside, in memory: for tests and for who embeds Strike."""

from strike_adapters.memory.field_work import FakeFieldWork
from strike_adapters.memory.places import ListedPlaces
from strike_adapters.memory.telephone import FakeTelephone
from strike_domain.drafts import MemoryDrafts
from strike_domain.memory import ManualClock, MemoryDirectory

__all__ = [
    "FakeFieldWork",
    "FakeTelephone",
    "ListedPlaces",
    "ManualClock",
    "MemoryDirectory",
    "MemoryDrafts",
]
