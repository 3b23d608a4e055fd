"""The log as a stream for others: all of it, once, in order, whatever fails or dies in between."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StorageType, StreamConfig
from psycopg import AsyncConnection

from strike_adapters.jetstream import Publisher, Target, publisher
from strike_adapters.postgres.publisher_positions import Turn
from strike_adapters.telemetry.following import MOST_SPANS
from strike_app.tracing import tracing
from strike_domain import Eco, Side
from strike_domain.errors import Rejected, Unavailable
from tests.integration.nats_server import NatsServer, Received, nats_server, read
from tests.integration.stored import (
    CREWED,
    LISTLESS,
    Running,
    StoredNight,
    end_connections,
    end_connections_when,
    eventually,
    execute,
    rows,
    stored_night,
)
from tests.integration.stories import tell_all
from tests.integration.test_followers import holders
from tests.otlp import receiving
from tests.unit.given import ANA, BEN, CEM, NOC, OSP, stamp


@pytest.fixture
def night(database_url: str) -> Iterator[StoredNight]:
    with stored_night(database_url) as night:
        yield night


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path) as server:
        yield server


def publisher_of(night: StoredNight, server: NatsServer, **target: Any) -> Publisher:
    return Publisher(night.url, Target(server.url, **target))


def published(night: StoredNight) -> int:
    """The stored position; 0 at the beginning."""
    return sum(
        one["position"] for one in rows(night.url, "SELECT position FROM publisher_positions")
    )


def is_done(night: StoredNight) -> bool:
    return published(night) == night.strike.log.position()


def places(received: Sequence[Received]) -> list[tuple[int, str]]:
    return [one.place for one in received]


def wanted(night: StoredNight) -> list[tuple[int, str]]:
    """Of every event both copies, in the order of the log."""
    return [(at, side) for at, _ in night.strike.events() for side in ("noc", "osp")]


def add_notes(night: StoredNight, count: int) -> None:
    """So many events in one transaction."""

    def add(eco: Eco) -> None:
        for number in range(count):
            eco.add_note(f"Note {number}.", stamp())

    night.strike.log.change_eco(night.eco_id, add)


def test_what_is_published_goes_on_with_the_trace_of_its_event(
    night: StoredNight, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.create()
    with receiving() as receiver:
        for name, value in receiver.env().items():
            monkeypatch.setenv(name, value)
        with tracing("publish"), Running(publisher_of(night, server)):
            eventually(lambda: is_done(night))
            add_notes(night, 2)
            eventually(lambda: is_done(night))
            add_notes(night, MOST_SPANS + 1)
            eventually(lambda: is_done(night))
    events: list[Any] = [event for _, event in night.strike.events()]
    noted = {one.event_id.hex[16:] for one in events if one.TOPIC == "strike.eco.note-added"}
    spans = [one for one in receiver.spans if one.parent in noted]
    assert {(one.name, one.kind) for one in spans} == {("publish log", "CONSUMER")}
    assert len(spans) == 2, "One for both copies of an event; none for many events at once."


def test_every_event_of_every_story_arrives_once_and_in_order(
    night: StoredNight, server: NatsServer
) -> None:
    with Running(publisher_of(night, server)):
        tell_all(night)
        eventually(lambda: is_done(night))
    received = server.received()
    assert places(received) == wanted(night)
    by_place = {one.place: one for one in received}
    for at, event in night.strike.events():
        told: Any = event
        for side in ("noc", "osp"):
            one = by_place[at, side]
            assert one.headers["Nats-Msg-Id"] == f"{at}-{side}"
            assert one.headers["Strike-Event-Id"] == one.body["event_id"] == str(told.event_id)
            assert one.headers["Strike-Correlation-Id"] == str(told.correlation_id)
            assert one.body["version"] == told.originator_version
            kind = told.TOPIC.removeprefix("strike.")
            assert one.subject == f"strike.{side}.{one.body[f'{side}_id']}.{kind}"


def test_the_copy_of_the_noc_has_four_digits_of_a_number_and_that_of_the_osp_has_them_all(
    night: StoredNight, server: NatsServer
) -> None:
    tell_all(night)
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    theirs, own = (
        str([one.body for one in server.received(f"strike.{side}.>")]) for side in ("noc", "osp")
    )
    for person in (ANA, BEN, CEM):
        assert person.phone not in theirs and person.masked_phone in theirs
        assert person.phone in own


def test_a_subject_gives_the_events_of_one_tenant_only(
    night: StoredNight, server: NatsServer
) -> None:
    tell_all(night)
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    counts = []
    for osp_id in (OSP, CREWED, LISTLESS):
        own = server.received(f"strike.osp.{osp_id}.>")
        assert own and {one.body["osp_id"] for one in own} == {str(osp_id)}
        counts.append(len(own))
    assert sum(counts) == len(server.received(f"strike.noc.{NOC}.>")) == len(night.strike.events())
    assert {one.body["topic"] for one in server.received("strike.osp.*.run.>")} >= {
        "strike.run.started"
    }


RIGHTS = """
accounts { STRIKE { jetstream: enabled, users: [
  { user: strike, password: "none-of-your-business", permissions: {
    publish: ["strike.>", "$JS.API.STREAM.*.STRIKE", "$JS.API.STREAM.MSG.GET.STRIKE"],
    subscribe: ["_INBOX.>"],
  } },
  { user: osp, password: "splice-and-sons", permissions: {
    publish: [
      "$JS.API.CONSUMER.CREATE.STRIKE.osp-%(osp)s.strike.osp.%(osp)s.>",
      "$JS.API.CONSUMER.INFO.STRIKE.osp-%(osp)s",
      "$JS.API.CONSUMER.MSG.NEXT.STRIKE.osp-%(osp)s",
      "$JS.ACK.STRIKE.osp-%(osp)s.>",
    ],
    subscribe: ["_INBOX_osp_%(osp)s.>"],
  } },
] } }
"""
"""As in docs/stream.md."""


@asynccontextmanager
async def as_osp(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    """JetStream as the OSP's login sees it."""

    async def ignore(_: Exception) -> None:
        pass

    login = {"user": "osp", "password": "splice-and-sons"}
    inbox = f"_INBOX_osp_{OSP}"
    client = await nats.connect(server.url, **login, inbox_prefix=inbox, error_cb=ignore)
    try:
        yield client.jetstream(timeout=0.5)
    finally:
        await client.close()


