"""The database's primary dies under load, and its synchronous standby takes over at one address.

Everything acknowledged is in the log of the new primary once, every view equals a fresh rebuild,
nobody is rung twice, no follower has skipped an event. The long form, `tox -e failover`, does so
ten times, each time with a new standby: `STRIKE_FAILOVERS=10 pytest tests/faults/test_failover.py`.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from eventsourcing.persistence import OperationalError, Tracking
from eventsourcing.utils import Environment
from rich.console import Console

from strike_adapters.embedded import embedded_postgres
from strike_adapters.jetstream import Publisher, Target
from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.fold import Fold
from strike_adapters.postgres.followers import FOLLOWER_NAMES, VIEWS, Follower, open_view
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.reading import SharedReading, select
from strike_adapters.postgres.store import Factory, store_env
from strike_domain import Callouts, Router, StrikeLog
from strike_domain.log import LOG_NAME
from tests.faults import outage_checks as checks
from tests.faults.network import Network
from tests.faults.outage_clients import Clients
from tests.faults.outage_ending import Ending, ending_of
from tests.faults.outage_faults import Fault, figures, wait_for_an_answer
from tests.faults.outage_world import World, outage_world
from tests.faults.pair import Pair, pair_of
from tests.integration.nats_server import nats_server
from tests.integration.stored import (
    Running,
    StoredNight,
    eventually,
    is_caught_up,
    rows,
    stored_night,
)
from tests.unit.given import OPERATOR

FAILOVERS = int(os.environ.get("STRIKE_FAILOVERS", "1"))
SEED = int(os.environ.get("STRIKE_FAILOVER_SEED", "7"))


def assert_whole(url: str) -> None:
    """The log has its order, no hole and no repeat, and every view equals a fresh rebuild."""
    log = checks.read_log(url)
    assert [*checks.order(log, [one.position for one in log])] == []
    assert [*checks.views(url, log)] == []


@pytest.fixture
def network() -> Iterator[Network]:
    opened = Network()
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.timeout(300 + 60 * FAILOVERS)
def test_a_failover_under_load_loses_nothing_and_repeats_nothing(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    faults: list[Fault] = []
    with outage_world(network, each=1) as started, pair_of(started.database, network) as pair:
        world = replace(started, url=pair.url())
        end = ending_of(world, lambda: faults.extend(_failovers(world, pair)))
        with capsys.disabled():
            _print(faults, end)
        assert not end.problems, "\n".join(end.problems[:20])
        assert len(faults) == FAILOVERS
        assert end.placed


def _print(faults: list[Fault], end: Ending) -> None:
    console = Console(width=100)
    console.print("", figures(faults, end.notes))
    done = sum(one.what == "acknowledged" for one in end.notes)
    console.print(
        f"{done:,} commands acknowledged, {len(end.seen):,} events, {len(end.placed):,} calls"
    )


def _failovers(world: World, pair: Pair) -> Iterator[Fault]:
    chance = random.Random(SEED)
    with Clients(world.servers, world.token, world.folder / "clients.notes", SEED):
        for _ in range(FAILOVERS):
            pair.stand_by()
            time.sleep(chance.uniform(0.5, 2.0))
            failover = pair.fail_over()
            fault = Fault("failover", "database", failover.sent, failover.gone)
            wait_for_an_answer(world, fault)
            yield fault
        world.wait_ready()
    world.stop("writer")


@pytest.fixture
def pair(tmp_path: Path, network: Network) -> Iterator[Pair]:
    """A prepared database on a primary without a standby yet."""
    with embedded_postgres(tmp_path) as primary, pair_of(primary, network) as pair:
        primary.ensure_database("strike")
        prepare(pair.url())
        yield pair


@contextmanager
def followed(pair: Pair) -> Iterator[StoredNight]:
    """A night whose followers live on in this process, whatever becomes of the server."""
    with stored_night(pair.url()) as night:
        router, reading = Router(PostgresDirectory(night.pool)), SharedReading(night.url)
        names = FOLLOWER_NAMES
        followers = [Follower(name, night.url, router, night.clock, reading) for name in names]
        with Running(*followers):
            yield night


def note(night: StoredNight, text: str) -> int:
    """Add a note to the night's ECO; the position that was acknowledged."""
    return night.strike.callouts.add_note(night.eco_id, text, OPERATOR).position


def noted(url: str) -> list[str]:
    """The texts of all notes in the log."""
    log = checks.read_log(url)
    return [one.state["text"] for one in log if one.topic == "strike.eco.note-added"]


