"""The checks behind the outage test find what they are there for: each fault is planted once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.prepare import prepare
from tests.faults import outage_checks as checks
from tests.faults.outage_checks import Logged
from tests.faults.outage_notes import Note, Notebook, read, unanswered
from tests.integration.stored import execute, follow, stored_night
from tests.integration.stories import tell_all

pytestmark = pytest.mark.timeout(600)

ECO, RUN, CALL = (UUID(int=number) for number in (1, 2, 3))


def event(position: int, stream: UUID, version: int, topic: str, **state: Any) -> Logged:
    always = {"event_id": str(uuid4()), "actor": "t", "causation_id": str(uuid4())}
    return Logged(position, stream, version, topic, always | state)


LOG = (
    event(
        1,
        ECO,
        1,
        "strike.eco.created",
        client_reference="ref-a",
        paging_policy="AUTOMATIC",
        osp_id="o",
        job_number="26-0001",
    ),
    event(3, RUN, 1, "strike.run.started", eco_id=str(ECO)),
    event(4, ECO, 2, "strike.eco.note-added", text="remark-a"),
    event(5, RUN, 2, "strike.run.call-requested", call_id=str(CALL)),
    event(6, RUN, 3, "strike.run.call-placed", call_id=str(CALL), sid="CA1"),
    event(8, RUN, 4, "strike.run.exhausted"),
)
SEEN = (1, 3, 4, 5, 6, 8)
RANG = {
    "sid": "CA1",
    "twiml_url": f"https://strike.example/twilio/voice/{RUN}/{CALL}",
    "to": "+13035550001",
    "status": "no-answer",
}


def note(what: Any, word: str, position: int | None = None, eco_id: UUID = ECO) -> Note:
    return Note(
        what=what, word=word, by="writer-1", began=1, at=2, eco_id=eco_id, position=position
    )


NOTES = (
    note("acknowledged", "ref-a", 1),
    note("acknowledged", "remark-a", 4),
    note("asked", "remark-lost"),
    note("failed", "remark-lost"),
    note("refused", "cancel-a"),
    note("failed", "see-a"),
)


def test_what_is_in_order_is_found_in_order() -> None:
    assert [*checks.commands(NOTES, LOG), *checks.order(LOG, SEEN), *checks.runs(LOG)] == []
    assert [*checks.calls(LOG, [RANG])] == []


REMARK = LOG[2]
ANOTHER = replace(
    LOG[0], position=9, stream=UUID(int=9), state=LOG[0].state | {"event_id": str(uuid4())}
)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ((*LOG[:2], *LOG[3:]), "is not in the log"),
        ((*LOG, replace(REMARK, position=9, version=3)), "in the log 2 times"),
        ((*LOG[:2], replace(REMARK, stream=RUN), *LOG[3:]), "and is in"),
        ((*LOG[:2], replace(REMARK, position=7), *LOG[3:]), "was told as 4"),
        ((*LOG, event(9, ECO, 3, "strike.eco.cancelled", reason="cancel-a")), "and stored"),
    ],
)
def test_commands_that_are_lost_doubled_or_strange_are_found(
    log: tuple[Logged, ...], said: str
) -> None:
    assert said in "; ".join(checks.commands(NOTES, log))


@pytest.mark.parametrize(
    ("log", "seen", "said"),
    [
        (LOG, SEEN[1:], "missed [1]"),
        (LOG, (*SEEN, 8), "seen twice [8]"),
        ((*LOG[:3], *LOG[4:]), (1, 3, 4, 6, 8), "the versions of"),
        ((*LOG, replace(REMARK, position=9, version=3)), (*SEEN, 9), "event id given twice"),
        ((*LOG, ANOTHER), (*SEEN, 9), "job number given twice"),
    ],
)
def test_gaps_and_repeats_in_the_log_are_found(
    log: tuple[Logged, ...], seen: tuple[int, ...], said: str
) -> None:
    assert said in "; ".join(checks.order(log, seen))


def _started_twice() -> tuple[Logged, ...]:
    again = event(9, UUID(int=9), 1, "strike.run.started", eco_id=str(ECO))
    return (*LOG, again, event(10, UUID(int=9), 2, "strike.run.cancelled"))


def _answered_twice() -> tuple[Logged, ...]:
    said = {"actor": "strike:pager", "causation_id": "c"}
    return (*LOG, *(event(n, ECO, n, "strike.eco.paging-exhausted", **said) for n in (9, 10)))


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (_started_twice(), "has 2 runs, where 1 is due"),
        (_answered_twice(), "the process has answered twice"),
        ((LOG[0], REMARK), "nobody was rung for"),
        (LOG[:-1], "has no end"),
    ],
)
def test_runs_that_are_missing_or_too_many_are_found(log: tuple[Logged, ...], said: str) -> None:
    (problem,) = checks.runs(log)
    assert said in problem


OTHER = {"twiml_url": f"https://strike.example/twilio/voice/{RUN}/{UUID(int=4)}", "sid": "CA2"}


def ended_after(ringing: float | None) -> dict[str, Any]:
    """What the mock says of a call that was ended after so many seconds of ringing."""
    ended = datetime(2026, 1, 15, tzinfo=UTC)
    times = {"ended": ended.isoformat()}
    if ringing is not None:
        times["ringing"] = (ended - timedelta(seconds=ringing)).isoformat()
    return {"status": "canceled", "times": times}


@pytest.mark.parametrize(
    ("placed", "said"),
    [
        ([RANG, RANG | {"sid": "CA2"}], "has rung more than once"),
        ([RANG, RANG | {"sid": "CA2"} | ended_after(ringing=4)], "has rung more than once"),
        ([RANG, RANG | OTHER], "was rung 2 times in the run"),
        ([RANG, RANG | OTHER | {"to": "+13035550002"}], "nobody has decided to ring"),
        ([RANG | {"status": "ringing"}], "is left ringing"),
        ([], "knows nothing of"),
    ],
)
def test_phones_that_ring_twice_or_for_nothing_are_found(
    placed: list[dict[str, Any]], said: str
) -> None:
    assert any(said in problem for problem in checks.calls(LOG, placed))


@pytest.mark.parametrize(("seconds", "wrong"), [(59, 0), (61, 1)])
def test_where_answers_get_lost_only_what_was_known_long_before_may_not_ring(
    seconds: float, wrong: int
) -> None:
    known = datetime(2026, 1, 15, tzinfo=UTC)
    told = [
        event(6, RUN, 3, "strike.run.call-placed", call_id=str(CALL), sid="CA1"),
        event(7, RUN, 4, "strike.run.second-call-found", call_id=str(CALL), sid="CA2"),
        event(8, RUN, 5, "strike.run.call-ringing", call_id=str(CALL)),
    ]
    log = [replace(one, state=one.state | {"timestamp": known.isoformat()}) for one in told]
    rings = {"ringing": (known + timedelta(seconds=seconds)).isoformat()}
    second = RANG | {"sid": "CA2", "times": rings}
    found = checks.doubles(log, [RANG, second])
    assert (len(found.rang), len(found.known)) == (1, wrong)
    problems = [*checks.calls([*LOG, *log], [RANG, second], are_answers_lost=True)]
    assert len(problems) == wrong


@pytest.mark.parametrize("ringing", [None, 2])
def test_a_second_call_that_was_ended_before_it_rang_is_none(ringing: float | None) -> None:
    second = RANG | {"sid": "CA2"} | ended_after(ringing)
    assert [*checks.calls(LOG, [RANG, second])] == []


# With a database ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database in which every story was told, and followed."""
    with embedded_postgres(tmp_path_factory.mktemp("postgres")) as server:
        server.ensure_database("checks")
        url = server.url("checks")
        prepare(url)
        with stored_night(url) as night:
            tell_all(night)
        follow(url)
        yield url


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("UPDATE eco_views SET status = 'CLOSED' WHERE status = 'OPEN'", "eco_views, rebuilt"),
        ("DELETE FROM eco_timeline WHERE position = 9", "the timeline has"),
        ("UPDATE eco_history SET until_at = now() WHERE from_position = 1", "eco_history, rebuilt"),
        ("DELETE FROM pager_calls", "pager_calls, rebuilt"),
        ("UPDATE pager_process_state SET attempts = attempts + 1", "pager_process_state,"),
        ("DELETE FROM render_poll_state", "render_poll_state, rebuilt"),
        ("UPDATE eco_views_tracking SET notification_id = 3", "eco_views_tracking, rebuilt"),
    ],
)
def test_a_row_of_a_view_that_is_wrong_is_found(told: str, fault: str, said: str) -> None:
    log = checks.read_log(told)
    assert [*checks.views(told, log)] == []
    execute(told, fault)
    problems = [*checks.views(told, log)]  # All of them: the last rebuild sets it right again.
    assert any(said in problem for problem in problems)