async def follow(server: NatsServer, subject: str, consumer: str) -> set[str]:
    """The contractors whose events the OSP's login gets so."""
    async with as_osp(server) as stream:
        subscription = await stream.pull_subscribe(subject, durable=consumer, stream="STRIKE")
        messages = await subscription.fetch(20, timeout=2)
        await messages[-1].ack_sync()
        return {json.loads(one.data)["osp_id"] for one in messages}


async def look_into(server: NatsServer) -> None:
    async with as_osp(server) as stream:
        await stream.get_msg("STRIKE", 1)


def test_a_login_with_rights_on_its_tenant_reads_its_own_and_nothing_else(
    night: StoredNight, tmp_path: Path
) -> None:
    tell_all(night)
    with nats_server(tmp_path, RIGHTS % {"osp": OSP}) as server:
        target = Target(server.url.replace("//", "//strike:none-of-your-business@"))
        with Running(Publisher(night.url, target)):
            eventually(lambda: is_done(night))
        own, other = (f"strike.osp.{osp_id}.>" for osp_id in (OSP, CREWED))
        for subject, consumer in (
            (other, f"osp-{OSP}"),
            (f"strike.noc.{NOC}.>", f"osp-{OSP}"),
            ("strike.>", f"osp-{OSP}"),
            (own, f"osp-{CREWED}"),
        ):
            with pytest.raises((TimeoutError, NatsError)):
                asyncio.run(follow(server, subject, consumer))
        with pytest.raises((TimeoutError, NatsError)):
            asyncio.run(look_into(server))
        assert asyncio.run(follow(server, own, f"osp-{OSP}")) == {str(OSP)}


def test_a_follower_that_died_gets_what_it_had_not_done_before_anything_else(
    night: StoredNight, server: NatsServer
) -> None:
    night.create()
    add_notes(night, 5)
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))

    async def take(client: Client, *, does: bool) -> int:
        config = ConsumerConfig(max_ack_pending=1, ack_wait=1)
        subscription = await client.jetstream().pull_subscribe(
            f"strike.noc.{NOC}.>", "noc", stream="STRIKE", config=config
        )
        (message,) = await subscription.fetch(1, timeout=5)
        if does:
            await message.ack_sync()
        return int(json.loads(message.data)["position"])

    taken = [
        server.ask(partial(take, does=does)) for does in (True, False, False, True, True, False)
    ]
    assert taken == [1, 2, 2, 2, 3, 4]


def test_a_publisher_started_again_goes_on_where_it_stood(
    night: StoredNight, server: NatsServer
) -> None:
    night.create()
    for _ in range(2):
        with Running(publisher_of(night, server)):
            eventually(lambda: is_done(night))
        add_notes(night, 1)
    assert places(server.received()) == wanted(night)[:-2]


