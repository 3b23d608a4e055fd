"""What a reader is told: each change once and in order, however reading, telling and losing mix."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strike_adapters import ending
from strike_adapters.postgres.changes import FOLLOWED
from strike_adapters.postgres.queries import User
from strike_app.following import Change, Following, Reader, StreamEnded, buffers, tenant_feed
from strike_app.following.buffers import Buffer
from strike_app.following.feeds import BACK_LOOKS, Feeds
from strike_app.following.seats import Most, Seats
from strike_app.limits import TooMany
from strike_domain import Actor, ManualClock, Role, Side

OURS, THEIRS, OSP, ECO, OTHER = uuid4(), uuid4(), uuid4(), uuid4(), uuid4()
USER = User(uuid4(), "olivia@noc.example", "Olivia", ())
READER = Reader(USER, Actor(name="o", tenant_id=OURS, side=Side.NOC, role=Role.VIEWER), OURS, "x")


class Log:
    """A log of two tenants, its read models, and what `Changes` and `ChangeLines` say of them."""

    def __init__(self) -> None:
        self.tenants: list[UUID] = []
        self.views = dict.fromkeys(FOLLOWED, 0)
        self.listeners: list[Any] = []
        self.may_read = asyncio.Event()
        self.pages = 0

    # As `Changes` ---------------------------------------------------------------------------

    def reached(self) -> int:
        return min(self.views.values())

    def reached_by(self, view: str) -> int:
        return self.views[view]

    # As `ChangeLines` -----------------------------------------------------------------------

    async def lines(
        self, tenant_id: UUID, after: int, until: int, limit: int
    ) -> Sequence[dict[str, Any]]:
        await self.may_read.wait()
        self.pages += 1
        assert until <= self.views["eco_timeline"], "Nobody may read what is not there yet."
        return [self._line(one) for one in self.positions(tenant_id) if after < one <= until][
            :limit
        ]

    async def rows(self, tenant_id: UUID, eco_ids: Sequence[UUID]) -> Sequence[dict[str, Any]]:
        return [{"eco_id": one} for one in eco_ids]

    async def is_far_behind(self, tenant_id: UUID, after: int, most: int) -> bool:
        return sum(one > after for one in self.positions(tenant_id)) > most

    async def newest_event(self) -> int:
        return len(self.tenants)

    async def standing(self, *_: object, **__: object) -> dict[str, Any]:
        return {"side": "NOC", "role": "VIEWER", "scopes": None, "expires_at": None}

    # -----------------------------------------------------------------------------------------

    def positions(self, tenant_id: UUID) -> list[int]:
        return [number for number, one in enumerate(self.tenants, 1) if one == tenant_id]

    def advance(self, view: str, steps: int, *, is_told: bool) -> None:
        """A follower takes in some events; what it announces may be lost."""
        for _ in range(steps):
            if self.views[view] == len(self.tenants):
                return
            self.views[view] += 1
            tenant = str(self.tenants[self.views[view] - 1])
            told = {"view": view, "position": self.views[view], "noc_id": tenant}
            for one in self.listeners if is_told else ():
                one.told({**told, "osp_id": str(OSP)})

    def look(self) -> None:
        for one in self.listeners:
            one.looked()

    @staticmethod
    def _line(position: int) -> dict[str, Any]:
        return {
            "told_position": position,
            "told_kind": "k",
            "told_line": "l",
            "told_at": datetime(2026, 1, 1, tzinfo=UTC),
            "told_eco": ECO,
            "eco_id": ECO,
        }


class Quiet:
    """A watcher that counts what is open."""

    def __init__(self) -> None:
        self.open = 0

    def stream_opened(self, transport: str) -> None:
        self.open += 1

    def stream_closed(self, transport: str) -> None:
        self.open -= 1

    def change_delivered(self) -> None: ...

    def stream_cut_off(self, code: str) -> None: ...


def _following(log: Log, watcher: Quiet | None = None) -> Following:
    return Following(cast(Any, log), cast(Any, log), ManualClock(), watcher or Quiet())


class Client:
    """Reads when it is told to, loses its connection, and goes on after what it has got."""

    def __init__(self, following: Following) -> None:
        self._following = following
        self.got: list[int] = []
        self._after = 0
        self._stream: Any = None
        self._next: asyncio.Task[Change] | None = None

    async def take(self) -> None:
        """What is there by now, if anything is."""
        if self._stream is None:
            self._stream = self._following.changes(READER, self._after)
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._stream))
        await _spin()
        if self._next.done():
            done, self._next = self._next, None
            ended = done.exception()
            if ended is None:
                self._after = done.result().position
                self.got.append(self._after)
                return
            assert isinstance(ended, StreamEnded)
            assert ended.code == "RESUME_FROM"
            # Beyond what it has got, if what came next is none of its own.
            assert ended.position >= self._after
            self._after, self._stream = ended.position, None

    async def lose(self) -> None:
        """The connection, and with it whatever was on its way."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        if self._stream is not None:
            await self._stream.aclose()
        self._next = self._stream = None


