"""Rebuilt views: equal to the followed ones, without a gap for readers or a ring of a phone."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from strike_adapters.postgres.changes import FOLLOWED
from strike_adapters.postgres.follower_states import EventFailed
from strike_adapters.postgres.followers import VIEWS
from strike_adapters.postgres.giving_way import TablesInUse
from strike_adapters.postgres.rebuild import Told, drop_old, rebuild
from strike_adapters.postgres.rebuild.beside import tables_of
from strike_adapters.postgres.rebuild.fill import Filler
from strike_adapters.postgres.row_security import TENANT_ROLE
from strike_adapters.postgres.views.eco_timeline import EcoTimeline
from strike_adapters.postgres.views.eco_views import EcoViews
from strike_adapters.postgres.views.pager_process_state import PagerProcessState, row_of
from strike_adapters.postgres.views.render_poll_state import RenderPollState
from strike_adapters.postgres.views.rows import Upsert
from strike_adapters.postgres.views.view import View
from strike_domain import StrikeLog
from strike_domain.errors import Conflict
from tests.integration.stored import (
    Running,
    StoredNight,
    eventually,
    execute,
    follow,
    is_waited_for,
    rows,
    stored_night,
    table,
)
from tests.integration.stories import tell_all
from tests.integration.test_followers import follower, reached
from tests.unit.given import NOC

Rows = dict[str, list[dict[str, Any]]]


def everything(url: str, *views: type[View]) -> Rows:
    """Every row of these views, and their positions."""
    names = [
        name for view in views or VIEWS for name in (*tables_of(view), f"{view.name}_tracking")
    ]
    return {name: table(url, name) for name in names}


def quietly(_: Told) -> None:
    """Nobody wants to be told."""


def shape(url: str) -> list[dict[str, Any]]:
    """Columns, indexes, comments and policies of the views' tables, as the server tells them."""
    names = [name for view in VIEWS for name in tables_of(view)]
    columns = (
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
        "col_description(c.oid, a.attnum), c.relrowsecurity, c.relacl::text, "
        "pg_get_expr(d.adbin, d.adrelid) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
        "WHERE c.relname = ANY(%s) AND a.attnum > 0 ORDER BY c.relname, a.attnum"
    )
    indexes = "SELECT * FROM pg_indexes WHERE tablename = ANY(%s) ORDER BY indexname"
    policies = "SELECT * FROM pg_policies WHERE schemaname = %s ORDER BY tablename, policyname"
    return [*rows(url, columns, names), *rows(url, indexes, names), *rows(url, policies, "public")]


def test_every_view_after_a_rebuild_is_the_one_that_followed_row_by_row(database_url: str) -> None:
    with stored_night(database_url) as night:
        tell_all(night)
    follow(database_url)
    before, form = everything(database_url), shape(database_url)
    assert all(before.values())
    rebuild(database_url, VIEWS, quietly)
    assert everything(database_url) == before
    tables = {name for view in VIEWS for name in tables_of(view)}
    assert [
        one for one in shape(database_url) if not str(one.get("tablename", "")).endswith("_old")
    ] == form
    assert {f"{name}_old" for name in tables} == set(drop_old(database_url, VIEWS))
    assert shape(database_url) == form
    assert rows(database_url, "SELECT * FROM view_rebuilds") == []


@pytest.fixture
def long_night(database_url: str) -> Any:
    with stored_night(database_url) as night:
        tell_all(night)
        follow(database_url)
        yield night