def test_where_the_stream_is_empty_the_stored_position_counts(
    night: StoredNight, server: NatsServer
) -> None:
    night.create()
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    before = published(night)
    server.ask(lambda client: client.jetstream().purge_stream("STRIKE"))
    add_notes(night, 3)
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    assert places(server.received()) == [one for one in wanted(night) if one[0] > before]


def test_what_the_stream_knows_already_is_dropped_by_it_and_what_follows_is_not(
    night: StoredNight, server: NatsServer
) -> None:
    """After a crash before the position was stored, if the stream's end tells nothing."""
    night.create()
    add_notes(night, 20)
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    before = published(night)
    server.ask(lambda client: client.jetstream().purge_stream("STRIKE"))
    execute(night.url, "UPDATE publisher_positions SET position = 7")
    add_notes(night, 20)
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    assert places(server.received()) == [one for one in wanted(night) if one[0] > before]


def test_what_the_stream_has_lost_is_published_again(
    night: StoredNight, server: NatsServer
) -> None:
    night.create()
    add_notes(night, 5)
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    server.ask(lambda client: client.jetstream().delete_stream("STRIKE"))
    with Running(publisher_of(night, server)):
        eventually(lambda: places(server.received()) == wanted(night))


def test_a_publisher_that_dies_before_it_stores_the_position_publishes_nothing_twice(
    night: StoredNight, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "BATCH", 4)
    store = Turn.store
    failed: list[int] = []

    async def fail_often(self: Turn, position: int) -> None:
        if len(failed) < 3:
            failed.append(position)
            raise ConnectionError("Died here.")
        await store(self, position)

    monkeypatch.setattr(Turn, "store", fail_often)
    night.create()
    add_notes(night, 30)
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    assert len(failed) == 3
    assert places(server.received()) == wanted(night)