async def _spin() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


STEPS = st.one_of(
    st.tuples(st.just("happens"), st.sampled_from([OURS, OURS, THEIRS]), st.integers(1, 8)),
    st.tuples(
        st.just("follows"), st.sampled_from(FOLLOWED), st.tuples(st.integers(1, 9), st.booleans())
    ),
    st.tuples(st.just("look"), st.none(), st.none()),
    st.tuples(st.just("take"), st.integers(0, 1), st.integers(1, 4)),
    st.tuples(st.just("lose"), st.integers(0, 1), st.none()),
    st.tuples(st.just("gate"), st.booleans(), st.none()),
)


async def _step(log: Log, clients: list[Client], what: str, which: Any, how: Any) -> None:
    match what:
        case "happens":
            log.tenants += [which] * how
        case "follows":
            log.advance(which, how[0], is_told=how[1])
        case "look":
            log.look()
        case "take":
            for _ in range(how):
                await clients[which].take()
        case "lose":
            await clients[which].lose()
        case _:
            (log.may_read.set if which else log.may_read.clear)()
    await _spin()


async def _told_after(steps: list[tuple[str, Any, Any]]) -> None:
    log, watcher = Log(), Quiet()
    following = _following(log, watcher)
    log.look()
    clients = [Client(following), Client(following)]
    for step in steps:
        await _step(log, clients, *step)
    log.may_read.set()
    for view in FOLLOWED:
        log.advance(view, len(log.tenants), is_told=False)
    log.look()
    wanted = log.positions(OURS)
    for client in clients:
        for _ in range(2 * len(wanted) + 20):
            await client.take()
        assert client.got == wanted
        await client.lose()
    assert watcher.open == 0
    await following.stop()


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_whatever_happens_in_between_each_change_is_told_once_and_in_order(
    steps: list[tuple[str, Any, Any]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tenant_feed, "PAGE", 3)
        patch.setattr(tenant_feed, "KEPT", 2)
        patch.setattr("strike_app.following.following.PAGE", 3)
        patch.setattr(buffers, "MOST_CHANGES", 4)
        asyncio.run(_told_after(steps))


def test_without_the_kept_changes_something_would_be_missed() -> None:
    """The test above can fail: a reader that is attached too late misses what was told before."""
    steps: list[tuple[str, Any, Any]] = [("gate", True, None)]
    for _ in range(6):
        steps += [("happens", OURS, 3), ("take", 0, 2), ("look", None, None), ("take", 1, 1)]
        steps += [("follows", view, (9, True)) for view in FOLLOWED]
        steps += [("lose", 0, None)]
    asyncio.run(_told_after(steps))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tenant_feed.TenantFeed, "attach", _attach_anyway)
        with pytest.raises(AssertionError):
            asyncio.run(_told_after(steps))


def _attach_anyway(feed: Any, buffer: Buffer) -> bool:
    feed._followers.setdefault(None, set()).add(buffer)
    return True


# Buffers ------------------------------------------------------------------------------------


def _change(position: int, eco_id: UUID = ECO, description: str = "", **more: Any) -> Change:
    row = {"eco_id": eco_id, "description": description}
    return Change(position, eco_id, None, "k", "l", row, position, **more)


async def test_a_buffer_is_bounded_by_number_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "MOST_CHANGES", 3)
    by_number, by_bytes = Buffer(7), Buffer(7)
    for position in range(8, 12):
        by_number.offer(_change(position))
    by_bytes.offer(_change(8))
    assert (await by_bytes.next()).position == 8
    by_bytes.offer(_change(9, description="x" * buffers.MOST_BYTES))
    for buffer, position in ((by_number, 7), (by_bytes, 8)):
        with pytest.raises(StreamEnded) as ended:
            await buffer.next()
        assert (ended.value.code, ended.value.position) == ("RESUME_FROM", position)


async def test_who_follows_one_eco_is_told_the_latest_and_never_cut_off() -> None:
    buffer = Buffer(0, ECO)
    for position in range(1, 5_000):
        buffer.offer(_change(position))
    assert (await buffer.next()).position == 4_999
    buffer.offer(_change(4_999, again=True))
    assert (await buffer.next()).again


# Feeds --------------------------------------------------------------------------------------


