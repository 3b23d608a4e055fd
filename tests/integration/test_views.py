"""Read models: what their rows say, and that they can be made again from the log at any time."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError, ProgrammingError, Tracking

from strike_adapters.postgres.fold import Fold
from strike_adapters.postgres.followers import VIEWS, open_view
from strike_adapters.postgres.store import store_env
from strike_adapters.postgres.views.eco_timeline import EcoTimeline
from strike_adapters.postgres.views.eco_views import EcoViews
from strike_adapters.postgres.views.pager_process_state import PagerProcessState
from strike_adapters.postgres.views.pager_run_views import PagerRunViews
from strike_adapters.postgres.views.render_poll_state import RenderPollState
from strike_adapters.postgres.views.response_times import ResponseTimes
from strike_adapters.postgres.views.rows import Upsert
from strike_adapters.postgres.views.view import CHANGES, Change, View, change_of
from strike_domain import StrikeLog
from tests.integration.stored import (
    CREWED,
    StoredNight,
    catch_up,
    follow,
    forget,
    rows,
    stored_night,
    table,
    tables_of,
)
from tests.integration.stories import STORIES, tell_all
from tests.unit.given import ANA, BEN, CEM, OPERATOR, at
from tests.unit.test_events_golden import CLASSES


def everything(url: str, view: type[View]) -> dict[str, list[dict[str, Any]]]:
    return {name: table(url, name) for name in (*tables_of(view), f"{view.name}_tracking")}


def opened_view(view: type[View], night: StoredNight, url: str) -> View:
    return open_view(view, night.strike.log, store_env(url, pool_size=1))


def test_every_view_made_anew_is_the_view_that_followed_step_by_step(database_url: str) -> None:
    with stored_night(database_url) as night:
        for story in STORIES:
            story(night)
            night.crew.fail(None)
            follow(database_url)
    for view in VIEWS:
        before = everything(database_url, view)
        assert all(before.values()), f"{view.name} is empty: that proves nothing."
        forget(database_url, view)
        follow(database_url, view)
        assert everything(database_url, view) == before


def test_what_is_kept_in_mind_makes_no_difference(database_url: str) -> None:
    """Aggregates that were evicted or forgotten are loaded as they were then."""
    with stored_night(database_url) as night:
        tell_all(night)
        follow(database_url)
        for view_class in VIEWS:
            before = everything(database_url, view_class)
            forget(database_url, view_class)
            view = opened_view(view_class, night, database_url)
            view._fold = Fold(night.strike.log, size=1)
            with view.view.datastore:
                catch_up(view, night.strike.log)
            assert everything(database_url, view_class) == before


def test_the_fold_gives_the_aggregate_at_the_events_own_version(database_url: str) -> None:
    with stored_night(database_url) as night:
        tell_all(night)
        fold, forgetful = Fold(night.strike.log), Fold(night.strike.log, size=0)
        for _, event in night.strike.events():
            after: Any = fold.after(event)
            loaded: Any = forgetful.after(event)
            assert after.__dict__ == loaded.__dict__
            assert after.version == event.originator_version  # type: ignore[attr-defined]


def test_the_timeline_has_a_line_for_every_event_that_there_is(database_url: str) -> None:
    with stored_night(database_url) as night:
        tell_all(night)
        follow(database_url, EcoTimeline)
        lines = table(database_url, "eco_timeline")
        assert [one["position"] for one in lines] == [p for p, _ in night.strike.events()]
    assert {one["kind"] for one in lines} == {each.TOPIC for each in CLASSES}
    for line in lines:
        assert line["line"].strip() and "None" not in line["line"]
        assert ANA.phone not in line["line"] and CEM.phone not in line["line"]


def test_rows_and_position_are_stored_together_or_not_at_all(database_url: str) -> None:
    class Broken(EcoViews):
        name = EcoViews.name

        def change(self, event: Any, after: Any, position: int) -> Change:
            good = super().change(event, after, position)
            bad = Upsert("eco_views", "eco_id", {"eco_id": uuid4(), "no_column": 1})
            return change_of(after, *good.rows, bad)

    with stored_night(database_url) as night:
        night.order()
        view = opened_view(Broken, night, database_url)
        with view.view.datastore:
            with pytest.raises(ProgrammingError):
                catch_up(view, night.strike.log)
            assert view.view.max_tracking_id("strike") is None
    assert table(database_url, "eco_views") == []


def test_an_event_taken_in_by_another_changes_no_row(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.create()
        follow(database_url)
        before = table(database_url, "eco_views")
        view = opened_view(EcoViews, night, database_url)
        with view.view.datastore:
            for position, event in night.strike.events():
                with pytest.raises(IntegrityError):
                    view.process_event(event, Tracking("strike", position))
    assert table(database_url, "eco_views") == before


def test_a_row_gives_way_only_to_a_newer_one(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE things (id int PRIMARY KEY, word text, version int)")
        for version, word in ((2, "two"), (1, "one"), (2, "two again"), (3, "three")):
            one = Upsert("things", "id", {"id": 1, "word": word, "version": version})
            connection.execute(one.statement(), one.row)
    assert table(database_url, "things") == [{"id": 1, "word": "three", "version": 3}]


def test_every_change_is_announced_once_it_can_be_read(database_url: str) -> None:
    with stored_night(database_url) as night, psycopg.connect(database_url) as listener:
        listener.autocommit = True
        listener.execute(f"LISTEN {CHANGES}")
        night.order()
        follow(database_url, EcoViews, PagerRunViews)
        told = [json.loads(n.payload) for n in listener.notifies(timeout=5, stop_after=2)]
    assert [one["view"] for one in told] == ["eco_views", "pager_run_views"]
    assert told[0]["eco_id"] == str(night.eco_id) and told[0]["position"] == 1
    assert told[1]["eco_id"] is None and told[1]["position"] == 1


# What people see in psql -----------------------------------------------------------------------


def pager_row(url: str) -> dict[str, Any]:
    follow(url, PagerProcessState)
    (row,) = rows(
        url,
        "SELECT state, contact_name, call_state, deadline, attempts, last_error "
        "FROM pager_process_state",
    )
    return row


def test_psql_shows_who_is_being_rung_and_until_when(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.create()
        night.phone(ANA).rings()
        row = pager_row(database_url)
        assert row["state"] == "RUNNING" and row["call_state"] == "RINGING"
        assert row["contact_name"] == "Ana" and row["deadline"] == at(30)
        night.after(30)
        row = pager_row(database_url)
        assert row["contact_name"] == "Ben" and row["call_state"] == "PLACED"
        assert row["deadline"] == at(30 + 60)
        night.phone(BEN).rings().presses("1")
        row = pager_row(database_url)
        assert row["state"] == "ACCEPTED" and row["contact_name"] is None
        assert row["deadline"] is None


def test_the_calls_of_a_run_tell_how_each_one_ended(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.create()
        night.phone(ANA).rings().presses("2")
        night.phone(BEN).rings().presses("1")
    follow(database_url, PagerRunViews)
    calls = rows(
        database_url,
        "SELECT contact_name, state, outcome FROM pager_calls ORDER BY number",
    )
    assert calls == [
        {"contact_name": "Ana", "state": "ENDED", "outcome": "DECLINED"},
        {"contact_name": "Ben", "state": "ENDED", "outcome": "ACCEPTED"},
    ]
    (run,) = table(database_url, "pager_run_views")
    assert run["accepted_by"] == "Ben" and run["total_calls"] == 2


def test_response_times_are_of_who_and_what_counts_now(database_url: str) -> None:
    def times() -> dict[str, Any]:
        follow(database_url, ResponseTimes)
        query = "SELECT accept_seconds, start_seconds, complete_seconds FROM response_times"
        (row,) = rows(database_url, query)
        return row

    with stored_night(database_url) as night:
        night.create()
        assert set(times().values()) == {None}
        night.phone(ANA).rings()
        night.after(10)
        night.phone(ANA).presses("1")
        assert times()["accept_seconds"] == 10
        night.clock.advance(50)
        night.strike.callouts.start_work(night.eco_id, OPERATOR)
        night.clock.advance(60)
        night.strike.callouts.complete_eco(night.eco_id, OPERATOR)
        found = times()
        assert (found["start_seconds"], found["complete_seconds"]) == (60, 120)
        night.strike.callouts.reopen_eco(night.eco_id, OPERATOR)
        assert times()["complete_seconds"] is None
        night.strike.paging.dispatch(night.eco_id, OPERATOR)
        assert times()["accept_seconds"] is None, "Somebody else is looked for."
    (row,) = table(database_url, "response_times")
    assert (row["day"], row["list_name"]) == (at(0).date(), "nights")


def test_field_work_is_looked_after_from_the_beginning_to_the_end(database_url: str) -> None:
    with stored_night(database_url) as night:
        night.create(osp_id=CREWED)
        follow(database_url, RenderPollState)
        (row,) = table(database_url, "render_poll_state")
        assert row["deadline"] == at(0)
        night.cancel()
        follow(database_url, RenderPollState)
        (row,) = table(database_url, "render_poll_state")
        assert row["deadline"] is None and row["status"] == "CANCELLED"


def test_an_eco_without_field_tasks_is_looked_after_until_what_was_done_by_hand_is_closed(
    database_url: str,
) -> None:
    with stored_night(database_url) as night:
        night.create()
        follow(database_url, RenderPollState)
        (row,) = table(database_url, "render_poll_state")
        assert (row["deadline"], row["render_state"]) == (at(0), "NOT_CONFIGURED")
        night.clock.advance(60)
        night.strike.callouts.complete_eco(night.eco_id, OPERATOR)
        follow(database_url, RenderPollState)
        (row,) = table(database_url, "render_poll_state")
        assert (row["deadline"], row["status"]) == (at(60), "COMPLETED")
        night.after(86_400).eco_is(status="CLOSED")
        follow(database_url, RenderPollState)
        (row,) = table(database_url, "render_poll_state")
        assert row["deadline"] is None


def test_a_view_opened_without_the_right_to_create_tables_creates_none(database_url: str) -> None:
    forget_tables = "DROP TABLE eco_timeline"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(forget_tables)
    with StrikeLog(store_env(database_url)) as log:
        open_view(EcoTimeline, log, store_env(database_url)).view.datastore.close()
    assert rows(database_url, "SELECT to_regclass('eco_timeline') AS it") == [{"it": None}]
