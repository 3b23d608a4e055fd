"""Followers that are behind, that fail, and that are told to leave an event out."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import Tracking
from prometheus_client import CollectorRegistry
from rich.console import Console

from strike_adapters.postgres.changes import Changes
from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.fold import Fold
from strike_adapters.postgres.follower_states import (
    PAGER,
    Failure,
    FollowerStates,
    FollowerStatus,
    statuses,
)
from strike_adapters.postgres.followers import FOLLOWER_NAMES, VIEWS, open_view
from strike_adapters.postgres.overview import latest_audits
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.eco_timeline import EcoTimeline
from strike_adapters.postgres.views.view import CHANGES, Change, View
from strike_app import followers as command
from strike_app.metrics import Metrics
from strike_domain import PagerProcess, StrikeLog
from strike_domain.errors import NotFound, Rejected
from strike_domain.regions import Matches
from tests.integration.stored import (
    Running,
    StoredNight,
    eventually,
    execute,
    follow,
    forget,
    rows,
    stored_night,
    table,
    write_key,
)
from tests.integration.stories import tell_all
from tests.integration.test_followers import follower, position, reached
from tests.integration.test_rebuild import everything
from tests.unit.given import OPERATOR


@pytest.fixture
def night(database_url: str) -> Iterator[StoredNight]:
    with stored_night(database_url) as night:
        yield night


NAMES = tuple(view.name for view in VIEWS)


# Many at a time -------------------------------------------------------------------------------


def take_in(url: str, view_class: type[View], size: int) -> None:
    """Everything in the log, in batches of that size."""
    env = store_env(url, pool_size=1)
    with StrikeLog(env) as log:
        view = open_view(view_class, log, env)
        with view.view.datastore:
            found = [*Fold(log).read(log.recorder.select_notifications(None, 100_000))]
            for at in range(0, len(found), size):
                view.process_batch(found[at : at + size])


@pytest.mark.parametrize("size", [2, 7, 50, 100_000])
def test_batches_make_the_rows_that_single_events_make(night: StoredNight, size: int) -> None:
    tell_all(night)
    follow(night.url)
    before = everything(night.url)
    for view in VIEWS:
        forget(night.url, view)
        take_in(night.url, view, size)
    assert everything(night.url) == before


def test_a_follower_that_is_behind_commits_seldom(night: StoredNight) -> None:
    tell_all(night)
    with psycopg.connect(night.url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANGES}")
        with Running(follower("eco_timeline", night)):
            eventually(lambda: reached(night, "eco_timeline"))
        told = [one.payload for one in listener.notifies(timeout=0.5)]
    assert night.strike.log.position() > 100 and len(told) < 10
    assert '"all":true' in told[0]


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The topics of all events that the pager process takes in from now on."""
    taken: list[str] = []
    process_events = PagerProcess.process_events

    def take(self: PagerProcess, events: Sequence[Any], tracking: Tracking) -> None:
        taken.extend(one.TOPIC for one in events)
        process_events(self, events, tracking)

    monkeypatch.setattr(PagerProcess, "process_events", take)
    return taken