async def test_a_read_model_that_failed_delays_what_is_told_and_does_not_stop_it() -> None:
    log, now = Log(), [0.0]
    feeds = Feeds(log, log, lambda: now[0])
    log.listeners.append(feeds)
    log.may_read.set()
    log.look()
    log.tenants += [OURS]
    async with feeds.of(OURS) as feed:
        everything, single = Buffer(0), Buffer(0, ECO)
        assert feed.attach(everything) and feed.attach(single)
        log.advance("eco_views", 1, is_told=True)
        log.advance("eco_timeline", 1, is_told=True)
        for _ in range(8):
            now[0] += 1
            log.look()
            await _spin()
        change = await everything.next()
        assert (change.position, change.promised) == (1, 0)
        assert (await single.next()).promised == 0
        log.advance("pager_run_views", 1, is_told=True)
        log.advance("eco_map", 1, is_told=True)
        log.look()
        await _spin()
        assert (await single.next()).promised == 1
        assert not everything._waiting, "Each change is told once."
    await feeds.stop()


async def test_a_restored_backup_ends_streams_instead_of_silencing_them() -> None:
    log = Log()
    feeds = Feeds(log, log)
    log.listeners.append(feeds)
    log.tenants += [OURS] * 9
    log.views = dict.fromkeys(FOLLOWED, 9)
    log.look()
    async with feeds.of(OURS) as feed:
        buffer = Buffer(9)
        assert feed.attach(buffer)
        log.views = dict.fromkeys(FOLLOWED, 4)
        for _ in range(BACK_LOOKS):
            buffer.check()
            log.look()
        with pytest.raises(StreamEnded) as ended:
            buffer.check()
        assert (ended.value.code, ended.value.position) == ("POSITION_UNKNOWN", 4)
        assert feed.last == 4
    await feeds.stop()


async def test_who_takes_batches_is_told_the_same_all_that_wait_at_once() -> None:
    log = Log()
    log.may_read.set()
    log.tenants += [OURS, THEIRS, OURS] * 100
    log.views = dict.fromkeys(FOLLOWED, len(log.tenants))
    following = _following(log)
    log.look()
    async with aclosing(following.batches(READER, 0)) as batches:
        assert await anext(batches) == ()
        got = [one.position for one in await anext(batches)]
        assert got == log.positions(OURS)
        following_on = asyncio.ensure_future(anext(batches))
        await _spin()
        log.tenants += [OURS] * 30
        for view in FOLLOWED:
            log.advance(view, 30, is_told=True)
        got += [one.position for one in await following_on]
        while len(got) < len(log.positions(OURS)):
            got += [one.position for one in await anext(batches)]
    assert got == log.positions(OURS)


async def test_a_tenant_that_nobody_follows_costs_nothing() -> None:
    log, watcher = Log(), Quiet()
    following = _following(log, watcher)
    log.may_read.set()
    log.look()
    async with aclosing(following.changes(READER, 0)) as changes:
        log.tenants += [OURS]
        for view in FOLLOWED:
            log.advance(view, 1, is_told=True)
        assert (await anext(changes)).position == 1
    pages = log.pages
    log.tenants += [OURS] * 5
    for view in FOLLOWED:
        log.advance(view, 5, is_told=True)
    await _spin()
    assert (log.pages, watcher.open) == (pages, 0)


async def test_a_feed_without_readers_ends_also_if_its_cancellation_gets_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As within `asyncio.wait_for` before Python 3.12, by which a pool of connections waits."""
    monkeypatch.setattr(ending, "AGAIN_SECONDS", 0.01)
    log = Log()
    log.tenants += [OURS]
    feeds, lost = Feeds(log, log), asyncio.Event()

    async def lines(*_: object) -> Sequence[dict[str, Any]]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.set()
        return []

    monkeypatch.setattr(log, "lines", lines)
    feeds.looked()
    async with feeds.of(OURS):
        running = feeds._running[OURS].task
        for view in FOLLOWED:
            log.advance(view, 1, is_told=False)
        feeds.looked()
        await _spin()
    await asyncio.wait_for(lost.wait(), 5)
    await asyncio.wait_for(feeds.stop(), 5)
    assert running.done()


def test_seats_are_given_back_whoever_was_refused() -> None:
    seats, user = Seats(Most(per_user=1, per_tenant=2, per_process=3)), uuid4()
    for _ in range(3):
        with seats.taken(user, OURS), pytest.raises(TooMany), seats.taken(user, THEIRS):
            pytest.fail("There was no seat.")
        with seats.taken(uuid4(), OURS), seats.taken(uuid4(), OURS), pytest.raises(TooMany):
            seats.taken(uuid4(), OURS).__enter__()
    assert not seats._taken