def test_an_event_that_is_taken_out_of_a_real_log_is_found(told: str) -> None:
    log = checks.read_log(told)
    created = next(one for one in log if one.topic == "strike.eco.created")
    word = created.state["description"]
    notes = [note("acknowledged", word, created.position, created.stream)]
    as_reference = [
        replace(one, state=one.state | {"client_reference": word}) if one is created else one
        for one in log
    ]
    assert [*checks.commands(notes, as_reference)] == []
    without = [one for one in as_reference if one.stream != created.stream]
    (problem,) = checks.commands(notes, without)
    assert "is not in the log" in problem


# Notes --------------------------------------------------------------------------------------


def test_notes_survive_a_torn_line_and_tell_what_has_no_answer(tmp_path: Path) -> None:
    file = tmp_path / "a.notes"
    book = Notebook(file)
    book.ask("ref-a", "writer-1").acknowledged(ECO, 5)
    book.ask("ref-b", "writer-1").failed("OperationalError")
    book.ask("ref-c", "writer-1").refused("CONFLICT")
    book.close()
    with file.open("ab") as torn:
        torn.write(b'{"what": "acknowledged", "wo')
    book = Notebook(file)
    book.ask("ref-d", "writer-1")
    book.close()
    notes = list(read(file))
    assert [one.what for one in notes] == [
        "asked",
        "acknowledged",
        "asked",
        "failed",
        "asked",
        "refused",
        "asked",
    ]
    assert unanswered(notes, "ref-") == {"ref-b", "ref-d"}