def test_several_processes_make_the_same_rows_from_parts_of_the_log(
    long_night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(long_night.url)
    monkeypatch.setattr("strike_adapters.postgres.rebuild.MANY", 0)
    rebuild(long_night.url, VIEWS, quietly, processes=3)
    assert everything(long_night.url) == before


def test_stretches_of_any_length_make_the_same_rows(
    long_night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(long_night.url)
    for stretch in (1, 7):
        monkeypatch.setattr(Filler.step, "__defaults__", (stretch,))
        rebuild(long_night.url, VIEWS, quietly, processes=2)
        assert everything(long_night.url) == before


class Interrupted(Exception):
    """As by Ctrl-C."""


@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupted_rebuild_goes_on_where_it_stood(
    long_night: StoredNight, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    url = long_night.url
    before = everything(url)
    monkeypatch.setattr(Filler.step, "__defaults__", (10,))
    shares: list[float] = []

    def interrupt(told: Told) -> None:
        shares.append(told.share)
        if told.share > 0.3:
            raise Interrupted

    with pytest.raises(Interrupted):
        rebuild(url, VIEWS, interrupt, processes=processes)
    assert everything(url) == before, "Readers see the old tables until the end."
    again: list[Told] = []
    rebuild(url, VIEWS, again.append, processes=processes)
    assert again[0].resumed and again[0].share >= 0.3
    assert everything(url) == before


def test_a_rebuild_of_another_version_begins_anew(
    long_night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(told: Told) -> None:
        if told.stage == "indexes":
            raise Interrupted

    with pytest.raises(Interrupted):
        rebuild(long_night.url, (EcoTimeline,), interrupt)
    execute(long_night.url, "UPDATE view_rebuilds SET fingerprint = 'another'")
    before = everything(long_night.url)
    again: list[Told] = []
    rebuild(long_night.url, (EcoTimeline,), again.append)
    assert not again[0].resumed and everything(long_night.url) == before


def test_one_rebuild_at_a_time(long_night: StoredNight) -> None:
    def second(_: Told) -> None:
        rebuild(long_night.url, (EcoViews,), quietly)

    with pytest.raises(Conflict, match="Another process is rebuilding"):
        rebuild(long_night.url, (EcoViews,), second)


def test_wrong_rows_are_gone_after_a_rebuild(long_night: StoredNight) -> None:
    url = long_night.url
    before = everything(url)
    execute(url, "UPDATE eco_views SET status = 'OPEN', version = version + 100")
    execute(url, "DELETE FROM eco_timeline WHERE mod(position, 3) = 0")
    execute(
        url,
        "INSERT INTO pager_process_state (run_id, eco_id, noc_id, osp_id, state, attempts, "
        "updated_at, version) SELECT gen_random_uuid(), eco_id, noc_id, osp_id, 'RUNNING', 0, "
        "now(), 99 FROM pager_process_state LIMIT 1",
    )
    rebuild(url, VIEWS, quietly)
    assert everything(url) == before


# While life goes on ---------------------------------------------------------------------------


def test_followers_and_readers_notice_nothing_of_a_rebuild(long_night: StoredNight) -> None:
    """No event is lost, none is taken in twice, and no question finds a gap."""
    url, stop = long_night.url, threading.Event()
    counts: list[int] = []

    def read() -> None:
        with psycopg.connect(url, autocommit=True, prepare_threshold=1) as connection:
            while not stop.is_set():
                query = "SELECT count(*) FROM eco_views v JOIN eco_timeline t USING (eco_id)"
                counts.append((connection.execute(query).fetchone() or (0,))[0])

    names = tuple(view.name for view in VIEWS)
    reader = threading.Thread(target=read)
    with Running(*(follower(name, long_night) for name in names)):
        reader.start()
        for _ in range(3):
            rebuilding = threading.Thread(target=rebuild, args=(url, VIEWS, quietly))
            rebuilding.start()
            while rebuilding.is_alive():
                long_night.order()
            rebuilding.join()
        eventually(lambda: reached(long_night, *names), 20)
        stop.set()
        reader.join()
    assert counts == sorted(counts) and counts[0] > 0
    failures = rows(url, "SELECT name, error FROM follower_states WHERE error IS NOT NULL")
    assert failures == []
    live = everything(url)
    rebuild(url, VIEWS, quietly)
    assert everything(url) == live
    told = [one["position"] for one in table(url, "eco_timeline")]
    assert told == [position for position, _ in long_night.strike.events()]


def test_a_reader_of_two_tables_is_never_ended_for_the_swap(long_night: StoredNight) -> None:
    """It has one and wants the other; the swap has the other and wants the one. The swap yields."""
    url = long_night.url
    rebuilding = threading.Thread(target=rebuild, args=(url, VIEWS, quietly))
    with psycopg.connect(url) as reader:
        # Sooner than the server would look for the swap, so that it would be the reader's turn.
        reader.execute("SET deadlock_timeout = '800ms'")
        reader.execute("SELECT count(*) FROM eco_views")
        rebuilding.start()
        eventually(lambda: is_waited_for(url, "eco_views"), 30)
        assert reader.execute("SELECT count(*) FROM eco_timeline").fetchone()
    rebuilding.join()
    assert rows(url, "SELECT 1 FROM eco_views")


def test_a_view_that_is_behind_is_put_ahead_and_its_follower_goes_on_from_there(
    long_night: StoredNight,
) -> None:
    url = long_night.url
    long_night.order()
    rebuild(url, VIEWS, quietly)
    assert reached(long_night, *(view.name for view in VIEWS))
    long_night.order()
    follow(url)
    live = everything(url)
    rebuild(url, VIEWS, quietly)
    assert everything(url) == live


def test_a_reader_that_does_not_let_go_delays_the_swap_and_nothing_else(
    long_night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = long_night.url
    monkeypatch.setattr("strike_adapters.postgres.rebuild.swapping.PATIENCE_SECONDS", 1.0)
    before = everything(url)
    with psycopg.connect(url, application_name="nightly backup") as reader:
        reader.execute("SELECT count(*) FROM eco_views")
        with pytest.raises(TablesInUse, match="nightly backup.* has used eco_views"):
            rebuild(url, (EcoViews,), quietly)
        assert reader.execute("SELECT count(*) FROM eco_views").fetchone()
    again: list[Told] = []
    rebuild(url, (EcoViews,), again.append)
    assert again[0].resumed and everything(url) == before


# What workers wrote, and who may see ----------------------------------------------------------


def test_what_workers_have_written_is_kept(long_night: StoredNight) -> None:
    url = long_night.url
    execute(
        url,
        "UPDATE pager_process_state SET claimed_by = 'a worker', "
        "claimed_until = clock_timestamp() + interval '1 hour'",
    )
    execute(
        url,
        "UPDATE render_poll_state SET claimed_by = 'another', claimed_until = now(), etag = 'e', "
        "deadline = now(), attempts = 3, last_error = 'away', failing_since = now(), "
        "subsector_id = 's', check_at = now(), updated_at = now()",
    )
    before = everything(url, PagerProcessState, RenderPollState)
    rebuild(url, (PagerProcessState, RenderPollState), quietly)
    assert everything(url, PagerProcessState, RenderPollState) == before


def test_a_row_that_a_worker_has_written_ahead_of_the_follower_is_kept(
    long_night: StoredNight, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, position = long_night.url, long_night.strike.log.position()
    follow(url)
    long_night.create()
    run = long_night.run
    written = Upsert("pager_process_state", "run_id", row_of(run))
    with psycopg.connect(url) as connection:
        connection.execute(written.statement(), written.row)
    before = everything(url, PagerProcessState)
    monkeypatch.setattr(StrikeLog, "position", lambda _: position)
    rebuild(url, (PagerProcessState,), quietly)
    assert everything(url, PagerProcessState) == before


def test_a_rebuild_makes_no_run_due_and_rings_nobody(long_night: StoredNight) -> None:
    url = long_night.url
    due = "SELECT run_id, deadline FROM pager_process_state WHERE deadline IS NOT NULL ORDER BY 1"
    before, placed = rows(url, due), long_night.switchboard.placed()
    events = long_night.strike.log.position()
    rebuild(url, VIEWS, quietly)
    assert rows(url, due) == before
    assert long_night.switchboard.placed() == placed
    assert long_night.strike.log.position() == events


def test_tenants_see_their_rows_and_no_others_before_and_after(long_night: StoredNight) -> None:
    url = long_night.url

    def seen() -> dict[str, int]:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT set_config('strike.tenant', %s, true)", (str(NOC),))
            role = SQL("SET LOCAL ROLE {}").format(Identifier(TENANT_ROLE))
            connection.execute(role)
            names = ("eco_views", "eco_timeline", "pager_run_views", "pager_calls", "tenants")
            counts = {}
            for name in names:
                count = SQL("SELECT count(*) FROM {}").format(Identifier(name))
                counts[name] = (connection.execute(count).fetchone() or (0,))[0]
            return counts

    before = seen()
    rebuild(url, VIEWS, quietly)
    assert seen() == before and all(before.values())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("SET ROLE {}").format(Identifier(TENANT_ROLE)))
        for name in (name for view in VIEWS for name in tables_of(view)):
            for table_name in (f"{name}_old", f"{name}_new"):
                with pytest.raises(
                    (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)
                ):
                    connection.execute(SQL("SELECT FROM {}").format(Identifier(table_name)))


def test_an_event_of_which_no_row_can_be_made_ends_the_rebuild_and_is_named(
    long_night: StoredNight,
) -> None:
    url = long_night.url
    before = everything(url, EcoViews)
    execute(url, "UPDATE strike_events SET state = 'broken' WHERE notification_id = 9")
    with pytest.raises(EventFailed, match="at position 9 cannot be processed"):
        rebuild(url, (EcoViews,), quietly)
    assert everything(url, EcoViews) == before


def test_what_a_follower_left_out_its_rebuild_leaves_out(long_night: StoredNight) -> None:
    url = long_night.url
    execute(
        url,
        "INSERT INTO follower_skips (name, position, topic, error, reason, actor) "
        "VALUES ('eco_timeline', 9, 't', 'e', 'r', 'a')",
    )
    before = table(url, "eco_timeline")
    rebuild(url, VIEWS, quietly)
    assert table(url, "eco_timeline") == [one for one in before if one["position"] != 9]


def test_every_followed_view_wakes_everybody_when_it_is_swapped(long_night: StoredNight) -> None:
    with psycopg.connect(long_night.url, autocommit=True) as listener:
        listener.execute("LISTEN strike_changes")
        rebuild(long_night.url, VIEWS, quietly)
        told = [one.payload for one in listener.notifies(timeout=2, stop_after=len(VIEWS))]
    for name in FOLLOWED:
        assert any(f'"view":"{name}"' in one and '"all":true' in one for one in told)
