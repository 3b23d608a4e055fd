"""The log that so many callouts leave: every event in the order of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5

from strike_app.load.companies import Companies, Company
from strike_app.load.sites import Site, sites
from strike_app.load.stories import OVER, UNDER_WAY, Story, stories
from strike_domain.actors import Side
from strike_domain.ports import job_number

YEARS = timedelta(days=3 * 365)
"""How far back the first callout lies."""

LAST = timedelta(hours=1)
"""Before the end no callout begins: nobody is being rung in what is loaded."""

NEW = 0.02
"""Share of the callouts, the newest ones, of which most still go on."""

SITES, VARIANTS = 5_000, 12
"""Places of cuts, and how often each kind of story is lived through."""

WHAT = (
    "Cable {n} was cut by a digger at {km} km; the crew must splice it before the night.",
    "Pole {n} is down after the storm, fibre on the road; the digger is there already.",
    "Rodents in duct {n}: 12 of 288 fibres of the cable are dark.",
    "A lorry took the aerial cable {n} along; both ends hang from poles.",
)

Row = tuple[UUID, int, str, bytes]
"""Of `strike_events`: originator, version, topic, state."""


@dataclass(frozen=True)
class Wanted:
    """How much is loaded. The same is always loaded for the same of all this."""

    ecos: int
    companies: Companies
    seed: int
    until: datetime
    """When it ends."""


class Telling:
    """Makes the events. `numbers` are the last job numbers, by contractor and year."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._random = Random(wanted.seed)  # noqa: S311 - nothing here is to be kept from anybody
        self.numbers: Counter[tuple[UUID, int]] = Counter()
        self.told = 0
        """ECOs whose events have begun."""
        self._sites = sites(SITES, self._random)
        self._over = stories(OVER, self._random, VARIANTS)
        self._under_way = stories(UNDER_WAY, self._random, VARIANTS)

    def rows(self) -> Iterator[Row]:
        """All events, in the order of time; what would come after the end is left out."""
        waiting: list[tuple[datetime, int, Row]] = []
        count = 0
        for begins in self._beginnings():
            while waiting and waiting[0][0] <= begins:
                yield heappop(waiting)[2]
            for at, row in self._callout(begins):
                count += 1
                heappush(waiting, (at, count, row))
        while waiting and waiting[0][0] <= self._wanted.until:
            yield heappop(waiting)[2]

    def _beginnings(self) -> Iterator[datetime]:
        first = self._wanted.until - YEARS
        step = (YEARS - LAST) / self._wanted.ecos
        for n in range(self._wanted.ecos):
            self.told = n + 1
            yield (first + step * (n + self._random.random())).replace(microsecond=0)

    def _callout(self, begins: datetime) -> Iterator[tuple[datetime, Row]]:
        random, companies = self._random, self._wanted.companies
        is_new = self.told > (1 - NEW) * self._wanted.ecos
        told, shares = self._under_way if is_new and random.random() < 0.75 else self._over
        [story] = random.choices(told, shares)
        noc, osp = companies.drawn(Side.NOC, random), companies.drawn(Side.OSP, random)
        reference = f"REF-{self.told}" if random.random() < 0.4 else None
        ids = self._ids(story, noc, reference)
        values = {gap: str(one) for gap, one in ids.items()}
        values |= {gap: _moment(begins + after) for gap, after in story.times}
        values |= {sid: f"CA{random.getrandbits(128):032x}" for sid in story.sids}
        values |= self._particulars(noc, osp, begins, reference)
        for line in story.lines:
            state = line.state(values).encode()
            yield begins + line.after, (ids[line.stream], line.version, line.topic, state)

    def _ids(self, story: Story, noc: Company, reference: str | None) -> dict[str, UUID]:
        ids = {gap: UUID(int=self._random.getrandbits(128), version=4) for gap in story.drawn}
        if reference:
            ids[story.eco] = uuid5(NAMESPACE_URL, f"strike:eco:{noc.id}:{reference}")
        for made in story.derived:
            ids[made.gap] = made.id(ids)
        return ids

    def _particulars(
        self, noc: Company, osp: Company, begins: datetime, reference: str | None
    ) -> dict[str, str]:
        random, n = self._random, self.told
        site: Site = random.choice(self._sites)
        self.numbers[osp.id, begins.year] += 1
        number = job_number(begins.year, self.numbers[osp.id, begins.year])
        people = enumerate(osp.crew.contacts)
        texts = {gap: value for m, one in people for gap, value in _contact(m, one.name, one.phone)}
        ticket = f'"INC{n:09d}"' if random.random() < 0.7 else "null"
        quoted = f'"{reference}"' if reference else "null"
        return texts | {
            "noc": str(noc.id),
            "osp": str(osp.id),
            "list": str(osp.crew.id),
            "list_name": osp.crew.name,
            "operator": noc.email,
            "dispatcher": osp.email,
            "description": random.choice(WHAT).format(n=n, km=random.randint(1, 90)),
            "job_number": number,
            "location": f'"location":{site.location}',
            "place": f'"place":{site.place}',
            "position": f'"position":{site.position}',
            "length": f'"length_m":{site.length}',
            "job_type": f'"job_type":"{random.choice(("FNOL", "FNOL", "MFR", "CMR"))}"',
            "priority": f'"priority":"{random.choice(PRIORITIES)}"',
            "reference": f'"client_reference":{quoted}',
            "ticket": f'"ticket":{ticket}',
            "customers": f'"affected_customers":{random.randint(0, 4_000)}',
        }


PRIORITIES = ("LOW", "NORMAL", "NORMAL", "NORMAL", "HIGH", "CRITICAL")


def _contact(rank: int, name: str, phone: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (f"name{rank}", name), (f"phone{rank}", phone)


def _moment(at: datetime) -> str:
    """As an event is stored with it."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
