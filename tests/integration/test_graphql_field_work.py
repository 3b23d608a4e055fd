"""Field work over GraphQL: tasks and problems in words, and what people may say by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from strike_app.bootstrap import Strike
from strike_app.demo.seed import CONTRACTORS, LOGINS
from strike_domain import Eco, FieldProblem, FieldTask, Stamp, TaskSnapshot, TaskState
from tests.integration.served import Served

DISPATCHER = LOGINS[2]

FIELD = """
query Field($id: UUID!, $position: Position) {
  eco(id: $id, waitFor: $position) {
    status renderState stale fieldSummary fieldProblem fieldProblemSince
    fieldTasks { id name state isDone follows } timeline { line }
  }
}
"""

SAY = """
mutation Say($id: UUID!) {
  said: %s(ecoId: $id) {
    ... on EcoChanged { position eco { status renderState closesAt } }
    ... on Problem { code message path }
  }
}
"""


def stamp(strike: Strike) -> Stamp:
    cause = uuid4()
    return Stamp(
        at=strike.clock.now(),
        actor="strike:field-work",
        tenant_id=None,
        correlation_id=cause,
        causation_id=cause,
    )


async def say(served: Served, what: str, eco_id: str, **who: Any) -> dict[str, Any]:
    said: dict[str, Any] = (await served.ask(SAY % what, {"id": eco_id}, **who))["said"]
    return said


@pytest.mark.usefixtures("followers")
async def test_tasks_are_shown_in_words_and_what_is_not_known_is_said(
    served: Served, strike: Strike
) -> None:
    eco_id = (await served.create())["eco"]["id"]
    find = FieldTask(id="t1", name="Find the cut", state=TaskState.RELEASED)
    splice = FieldTask(id="t2", name="Splice", state=TaskState.JEOPARDY, cloned_from="t1")

    def hear(eco: Eco) -> None:
        said = stamp(strike)
        eco.record_tasking("P", "S", "t1", said)
        eco.record_tasks(TaskSnapshot.of([find]), timedelta(hours=1), said)
        eco.record_tasks(TaskSnapshot.of([find, splice]), timedelta(hours=1), said)
        problem = FieldProblem(code="GONE", reason="Render fails with 503.", since=said.at)
        eco.record_unreadable(problem, lasts=True, stamp=said)

    position = strike.log.change_eco(UUID(eco_id), hear).position
    eco = (await served.ask(FIELD, {"id": eco_id, "position": position}))["eco"]
    assert eco["fieldSummary"] == "1 crew at work, 1 at risk"
    assert eco["fieldTasks"] == [
        {"id": "t1", "name": "Find the cut", "state": "crew at work", "isDone": False}
        | {"follows": None},
        {"id": "t2", "name": "Splice", "state": "at risk", "isDone": False, "follows": "t1"},
    ]
    assert eco["fieldProblem"] == "Render fails with 503." and eco["fieldProblemSince"]
    lines = [entry["line"] for entry in eco["timeline"]]
    assert any("'Splice' is new after 'Find the cut', at risk" in line for line in lines)
    assert any("Render fails with 503." in line for line in lines)
    refused = await say(served, "completeEco", eco_id)
    assert refused["code"] == "INVALID_TRANSITION" and "Field tasks decide" in refused["message"]


async def test_both_sides_say_how_it_stands_where_no_tasks_do(
    served: Served, strike: Strike
) -> None:
    with psycopg.connect(strike.url) as connection:
        connection.execute("DELETE FROM render_instances")
    eco_id = (await served.create())["eco"]["id"]
    crew = {"email": DISPATCHER.email, "tenant": CONTRACTORS[0].id}
    assert (await say(served, "startWork", eco_id, **crew))["eco"]["status"] == "IN_PROGRESS"
    done = await say(served, "completeEco", eco_id)
    assert done["eco"]["status"] == "COMPLETED" and done["eco"]["closesAt"]
    assert (await say(served, "reopenEco", eco_id, **crew))["eco"]["status"] == "IN_PROGRESS"
    assert (await say(served, "reopenEco", eco_id))["code"] == "INVALID_TRANSITION"
    refused = await say(served, "retryFieldTasks", eco_id)
    assert (refused["code"], refused["path"]) == ("RENDER_NOT_CONFIGURED", ["ecoId"])


async def test_field_tasks_that_had_failed_are_asked_for_again(
    served: Served, strike: Strike
) -> None:
    eco_id = (await served.create())["eco"]["id"]
    assert (await say(served, "retryFieldTasks", eco_id))["code"] == "INVALID_TRANSITION"
    strike.log.change_eco(
        UUID(eco_id), lambda eco: eco.record_tasking_failure("503.", 5, stamp(strike))
    )
    asked = await say(served, "retryFieldTasks", eco_id)
    assert asked["eco"]["renderState"] == "PENDING"
    assert (await say(served, "retryFieldTasks", str(uuid4())))["code"] == "NOT_FOUND"
