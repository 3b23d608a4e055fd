"""The board: urgency, filters in the address, live without losing one's place, alarms, the map."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from strike_app.demo.seed import CONTRACTORS, NEWCOMER
from strike_app.demo.world import World
from tests.console.accessible import violations
from tests.console.callouts import Noc, until
from tests.console.conftest import PHONE, log_in
from tests.console.person import Person, Screen

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_a_new_callout_appears_and_changes_by_itself(operator: Person, noc: Noc) -> None:
    word = f"w{uuid4().hex[:8]}"
    operator.go(f"board?q={word}")
    page = operator.page
    page.get_by_text("Nothing is as you asked for.").wait_for()
    eco = noc.create(f"Cut near the bridge {word}")
    row = page.locator(f"#eco-{eco['id']}")
    row.wait_for()
    row.get_by_text("accepted").wait_for()
    row.get_by_text("Ben Okafor").wait_for()


def test_who_nobody_comes_for_is_first_and_told(operator: Person, noc: Noc) -> None:
    operator.go("board")
    page = operator.page
    before = int(page.locator("#counts").get_attribute("data-alarms") or 0)
    eco = noc.create("Nobody there has a list", ospId=str(NEWCOMER.id))
    row = page.locator(f"#eco-{eco['id']}")
    row.wait_for()
    until(lambda: "nobody to ring" in row.inner_text(), page)
    until(lambda: page.title().startswith(f"({before + 1}) Nobody is coming"), page)
    assert "Nobody is coming" in page.locator("#alarm").inner_text()
    urgent = page.locator("#ecos tbody tr").first
    assert "alarm" in (urgent.get_attribute("class") or "")
    page.locator("#counts a", has_text="nobody is coming").click()
    page.locator(f"#eco-{eco['id']}").wait_for()
    assert "pagingState=EXHAUSTED" in page.url
    noc.ask(
        'mutation($id: UUID!) { cancelEco(ecoId: $id, reason: "test over") { __typename } }',
        id=eco["id"],
    )


def test_filters_are_in_the_address(operator: Person, noc: Noc) -> None:
    word = f"w{uuid4().hex[:8]}"
    ours = noc.create(f"{word} critical", priority="CRITICAL")
    other = noc.create(f"{word} low", priority="LOW", ospId=str(CONTRACTORS[1].id))
    operator.go("board")
    page = operator.page
    page.keyboard.press("/")
    page.keyboard.type(word)
    page.keyboard.press("Enter")
    page.locator(f"#eco-{ours['id']}").wait_for()
    page.locator("select[name=priority]").select_option("LOW")
    page.locator(f"#eco-{ours['id']}").wait_for(state="detached")
    assert page.locator(f"#eco-{other['id']}").count() == 1
    assert "priority=LOW" in page.url
    assert word in page.url
    page.get_by_role("link", name="Show all under way").click()
    page.locator(f"#eco-{ours['id']}").wait_for()


def test_focus_stays_while_rows_change(operator: Person, noc: Noc) -> None:
    word = f"w{uuid4().hex[:8]}"
    first = noc.create(f"{word} first")
    operator.go(f"board?q={word}&sort=NEWEST")
    page = operator.page
    page.keyboard.press("j")
    link = page.locator(f"#eco-{first['id']} a")
    assert link.evaluate("one => one === document.activeElement")
    second = noc.create(f"{word} second")
    page.locator(f"#eco-{second['id']}").wait_for()
    page.locator(f"#eco-{first['id']}").get_by_text("accepted").wait_for()
    assert link.evaluate("one => one === document.activeElement")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/eco/{first['id']}")


def test_it_goes_on_after_a_lost_connection(operator: Person, noc: Noc) -> None:
    word = f"w{uuid4().hex[:8]}"
    operator.go(f"board?q={word}")
    page = operator.page
    page.get_by_text("Nothing is as you asked for.").wait_for()
    operator.context.set_offline(True)
    page.get_by_text("No connection").wait_for()
    eco = noc.create(f"{word} meanwhile")
    operator.context.set_offline(False)
    page.locator(f"#eco-{eco['id']}").wait_for()
    page.locator("#link-state").wait_for(state="hidden")
    operator.faults = [one for one in operator.faults if "ERR_INTERNET_DISCONNECTED" not in one]


def test_the_map_shows_places_and_words_only(operator: Person, noc: Noc) -> None:
    evil = '<img src=x onerror="document.title=1">'
    eco = noc.create(f"{evil} on the map")
    operator.go("board?view=map")
    page = operator.page
    page.locator("#map canvas").first.wait_for()
    answer = page.request.get(page.url.replace("/board?", "/board/points?"))
    assert eco["id"] in [one["id"] for one in answer.json()["points"]]
    assert page.locator("img[src=x]").count() == 0


def test_the_contractor_sees_its_own(
    world: World, browser: Browser, people: list[Person], noc: Noc
) -> None:
    ours = noc.create("For Front Range")
    others = noc.create("For Wasatch", ospId=str(CONTRACTORS[1].id))
    person = log_in(world, browser, people, "dispatch@303.example", PHONE)
    person.page.locator(f"#eco-{ours['id']}").wait_for()
    assert person.page.locator(f"#eco-{others['id']}").count() == 0
    assert person.page.locator("html").get_attribute("data-side") == "osp"


@pytest.mark.parametrize("view", ["table", "map"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(operator: Person, noc: Noc, view: str, theme: str) -> None:
    noc.create()
    operator.context.add_cookies(
        [{"name": "strike_theme", "value": theme, "url": operator.gateway}]
    )
    operator.go(f"board?view={view}")
    assert violations(operator.page) == []


def test_nothing_is_wider_than_the_screen(
    world: World, browser: Browser, people: list[Person], screen: Screen, noc: Noc
) -> None:
    eco = noc.create("x" * 300)
    person = log_in(world, browser, people, "olivia@bluestem.example", screen)
    for name in ("board", f"eco/{eco['id']}", "times"):
        person.go(name)
        wide = person.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, name


def test_the_first_page_is_small(operator: Person) -> None:
    sizes: dict[str, int] = {}
    page = operator.page

    def note(response: object) -> None:
        sizes[response.url] = 0  # type: ignore[attr-defined]

    page.on("response", note)
    for view, limit in (("table", 150_000), ("map", 400_000)):
        sizes.clear()
        client = operator.context.new_cdp_session(page)
        client.send("Network.enable")
        client.send("Network.setCacheDisabled", {"cacheDisabled": True})
        received: list[float] = []
        client.on(
            "Network.loadingFinished",
            lambda told, to=received: to.append(told["encodedDataLength"]),
        )
        operator.go(f"board?view={view}")
        page.wait_for_timeout(500)
        assert sum(received) < limit, (view, sum(received), list(sizes))
        client.detach()