@pytest.mark.slow
def test_an_asynchronous_standby_may_lack_what_was_acknowledged_and_nobody_is_ahead_of_it(
    pair: Pair,
) -> None:
    """And all who live on go on from what it has: log, read models and what they keep in mind."""
    pair.stand_by(synchronous=False)
    with followed(pair) as night:
        night.order()
        note(night, "on both")
        eventually(lambda: is_caught_up(night.url), 30)
        pair.wait_until_alike()
        pair.hold()
        amend = night.strike.callouts.amend_eco
        texts = [f"on one only, {number}" for number in range(3)]
        lost = [amend(night.eco_id, OPERATOR, description=one).position for one in texts]
        eventually(lambda: is_caught_up(night.url), 30)
        pair.fail_over()
        tracking = " UNION ALL ".join(
            f"SELECT notification_id AS at FROM {one}_tracking"  # noqa: S608
            for one in ("strike", *(view.name for view in VIEWS))
        )
        end = "(SELECT max(notification_id) FROM strike_events)"
        ahead = f"SELECT at FROM ({tracking}) AS followers WHERE at > {end}"  # noqa: S608
        assert eventually(lambda: rows(night.url, f"SELECT {end} AS n"), 30)[0]["n"] < lost[0]
        assert rows(night.url, ahead) == []
        assert noted(night.url) == ["on both"]
        eventually(lambda: is_caught_up(night.url), 60)
        with StrikeLog(store_env(night.url)) as other:
            callouts = Callouts(other, PostgresDirectory(night.pool), night.clock)
            for number in range(len(lost)):
                callouts.add_note(night.eco_id, f"by another process, {number}", OPERATOR)
            known = night.strike.log.eco(night.eco_id)
            assert known.description == other.eco(night.eco_id).description
            assert known.description not in texts
        note(night, "afterwards")
        assert noted(night.url)[-1] == "afterwards"
        eventually(lambda: is_caught_up(night.url), 60)
    assert_whole(night.url)


@pytest.mark.slow
def test_what_a_synchronous_standby_lacks_was_not_acknowledged_and_is_stored_once_after_it(
    pair: Pair,
) -> None:
    pair.stand_by()
    with followed(pair) as night, ThreadPoolExecutor(1) as caller:
        night.order()
        before = note(night, "on both")
        pair.hold()
        asked = caller.submit(note, night, "while the standby hears nothing")
        with pytest.raises(TimeoutError):
            asked.result(1.0)
        assert noted(night.url) == ["on both"], "Nobody sees what is not on both."
        pair.fail_over()
        assert asked.result(60) > before
        assert noted(night.url) == ["on both", "while the standby hears nothing"]
        eventually(lambda: is_caught_up(night.url), 60)
    assert_whole(night.url)


@pytest.mark.slow
def test_the_stream_goes_on_from_the_new_primary_with_nothing_missed_or_repeated(
    pair: Pair, tmp_path: Path
) -> None:
    folder = tmp_path / "nats"
    folder.mkdir()
    pair.stand_by()
    with nats_server(folder) as server, stored_night(pair.url()) as night:
        with Running(Publisher(night.url, Target(server.url))):
            night.order()
            for number in range(5):
                note(night, f"before, {number}")
            pair.fail_over()
            last = max(note(night, f"afterwards, {number}") for number in range(5))
            published = "SELECT 1 FROM publisher_positions WHERE position = %s"
            eventually(lambda: rows(night.url, published, last), 60)
        stored = [one.position for one in checks.read_log(night.url)]
        assert len(stored) == 11
        wanted = [(position, side) for position in stored for side in ("noc", "osp")]
        assert [one.place for one in server.received()] == wanted


@pytest.mark.slow
def test_no_view_stores_what_it_has_in_hand_on_another_server(pair: Pair) -> None:
    """Not even where both have the position before it: what comes there is something else."""
    pair.stand_by(synchronous=False)
    env = store_env(pair.url(), pool_size=1)
    with ExitStack() as stack:
        night = stack.enter_context(stored_night(pair.url()))
        views = [open_view(one, night.strike.log, env) for one in VIEWS]
        for view in views:
            stack.enter_context(view.view.datastore)
        night.order()
        fold, recorder = Fold(night.strike.log), night.strike.log.recorder
        for view in views:
            view.process_batch([*fold.read(select(recorder, 0))])
        known = night.strike.log.position()
        pair.wait_until_alike()
        pair.hold()
        lost = note(night, "on one only")
        in_hand = [*fold.read(select(recorder, known))]
        assert [one.position for one in in_hand] == [lost]
        pair.fail_over()
        for view in views:
            with pytest.raises(OperationalError, match="another server"):
                view.process_batch(in_hand, known)
            assert view.view.max_tracking_id(LOG_NAME) == known
    with ExitStack() as stack:
        for one in VIEWS:
            view = open_view(one, night.strike.log, env)
            stack.enter_context(view.view.datastore)
            assert view.view.max_tracking_id(LOG_NAME) == known


@pytest.mark.slow
def test_no_position_is_stored_on_another_server_than_it_was_read_from(pair: Pair) -> None:
    """The pager may have read what is no more: it must not pass over what comes in its place."""
    pair.stand_by(synchronous=False)
    env = store_env(pair.url())
    with Factory(Environment("strike", env)) as factory:
        recorder = factory.process_recorder()
        recorder.insert_events([], tracking=Tracking("strike", 5))
        pair.wait_until_alike()
        pair.fail_over()
        with pytest.raises(OperationalError, match="another server"):
            recorder.insert_events([], tracking=Tracking("strike", 9))
    with Factory(Environment("strike", env)) as factory:
        assert factory.process_recorder().max_tracking_id("strike") == 5