def test_a_position_that_could_not_be_stored_is_made_up_for_though_nothing_new_comes(
    night: StoredNight, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the stream would seem to lag until the next event, and that may take all night."""
    store = Turn.store
    failed: list[int] = []

    async def fail_at_the_end(self: Turn, position: int) -> None:
        if position == night.strike.log.position() and not failed:
            failed.append(position)
            raise ConnectionError("Died here.")
        await store(self, position)

    monkeypatch.setattr(Turn, "store", fail_at_the_end)
    night.create()
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    assert failed
    assert places(server.received()) == wanted(night)


def test_half_an_event_is_completed_and_not_begun_anew(
    night: StoredNight, server: NatsServer
) -> None:
    night.create()
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    half = len(wanted(night)) - 1

    async def lose_the_last(client: Client) -> None:
        kept = await read(client, "strike.>")
        stream = client.jetstream()
        await stream.delete_stream("STRIKE")
        await stream.add_stream(
            name="STRIKE", subjects=["strike.>"], storage="file", duplicate_window=3600
        )
        for one in kept[:half]:
            await stream.publish(one.subject, json.dumps(one.body).encode(), headers=one.headers)

    server.ask(lose_the_last)
    add_notes(night, 2)
    with Running(publisher_of(night, server)):
        eventually(lambda: places(server.received()) == wanted(night))


PUBLISH = """
import sys, threading

from strike_adapters.jetstream import Publisher, Target, publisher
publisher.BATCH = 1
Publisher(sys.argv[1], Target(sys.argv[2])).run(threading.Event())
"""


@contextmanager
def publishing(night: StoredNight, server: NatsServer) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PUBLISH, night.url, server.url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_publisher_killed_at_random_moments_loses_nothing_and_repeats_nothing(
    night: StoredNight, server: NatsServer
) -> None:
    chance = random.Random(7)
    tell_all(night)
    cut_short = 0
    for _ in range(6):
        add_notes(night, 150)
        before = published(night)
        with publishing(night, server):
            eventually(lambda: published(night) > before)  # noqa: B023
            time.sleep(chance.random() / 20)
        cut_short += not is_done(night)
    assert cut_short >= 4
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    assert places(server.received()) == wanted(night)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_server_that_goes_away_and_comes_back_gets_everything_once(
    night: StoredNight, server: NatsServer, kill: bool
) -> None:
    with Running(publisher_of(night, server)):
        night.create()
        eventually(lambda: is_done(night))
        add_notes(night, 50)
        server.stop(kill=kill)
        add_notes(night, 50)
        time.sleep(0.5)
        server.start()
        eventually(lambda: is_done(night), 20)
    assert places(server.received()) == wanted(night)


def test_a_publisher_goes_on_when_its_connections_to_the_database_are_ended(
    night: StoredNight, server: NatsServer
) -> None:
    with Running(publisher_of(night, server)):
        night.create()
        for _ in range(3):
            eventually(lambda: is_done(night), 20)
            (holder,) = eventually(lambda: holders(night.url))
            end_connections(night.url, "pid = %s", holder)
            add_notes(night, 40)
        end_connections_when(2, night.url, "true")
        add_notes(night, 40)
        eventually(lambda: is_done(night), 20)
    assert places(server.received()) == wanted(night)


def test_of_two_publishers_one_is_active_and_the_other_takes_over(
    night: StoredNight, server: NatsServer
) -> None:
    with publishing(night, server) as first:
        night.create()
        eventually(lambda: is_done(night))
        (holder,) = holders(night.url)
        with Running(publisher_of(night, server)):
            add_notes(night, 20)
            eventually(lambda: is_done(night))
            assert holders(night.url) == [holder]
            first.kill()
            add_notes(night, 20)
            eventually(lambda: is_done(night), 5)
            assert len(holders(night.url)) == 1 and holders(night.url) != [holder]
    assert places(server.received()) == wanted(night)


def test_two_that_both_think_it_is_their_turn_publish_nothing_twice_nor_in_disorder(
    night: StoredNight, server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock: what is published by one does not follow the other's last message."""
    monkeypatch.setattr(publisher, "BATCH", 2)
    monkeypatch.setattr(publisher, "FIRST_BACKOFF", 0.01)
    monkeypatch.setattr(publisher, "turn_of", _anybodys_turn)
    night.create()
    with Running(publisher_of(night, server), publisher_of(night, server)):
        for _ in range(5):
            add_notes(night, 20)
            time.sleep(0.1)
        eventually(lambda: len(server.received()) >= len(wanted(night)), 20)
    assert places(server.received()) == wanted(night)


@asynccontextmanager
async def _anybodys_turn(url: str, name: str) -> AsyncIterator[Turn]:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        yield Turn(connection, name)


def test_a_stream_that_is_not_as_it_must_be_is_left_as_it_is(
    night: StoredNight, server: NatsServer
) -> None:
    made = StreamConfig(name="STRIKE", subjects=["strike.>"], storage=StorageType.MEMORY)
    server.ask(lambda client: client.jetstream().add_stream(made))
    with pytest.raises(Rejected, match="kept in files; its duplicate window") as refused:
        publisher_of(night, server).check()
    assert refused.value.code == "STREAM_DIFFERS"
    info = server.ask(lambda client: client.jetstream().stream_info("STRIKE"))
    assert info.config.storage == StorageType.MEMORY


def test_a_stream_that_is_made_keeps_files_for_as_long_as_is_set(
    night: StoredNight, server: NatsServer
) -> None:
    publisher_of(night, server, stream="OTHER", max_age=timedelta(days=2)).check()
    config = server.ask(lambda client: client.jetstream().stream_info("OTHER")).config
    assert config.storage == StorageType.FILE and config.subjects == ["strike.>"]
    assert (config.max_age, config.duplicate_window) == (2 * 86_400, 3_600)
    with pytest.raises(Rejected, match="STRIKE_NATS_MAX_AGE_DAYS"):
        publisher_of(night, server, stream="OTHER", max_age=timedelta(days=3)).check()
    publisher_of(night, server, stream="OTHER").check()


def test_a_log_is_not_published_on_top_of_another_one(
    night: StoredNight, server: NatsServer
) -> None:
    night.create()
    with Running(publisher_of(night, server)):
        eventually(lambda: is_done(night))
    before = server.received()
    execute(night.url, "TRUNCATE strike_events RESTART IDENTITY")
    night.create()
    with pytest.raises(Rejected) as refused:
        asyncio.run(publisher_of(night, server)._take_turn(threading.Event()))
    assert refused.value.code == "STREAM_OF_ANOTHER_LOG"
    assert server.received() == before


def test_a_server_that_is_not_there_is_one_sentence(night: StoredNight) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        Publisher(night.url, Target("nats://127.0.0.1:1")).check()


def test_of_several_servers_one_that_is_there_is_enough(
    night: StoredNight, server: NatsServer
) -> None:
    night.create()
    with Running(Publisher(night.url, Target(f"nats://127.0.0.1:1, {server.url}"))):
        eventually(lambda: is_done(night))
    assert {one.headers["Strike-Side"] for one in server.received()} == {
        side.lower() for side in Side
    }