def test_the_pager_passes_over_what_asks_for_no_answer(
    night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand remarks must not keep the next callout's people asleep."""
    first = night.order()
    for number in range(100):
        night.strike.callouts.add_note(first, f"Remark {number}", OPERATOR)
    second = night.order()
    taken = counted(monkeypatch)
    with Running(follower(PAGER, night)):
        eventually(lambda: night.strike.log.eco(second).paging_state == "RUNNING")
        eventually(lambda: reached(night, PAGER))
    assert taken.count("strike.eco.created") == 2
    assert len(taken) < 10, "Two callouts, and the end of each batch."
    started = "SELECT count(*) AS n FROM strike_events WHERE topic = 'strike.run.started'"
    assert rows(night.url, started) == [{"n": 2}]


def test_the_pager_asks_for_the_lists_of_many_callouts_at_once(
    night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A storm cuts many fibres: a question for each would be most of the pager's work."""
    asked: list[int] = []
    matches_of = PostgresDirectory.matches_of

    def ask(self: PostgresDirectory, places: Sequence[Any]) -> list[Matches]:
        asked.append(len(places))
        return matches_of(self, places)

    ecos = [night.order() for _ in range(30)]
    monkeypatch.setattr(PostgresDirectory, "matches_of", ask)
    with Running(follower(PAGER, night)):
        eventually(lambda: reached(night, PAGER))
    assert sum(asked) == 30 and len(asked) <= 4
    assert {night.strike.log.eco(one).paging_state for one in ecos} == {"RUNNING"}


def test_the_pager_stands_right_before_an_event_that_fails_behind_such_as_it_passes_over(
    at_command_line: StoredNight,
) -> None:
    night = at_command_line
    first = night.order()
    for number in range(3):
        night.strike.callouts.add_note(first, f"Remark {number}", OPERATOR)
    night.order()
    execute(night.url, "UPDATE strike_events SET state = 'nonsense' WHERE notification_id = 5")
    third = night.order()
    with Running(follower(PAGER, night)):
        assert failure(night, PAGER).position == 5
        assert position(night.url, PAGER) == 4
        command.skip_event(PAGER, 5, "Unreadable", as_json=True)
        eventually(lambda: night.strike.log.eco(third).paging_state == "RUNNING")


async def test_what_is_told_of_a_batch_wakes_all_whom_it_concerns(night: StoredNight) -> None:
    ecos = [night.order() for _ in range(3)]
    with psycopg.connect(night.url, autocommit=True) as listener:
        listener.execute(f"LISTEN {CHANGES}")
        take_in(night.url, EcoTimeline, 100)
        told = [one.payload for one in listener.notifies(timeout=1, stop_after=3)]
        forget(night.url, EcoTimeline)
        tell_all(night)
        take_in(night.url, EcoTimeline, 100_000)
        general = [one.payload for one in listener.notifies(timeout=1, stop_after=1)]
    assert {json.loads(one)["eco_id"] for one in told} == {str(one) for one in ecos}
    changes = Changes(night.url)
    for payloads in (told, general):
        with changes.watch(ecos[1]) as of_eco, changes.watch() as of_all:
            for payload in payloads:
                changes.take(payload)
            assert await of_eco.wait(0) and await of_all.wait(0)


# An event that fails --------------------------------------------------------------------------


@pytest.fixture
def broken(night: StoredNight) -> int:
    """Position of an event in the middle of the log that cannot be read."""
    tell_all(night)
    where = 40
    update = "UPDATE strike_events SET state = 'nonsense' WHERE notification_id = %s"
    execute(night.url, update, where)
    return where


def status(night: StoredNight, name: str) -> FollowerStatus:
    with psycopg.connect(night.url, row_factory=psycopg.rows.dict_row) as connection:
        found = statuses(connection, night.strike.log, FOLLOWER_NAMES, night.clock.now())
    return next(one for one in found if one.name == name)


def failure(night: StoredNight, name: str) -> Failure:
    """On what the follower fails, once it does."""
    found = eventually(lambda: status(night, name).failure)
    assert found is not None
    return found


def test_all_before_the_event_that_fails_is_stored_and_the_follower_stands_right_before_it(
    night: StoredNight, broken: int
) -> None:
    with Running(follower("eco_timeline", night)):
        failure(night, "eco_timeline")
        assert position(night.url, "eco_timeline") == broken - 1
    told = [one["position"] for one in table(night.url, "eco_timeline")]
    assert told == list(range(1, broken))


def test_the_failure_is_kept_for_others_to_see_with_event_traceback_and_retries(
    night: StoredNight, broken: int
) -> None:
    with Running(follower("eco_timeline", night)):
        first = failure(night, "eco_timeline")
        eventually(lambda: (f := status(night, "eco_timeline").failure) and f.retries >= 1)
        found = status(night, "eco_timeline")
    assert found.failure is not None and found.process and not found.is_well
    assert (found.failure.position, found.failure.failed_at) == (broken, first.failed_at)
    assert found.failure.topic and found.failure.topic.startswith("strike.")
    assert "cannot be read" in found.failure.error
    assert "Traceback" in found.failure.traceback
    assert found.lag_events == night.strike.log.position() - broken + 1


class Picky(EcoTimeline):
    """Stumbles over one event, as long as `stumbles`."""

    name = EcoTimeline.name
    stumbles = True

    def change(self, event: Any, after: Any, position: int) -> Change:
        if self.stumbles and position == 12:
            raise RuntimeError("It stumbles.")
        return super().change(event, after, position)


def test_a_failure_is_forgotten_when_the_follower_is_past_it(
    night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_all(night)
    monkeypatch.setattr("strike_adapters.postgres.followers.VIEWS", (Picky,))
    monkeypatch.setattr(Picky, "stumbles", True)
    with Running(follower("eco_timeline", night)):
        found = failure(night, "eco_timeline")
        assert found.position == 12 and found.event_id
        assert found.error == "RuntimeError: It stumbles."
        monkeypatch.setattr(Picky, "stumbles", False)
        eventually(lambda: reached(night, "eco_timeline"))
        eventually(lambda: status(night, "eco_timeline").failure is None)


# Leaving it out -------------------------------------------------------------------------------


def test_a_failure_told_late_does_not_stay_with_the_process_that_gets_on(
    night: StoredNight,
) -> None:
    """When the database was away, each process has failed, and one of them is active by now."""
    night.order()
    states = FollowerStates(night.url, "eco_views")
    error = psycopg.OperationalError("server closed the connection unexpectedly")
    with Running(follower("eco_views", night)):
        eventually(lambda: status(night, "eco_views").is_well)
        states.failed(error, again=0.5)
        assert status(night, "eco_views").failure is None
    states.failed(error, again=0.5)
    assert failure(night, "eco_views").error.startswith("OperationalError")
    with Running(follower("eco_views", night)):
        eventually(lambda: status(night, "eco_views").is_well)


@pytest.fixture
def at_command_line(
    night: StoredNight, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> StoredNight:
    monkeypatch.setenv("STRIKE_DATABASE_URL", night.url)
    monkeypatch.setenv("STRIKE_SECRETS_KEY_FILE", str(write_key(tmp_path)))
    return night


def test_an_event_that_was_left_out_is_noted_and_the_follower_goes_on_behind_it(
    at_command_line: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = at_command_line
    tell_all(night)
    monkeypatch.setattr("strike_adapters.postgres.followers.VIEWS", (Picky,))
    with Running(follower("eco_timeline", night)):
        failure(night, "eco_timeline")
        for wrong in (11, 13):
            with pytest.raises(Rejected, match="It fails at position 12"):
                command.skip_event("eco_timeline", wrong, "No.", as_json=True)
        with pytest.raises(Rejected, match="Say why"):
            command.skip_event("eco_timeline", 12, "  ", as_json=True)
        command.skip_event("eco_timeline", 12, "Ticket 7", as_json=True)
        eventually(lambda: reached(night, "eco_timeline"))
    told = [one["position"] for one in table(night.url, "eco_timeline")]
    assert told == [one for one, _ in night.strike.events() if one != 12]
    (kept,) = rows(night.url, "SELECT * FROM follower_skips")
    assert (kept["name"], kept["position"], kept["reason"]) == ("eco_timeline", 12, "Ticket 7")
    assert kept["actor"].startswith("cli:") and kept["event_id"] and "stumbles" in kept["error"]
    with pytest.raises(NotFound):
        command.skip_event("eco_timeline", 12, "Again", as_json=True)
    (audit,) = latest_audits(night.pool, None, 10)
    assert (audit.action, audit.subject) == ("followers.skip", "eco_timeline")
    assert audit.after == {"position": 12, "reason": "Ticket 7"} and audit.actor


def test_the_pager_too_says_on_which_event_it_fails_and_goes_on_behind_it(
    at_command_line: StoredNight,
) -> None:
    night = at_command_line
    first, second = night.order(), night.order()
    execute(night.url, "UPDATE strike_events SET state = 'nonsense' WHERE notification_id = 1")
    with Running(follower(PAGER, night)):
        assert failure(night, PAGER).position == 1
        command.skip_event(PAGER, 1, "Unreadable", as_json=True)
        eventually(lambda: night.strike.log.eco(second).paging_state == "RUNNING")
        eventually(lambda: status(night, PAGER).failure is None)
    assert first != second


def test_the_status_says_who_is_active_what_fails_and_what_to_do(
    at_command_line: StoredNight, broken: int
) -> None:
    night = at_command_line
    with Running(follower("eco_timeline", night), follower("eco_views", night)):
        failure(night, "eco_timeline")
        failure(night, "eco_views")
        said = io.StringIO()
        assert command.show_status(as_json=False, console=Console(file=said, width=140)) == 1
    text = said.getvalue()
    assert f"position {broken}" in text and "Traceback" in text
    assert f"strike followers skip eco_timeline {broken}" in text
    assert "nobody" in text


def test_failure_liveness_and_lag_are_gauges_of_their_own(night: StoredNight, broken: int) -> None:
    registry = CollectorRegistry()
    with Running(follower("eco_timeline", night)):
        failure(night, "eco_timeline")
        with psycopg.connect(night.url, row_factory=psycopg.rows.dict_row) as connection:
            found = statuses(connection, night.strike.log, FOLLOWER_NAMES, night.clock.now())
    Metrics(registry).followers_fare(found)

    def value(gauge: str, name: str) -> float | None:
        return registry.get_sample_value(f"strike_follower_{gauge}", {"follower": name})

    assert (value("active", "eco_timeline"), value("active", "eco_views")) == (1, 0)
    assert (value("failing", "eco_timeline"), value("failing", "eco_views")) == (1, 0)
    assert value("lag_events", "eco_timeline") == night.strike.log.position() - broken + 1
    assert (value("lag_seconds", "eco_timeline") or 0) > 0


@pytest.mark.parametrize("names", [("pager",), ("nonsense",), ()])
def test_only_views_are_rebuilt(names: tuple[str, ...]) -> None:
    with pytest.raises(Rejected):
        command.rebuild_views(names, None)


def test_a_rebuild_answers_a_program_in_json(
    at_command_line: StoredNight, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_all(at_command_line)
    follow(at_command_line.url)
    capsys.readouterr()
    assert command.rebuild_views(("eco_timeline",), 1, as_json=True) == 0
    rebuilt = json.loads(capsys.readouterr().out)
    assert rebuilt["rebuilt"] == ["eco_timeline"] and rebuilt["seconds"] > 0
    command.drop_old_tables((), as_json=True)
    assert json.loads(capsys.readouterr().out) == {"dropped": ["eco_timeline_old"]}


def test_a_rebuild_tells_how_far_it_is(at_command_line: StoredNight) -> None:
    night = at_command_line
    tell_all(night)
    follow(night.url)
    before = everything(night.url)
    for is_terminal in (False, True):
        said = io.StringIO()
        console = Console(file=said, width=120, force_terminal=is_terminal)
        assert command.rebuild_views(None, 1, console) == 0
        assert "eco_views" in said.getvalue() and "Rebuilt in" in said.getvalue()
    assert everything(night.url) == before
    audits = latest_audits(night.pool, None, 10)
    assert [one.action for one in audits] == ["followers.rebuild"] * 2
    assert "eco_views" in audits[0].subject
    said = io.StringIO()
    command.drop_old_tables((), Console(file=said, width=200))
    assert "eco_views_old" in said.getvalue()
