"""Many changes on a large board: it asks for what changed, and whoever reads is not disturbed.

Times and sizes with 2,000 callouts are measured by `tests/benchmarks/board.py`.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID

from strike_app.demo.world import World
from tests.benchmarks.board import SEEN, SPARED, is_known, shown_in
from tests.console.busy_night import night_at
from tests.console.callouts import until
from tests.console.conftest import DESKTOP, log_in
from tests.console.person import Person
from tests.integration.stored import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Request

ECOS, CHANGES = 300, 100

IDS = "() => [...document.querySelectorAll('tr[data-row]')].map((row) => row.id)"

LOOK = """(id) => {
  const row = document.getElementById(id);
  row.scrollIntoView({ block: "center" });
  row.querySelector("a").focus({ preventScroll: true });
}"""

WHERE = """(id) => [
  document.getElementById(id).getBoundingClientRect().top,
  document.activeElement.closest("tr")?.id,
]"""


def test_a_busy_board_asks_for_what_changed_and_disturbs_nobody(
    world: World, browser: Browser, people: list[Person]
) -> None:
    world.children["worker"].stop()
    with night_at(world.database_url) as night:
        night.open(ECOS)
        eventually(lambda: shown_in(world) >= ECOS, seconds=60)
        eventually(lambda: is_known(world), seconds=60)
        person = log_in(world, browser, people, "olivia@bluestem.example", DESKTOP)
        person.go("board?view=map")
        page = person.page
        page.locator("#map canvas").first.wait_for()
        page.wait_for_load_state("networkidle")
        rows: list[str] = page.evaluate(IDS)
        ids = [UUID(one.removeprefix("eco-")) for one in rows]
        page.evaluate(LOOK, rows[SPARED])
        before = page.evaluate(WHERE, rows[SPARED])
        asked: list[str] = []
        page.on("request", lambda one: asked.append(_path(one)))
        answers: list[Any] = []
        page.on("response", lambda one: answers.append(one))
        newest: dict[UUID, int] = {}
        for number, change in enumerate(islice(night.changes(ids[SEEN], ids[SPARED]), CHANGES)):
            change(number)
            if change.func == night.correct:
                newest[change.args[0]] = number
        for eco in ids[SEEN]:
            if eco in newest:
                page.locator(f"#eco-{eco}", has_text=f"change {newest[eco]}.").wait_for()
        after = page.evaluate(WHERE, rows[SPARED])
        assert after[1] == before[1] == rows[SPARED]
        assert abs(after[0] - before[0]) < 2
    assert set(asked) == {"board/changes"}
    assert len(asked) < CHANGES / 2
    changed = answers[0].json()
    assert len(changed["order"]) == 100
    assert changed["parts"].count("<tr id=") < 100
    assert {one["id"] for one in changed["points"]} & {str(one) for one in newest}


def test_whoever_shows_more_sees_changes_there_too(
    world: World, browser: Browser, people: list[Person]
) -> None:
    with night_at(world.database_url) as night:
        night.open(120)
        eventually(lambda: shown_in(world) >= 120, seconds=60)
        person = log_in(world, browser, people, "olivia@bluestem.example", DESKTOP)
        person.go("board?sort=NEWEST")
        page = person.page
        page.get_by_role("button", name="Show more").click()
        until(lambda: len(page.evaluate(IDS)) > 100, page)
        below, gone = (UUID(one.removeprefix("eco-")) for one in page.evaluate(IDS)[105:107])
        night.correct(below, 7)
        night.cancel(gone, 8)
        page.locator(f"#eco-{below}", has_text="change 7.").wait_for()
        page.locator(f"#eco-{gone}").wait_for(state="detached")
        assert len(page.evaluate(IDS)) > 100


def _path(request: Request) -> str:
    return urlsplit(request.url).path.split("/", 3)[-1]
