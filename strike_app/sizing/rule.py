"""The sizing rule: so many companies do so much in their worst hour, which takes so many cores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import ceil

from strike_app.sizing import figures as of
from strike_app.sizing.figures import Figure

MONTH = 30 * 86_400.0
HOUR = 3_600.0
YEAR_MONTHS = 12
MOST_NOCS = 10**9
MOST_OF_A_CORE = 0.7
"""Of one process of Python, which uses one core: above it, share out the followers."""

API, BALANCER, FOLLOWERS, PAGING, FIELD, PRIMARY, REPLICA = (
    "API nodes",
    "balancer",
    "followers",
    "paging workers",
    "field workers",
    "primary",
    "replica",
)

LEAST = {API: 3, FOLLOWERS: 2, PAGING: 2, FIELD: 2}
"""Processes that there are in any case, so that one can be lost."""


@dataclass(frozen=True)
class Companies:
    """What is expected of each NOC, and of the worst hour, in which a share of them has a storm."""

    nocs: int
    callouts_a_month: float = 100
    callouts_in_a_storm_hour: float = 40
    share_in_storm: float = 0.2
    storm_hours: float = 6
    boards: float = 5
    subscriptions: float = 5
    reads_a_minute: float = 20
    rung: float = 2.5
    """People rung for a callout."""
    days_polled: float = 2.0
    """From the first field task until the grace period has ended."""

    @property
    def storming(self) -> float:
        return self.nocs * self.share_in_storm

    @property
    def creates(self) -> float:
        """Callouts a second in the worst hour."""
        calm = self.nocs * self.callouts_a_month / MONTH
        return calm + self.storming * self.callouts_in_a_storm_hour / HOUR

    @property
    def polled(self) -> float:
        """ECOs whose field tasks are polled at the end of the storm."""
        calm = self.nocs * self.callouts_a_month / 30 * self.days_polled
        return calm + self.storming * self.callouts_in_a_storm_hour * self.storm_hours


@dataclass(frozen=True)
class Work:
    """One kind, `rate` a second, and what one of it takes of whom."""

    name: str
    rate: float
    takes: dict[str, Figure]


@dataclass(frozen=True)
class Limit:
    """`used` of what one of it can do: 1 is all. `at`: the number of NOCs that reach it."""

    name: str
    used: float
    at: int


@dataclass(frozen=True)
class Size:
    """Of a deployment. Cores are those worked on in the worst hour; processes are of Python."""

    companies: Companies
    work: tuple[Work, ...]
    cores: dict[str, float]
    processes: dict[str, int]
    database_cores: dict[str, int]
    gigabytes_a_year: dict[str, float]
    limits: tuple[Limit, ...]


def size_of(companies: Companies) -> Size:
    """What these companies need, reads from a replica."""
    work = tuple(_work(companies))
    cores = _cores(work)
    ecos = companies.nocs * companies.callouts_a_month * YEAR_MONTHS
    return Size(
        companies=companies,
        work=work,
        cores=cores,
        processes=_processes(cores),
        database_cores={part: max(2, ceil(cores[part] / of.USED)) for part in (PRIMARY, REPLICA)},
        gigabytes_a_year={
            "log": ecos * of.LOG_BYTES.value / 1e9,
            "read models": ecos * of.ROWS_BYTES.value / 1e9,
        },
        limits=tuple(_limits(companies)),
    )


def _cores(work: Iterable[Work]) -> dict[str, float]:
    cores = dict.fromkeys((API, BALANCER, FOLLOWERS, PAGING, FIELD, PRIMARY, REPLICA), 0.0)
    for one in work:
        for part, figure in one.takes.items():
            cores[part] += one.rate * figure.value / 1e3
    return cores


def _processes(cores: dict[str, float]) -> dict[str, int]:
    return {part: max(least, ceil(cores[part] / of.USED)) for part, least in LEAST.items()}


def _work(companies: Companies) -> Iterator[Work]:
    creates = companies.creates
    events = creates * of.EVENTS.value
    later = of.EVENTS.value - of.EVENTS_OF_RUN.value
    a_later_event = {
        part: _share(figure, 1 / of.EVENTS_OF_RUN.value)
        for part, figure in ((FOLLOWERS, of.CREATE_FOLLOWERS), (REPLICA, of.CREATE_REPLICA))
    }
    yield Work("callout created and rung until its run ends", creates, _CREATE)
    yield Work("person more who is rung for it", creates * (companies.rung - 1), _RING)
    yield Work("event after that, followed", creates * later, a_later_event)
    yield Work("field tasks polled", companies.polled / of.POLL_SECONDS.value, _POLL)
    yield Work("read over GraphQL", companies.nocs * companies.reads_a_minute / 60, _READ)
    a_look = {API: of.LOOK_API, PRIMARY: of.LOOK_PRIMARY}
    yield Work("look of an open board", _looks(companies), a_look)
    yield Work(
        "change delivered to a subscription",
        events * companies.subscriptions,
        {API: of.DELIVERY_API},
    )


def _looks(companies: Companies) -> float:
    """A board looks after each change of its tenant's, and not more often than it may."""
    of_calm = companies.callouts_a_month / MONTH * of.EVENTS.value
    of_storm = of_calm + companies.callouts_in_a_storm_hour / HOUR * of.EVENTS.value
    calm = companies.nocs - companies.storming
    most = of.LOOKS.value
    looks = calm * min(most, of_calm) + companies.storming * min(most, of_storm)
    return looks * companies.boards


