"""One ECO's page: live ring-down, commands, the past, evidence."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.people import save_link
from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_app.demo.world import World
from strike_domain.ports import Link, LinkStatus
from tests.console.accessible import violations
from tests.console.callouts import Noc
from tests.console.person import Person

CANCEL = 'mutation($id: UUID!) { cancelEco(ecoId: $id, reason: "over") { __typename } }'

EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}'


def test_the_ring_down_is_shown_as_it_happens(operator: Person, noc: Noc) -> None:
    eco = noc.create()
    operator.go("eco", eco["id"])
    page = operator.page
    assert eco["jobNumber"] in page.get_by_role("heading", level=1).inner_text()
    ring = page.locator("#ring-down")
    ring.get_by_text("Ana Reyes").wait_for()
    ring.locator("li", has_text="Ana Reyes").get_by_text("declined").wait_for()
    ring.locator("li", has_text="Ben Okafor").get_by_text("accepted: coming").wait_for()
    assert "0202" in ring.inner_text()
    assert "+1303" not in page.content()
    page.locator(".eco-timeline").get_by_text("Ben Okafor has accepted").wait_for()
    page.locator("#field-work").get_by_text("done").first.wait_for()


def test_a_note_that_is_being_typed_outlives_changes(operator: Person, noc: Noc) -> None:
    eco = noc.create()
    operator.go("eco", eco["id"])
    page = operator.page
    page.keyboard.press("m")
    page.keyboard.type("Gate code ")
    page.locator("#ring-down").get_by_text("accepted: coming").wait_for()
    page.keyboard.type("4711")
    page.keyboard.press("Control+Enter")
    page.locator(".eco-timeline").get_by_text("Note: Gate code 4711").wait_for()
    assert page.locator("#note").input_value() == ""


def test_a_callout_is_cancelled_with_a_reason(operator: Person, noc: Noc) -> None:
    eco = noc.create()
    operator.go("eco", eco["id"])
    page = operator.page
    page.get_by_role("button", name="Cancel the callout").click()
    page.get_by_label("Why").fill("Found the fault in our own room")
    page.get_by_role("dialog").get_by_role("button", name="Cancel the callout").click()
    page.locator(".eco-head").get_by_text("cancelled").first.wait_for()
    page.locator(".eco-timeline").get_by_text("Found the fault in our own room").wait_for()
    assert page.get_by_role("button", name="Cancel the callout").count() == 0


def test_a_description_is_corrected(operator: Person, noc: Noc) -> None:
    eco = noc.create("Wrong street")
    operator.go("eco", eco["id"])
    page = operator.page
    page.get_by_role("button", name="Correct").click()
    page.get_by_label("What is broken").fill("Right street")
    page.get_by_role("button", name="Save").click()
    page.locator(".eco-head").get_by_text("Right street").wait_for()


def test_a_refusal_is_told_in_words(operator: Person, noc: Noc) -> None:
    eco = noc.create()
    operator.go("eco", eco["id"])
    page = operator.page
    noc.ask(CANCEL, id=eco["id"])
    answer = page.request.post(
        f"{page.url}/cancel", form={"reason": "again"}, headers={"Origin": operator.gateway}
    )
    assert answer.status == 422
    assert "INVALID_TRANSITION" in answer.text()


def test_the_past_is_shown_as_it_was(operator: Person, noc: Noc) -> None:
    eco = noc.create()
    operator.go("eco", eco["id"])
    page = operator.page
    page.locator("#ring-down").get_by_text("accepted: coming").wait_for()
    slider = page.get_by_label("Moment that the page shows")
    slider.focus()
    page.keyboard.press("Home")
    page.get_by_text("Nothing can be done in the past.").wait_for()
    assert "accepted: coming" not in page.locator("#ring-down").inner_text()
    assert page.get_by_role("button", name="Add the note").count() == 0
    page.get_by_role("button", name="Back to now").click()
    page.locator("#ring-down").get_by_text("accepted: coming").wait_for()


def test_evidence_is_handed_out_as_a_file(operator: Person, noc: Noc, tmp_path: Path) -> None:
    eco = noc.create()
    operator.go("eco", eco["id"])
    with operator.page.expect_download() as download:
        operator.page.get_by_role("link", name="Evidence").click()
    file = tmp_path / "evidence.zip"
    download.value.save_as(file)
    assert "events.jsonl" in zipfile.ZipFile(BytesIO(file.read_bytes())).namelist()


def test_text_from_outside_stays_text(operator: Person, noc: Noc) -> None:
    eco = noc.create(f"Cut {EVIL}", ticket="T<b>1</b>")
    noc.ask(
        "mutation($id: UUID!, $text: String!) { addNote(ecoId: $id, text: $text) { __typename } }",
        id=eco["id"],
        text=EVIL,
    )
    page = operator.page
    dialogs: list[str] = []
    page.on("dialog", lambda one: dialogs.append(one.message))
    for name in ("board", f"eco/{eco['id']}"):
        operator.go(name)
        page.get_by_text("onerror=alert(1)").first.wait_for()
        assert page.locator("img[src=x]").count() == 0
        assert "{{7*7}}" in page.locator("main").inner_text()
    assert dialogs == []


def test_a_foreign_eco_and_none_look_the_same(operator: Person, dispatcher: Person) -> None:
    operator.page.goto("/t/00000000-0000-4000-8000-000000000000/board")
    assert "NOT_A_MEMBER" in operator.page.content()
    operator.page.goto("/")
    operator.go("eco", "00000000-0000-4000-8000-000000000000")
    assert "NOT_FOUND" in operator.page.content()
    operator.faults = [one for one in operator.faults if "40" not in one]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(operator: Person, noc: Noc, theme: str) -> None:
    eco = noc.create()
    operator.context.add_cookies(
        [{"name": "strike_theme", "value": theme, "url": operator.gateway}]
    )
    operator.go("eco", eco["id"])
    operator.page.locator("#ring-down").get_by_text("Ana Reyes").wait_for()
    assert violations(operator.page) == []


def test_other_sites_and_viewers_can_do_nothing(operator: Person, noc: Noc) -> None:
    eco = noc.create()
    operator.go("eco", eco["id"])
    address = f"{operator.page.url}/note"
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": operator.gateway, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
    ):
        answer = operator.page.request.post(address, form={"text": "x"}, headers=headers)
        assert answer.status == 403, headers
        assert "ORIGIN_FOREIGN" in answer.text()


def test_the_map_shows_the_region_that_is_rung_as_long_as_the_link_is_active(
    world: World, operator: Person, dispatcher: Person, noc: Noc
) -> None:
    eco = noc.create()
    for one in (operator, dispatcher):
        one.go("eco", eco["id"])
        one.page.get_by_text("The map shows its region as it is drawn now.").wait_for()
    assert _region(operator) == _region(dispatcher)
    assert _region(operator)["type"] in ("Polygon", "MultiPolygon")
    link = Link(noc_id=NOC_ID, osp_id=CONTRACTORS[0].id, status=LinkStatus.SUSPENDED)
    with open_pool(world.database_url) as pool:
        save_link(pool, link)
        assert _region(operator) is None
        assert _region(dispatcher) is not None
        save_link(pool, link.model_copy(update={"status": LinkStatus.ACTIVE}))


def _region(person: Person) -> Any:
    return person.page.request.get(f"{person.page.url}/region").json()