def _share(figure: Figure, share: float) -> Figure:
    return Figure(figure.value * share, figure.unit, figure.what, figure.measured)


_CREATE = {
    API: of.CREATE_API,
    BALANCER: of.CREATE_BALANCER,
    PRIMARY: of.CREATE_PRIMARY,
    REPLICA: of.CREATE_REPLICA,
    FOLLOWERS: of.CREATE_FOLLOWERS,
    PAGING: of.CREATE_WORKER,
}
_RING = {PAGING: of.RING_WORKER, PRIMARY: of.RING_PRIMARY}
_POLL = {FIELD: of.POLL_WORKER, PRIMARY: of.POLL_PRIMARY}
_READ = {
    API: of.READ_API,
    BALANCER: of.READ_BALANCER,
    PRIMARY: of.READ_PRIMARY,
    REPLICA: of.READ_REPLICA,
}


def _limits(companies: Companies) -> Iterator[Limit]:
    """The nearest first."""
    used = _used(companies)
    for name in sorted(used, key=lambda one: _reached(companies, one)):
        yield Limit(name, used[name], _reached(companies, name))


def _used(companies: Companies) -> dict[str, float]:
    """Of what does not grow by adding machines, the share that is used."""
    cores = _cores(_work(companies))
    processes = _processes(cores)
    others = sum(count for part, count in processes.items() if part != API)
    connections = processes[API] * of.CONNECTIONS_API.value + others * of.CONNECTIONS_OTHER.value
    return {
        "cores of the primary": cores[PRIMARY] / of.USED / of.PRIMARY_CORES,
        "connections to the primary": connections / of.PRIMARY_CONNECTIONS,
        "followers, all in one process": cores[FOLLOWERS] / MOST_OF_A_CORE,
        "events followed live": companies.creates * of.EVENTS.value / of.MOST_EVENTS.value,
        "the log's one order": companies.creates / of.MOST_CREATES.value,
    }


def _reached(companies: Companies, name: str) -> int:
    """So many NOCs use up what there is of it."""
    enough, too_many = 0, MOST_NOCS
    while too_many - enough > 1:
        half = (enough + too_many) // 2
        if _used(replace(companies, nocs=half))[name] > 1:
            too_many = half
        else:
            enough = half
    return enough
