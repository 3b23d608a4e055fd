"""An OSP's pager lists: drawn, ordered, checked before they are saved, drilled."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from strike_app.demo.seed import CONTRACTORS
from strike_app.demo.world import World
from strike_domain.actors import Role
from tests.console.accessible import violations
from tests.console.conftest import DESKTOP, log_in
from tests.console.person import Person, Screen
from tests.console.settings_world import set_role

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

EMAIL = "dispatch@503.example"

EVIL = "<img src=x onerror=alert(1)>\"'{{7*7}}<script>alert(2)</script>"

DOUBLE_TAP_MS = 300
"""On a phone, Leaflet takes two taps within 200 ms for a double tap, wherever they are."""


def square(west: float, south: float, size: float = 0.1) -> str:
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return json.dumps({"type": "Polygon", "coordinates": [ring]})


def open_new(person: Person) -> Page:
    person.go("lists", "new")
    person.page.locator("#region-map[data-ready]").wait_for()
    return person.page


def names(page: Page) -> list[str]:
    return [one.input_value() for one in page.locator("#contacts [data-name]").all()]


def fill_person(page: Page, number: int, name: str, phone: str) -> None:
    row = page.locator("#contacts [data-contact]").nth(number)
    row.locator("[data-name]").fill(name)
    row.locator("input[type=tel]").fill(phone)


def fill_people(page: Page, *people: str) -> None:
    while page.locator("#contacts [data-contact]").count() < len(people):
        page.locator("#add-contact").click()
    for number, name in enumerate(people):
        fill_person(page, number, name, f"+1503555{number + 71:04d}")


def drag(page: Page, handle: Locator, onto: Locator) -> None:
    """With the mouse down from the handle to the top of another row."""
    handle.scroll_into_view_if_needed()
    start, end = handle.bounding_box(), onto.bounding_box()
    assert start is not None and end is not None
    x = start["x"] + start["width"] / 2
    page.mouse.move(x, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, end["y"] + end["height"] / 2, steps=8)
    page.mouse.move(x, end["y"] + 4, steps=8)
    page.mouse.up()


def draw(page: Page, *corners: tuple[float, float]) -> None:
    """A polygon with Geoman; corners as shares of the map's width and height.

    They snap to borders near by, so that the first one may lie beside where it was clicked.
    """
    box = page.locator("#region-map")
    box.evaluate("(one) => one.scrollIntoView({ block: 'center' })")
    page.locator("#region-map .leaflet-pm-icon-polygon").click()
    area = box.bounding_box()
    assert area is not None
    for x, y in corners:
        at = area["x"] + x * area["width"], area["y"] + y * area["height"]
        page.mouse.move(*at)
        page.mouse.click(*at)
        page.wait_for_timeout(DOUBLE_TAP_MS)
    page.locator(".leaflet-pm-action.action-finish:visible").click()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save the list").click()
    page.wait_for_url(re.compile(r"/lists\?said=saved"))


def test_a_list_is_drawn_ordered_checked_and_saved(
    world: World, browser: Browser, people: list[Person], screen: Screen
) -> None:
    name = f"Drawn on a {screen.name}"
    person = log_in(world, browser, people, EMAIL, screen)
    page = open_new(person)
    page.get_by_label("Name of the list").fill(name)
    fill_people(page, "Ada", "Bob", "Cyd")
    rows = page.locator("#contacts [data-contact]")
    drag(page, rows.nth(2).locator("[data-handle]"), rows.nth(0))
    assert names(page) == ["Cyd", "Ada", "Bob"]
    rows.nth(2).locator("[data-handle]").focus()
    page.keyboard.press("ArrowUp")
    assert names(page) == ["Cyd", "Bob", "Ada"]
    assert page.evaluate("document.activeElement.matches('[data-handle]')")
    rows.nth(0).get_by_role("button", name="Move down").click()
    assert names(page) == ["Bob", "Cyd", "Ada"]
    draw(page, (0.35, 0.42), (0.65, 0.42), (0.65, 0.75), (0.35, 0.75))
    check = page.locator("#check")
    check.get_by_text(re.compile(f"{name}.* overlap|overlap.*{name}")).first.wait_for()
    assert json.loads(page.locator("#region").input_value())["type"] == "Polygon"
    save(page)
    page.locator(".problems", has_text=name).get_by_text("overlap").first.wait_for()
    card = page.locator(".list-cards .card", has_text=name)
    assert [one.inner_text().split()[0] for one in card.locator("li").all()] == [
        "Bob",
        "Cyd",
        "Ada",
    ]
    card.get_by_role("link", name=name).click()
    page.locator("#region-map[data-ready]").wait_for()
    page.get_by_text("Remove the list").click()
    page.get_by_role("button", name="Yes, remove it").click()
    page.get_by_text("Removed.").wait_for()
    assert page.locator(".list-cards .card", has_text=name).count() == 0


def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(
    world: World, browser: Browser, people: list[Person]
) -> None:
    page = open_new(log_in(world, browser, people, EMAIL, DESKTOP))
    page.get_by_label("Name of the list").fill("Wrong number")
    fill_people(page, "Ada", "Bob")
    fill_person(page, 1, "Bob", "12")
    page.locator("#region").evaluate("(area, text) => { area.value = text; }", square(-119, 43))
    page.get_by_role("button", name="Save the list").click()
    wrong = page.locator("#contacts [aria-invalid=true]")
    wrong.wait_for()
    assert wrong.input_value() == "12"
    described = page.locator(f"#{wrong.get_attribute('aria-describedby')}")
    assert "country code" in described.inner_text()
    assert names(page) == ["Ada", "Bob"]
    assert page.get_by_label("Name of the list").input_value() == "Wrong number"
    assert json.loads(page.locator("#region").input_value())["coordinates"]


def test_a_list_needs_a_region_or_the_word_that_it_is_the_default(
    world: World, browser: Browser, people: list[Person]
) -> None:
    page = open_new(log_in(world, browser, people, EMAIL, DESKTOP))
    page.get_by_label("Name of the list").fill("Nowhere")
    fill_people(page, "Ada")
    page.get_by_role("button", name="Save the list").click()
    page.locator(".field-error", has_text="Draw or import a region").wait_for()
    page.get_by_label("everywhere else: this is the default list").check()
    page.get_by_role("button", name="Save the list").click()
    page.get_by_text("is the default list already").first.wait_for()


SPANS = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"id": "s1", "network": {"id": "n1", "name": f"{net}"}},
            "geometry": {"type": "LineString", "coordinates": [[x, 43.2], [x + 0.3, 43.3]]},
        }
        for net, x in (("North loop", -118.9), (EVIL, -117.5))
    ],
}


def test_a_file_of_spans_becomes_a_corridor(
    world: World, browser: Browser, people: list[Person]
) -> None:
    page = open_new(log_in(world, browser, people, EMAIL, DESKTOP))
    page.locator("#import summary").click()
    file = {
        "name": f"{EVIL.replace('/', '')}.geojson",
        "mimeType": "application/json",
        "buffer": json.dumps({**SPANS, "features": SPANS["features"][:1]}).encode(),
    }
    page.locator("#file").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_label("Metres to each side").fill("500")
    page.get_by_role("button", name="Import", exact=True).click()
    page.locator("#region-map[data-ready]").wait_for()
    region = json.loads(page.locator("#region").input_value())
    assert region["type"] == "Polygon"
    assert len(region["coordinates"][0]) > 4
    assert page.get_by_label("Name of the list").input_value() == "North loop"


def test_of_several_regions_one_is_chosen(
    world: World, browser: Browser, people: list[Person]
) -> None:
    page = open_new(log_in(world, browser, people, EMAIL, DESKTOP))
    page.get_by_label("Name of the list").fill("One of two")
    page.locator("#import summary").click()
    page.locator("#paste").fill(json.dumps(SPANS))
    page.get_by_role("button", name="Import", exact=True).click()
    assert page.locator(".offers button").count() == 2
    assert EVIL in page.locator(".offers").inner_text()
    page.get_by_role("button", name="North loop").click()
    page.locator("#region-map[data-ready]").wait_for()
    assert json.loads(page.locator("#region").input_value())["type"] == "Polygon"
    assert page.get_by_label("Name of the list").input_value() == "One of two"


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        ("no json", "JSON"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 1], [1, 0], [0, 0]]]}', "cross"),
        ('{"type": "FeatureCollection", "features": []}', "nothing in it"),
        ('{"networks": []}', "GeoJSON form"),
        ("[" * 10_000, "nest"),
    ],
)
def test_a_file_that_is_wrong_says_what_is_wrong(
    world: World, browser: Browser, people: list[Person], pasted: str, said: str
) -> None:
    page = open_new(log_in(world, browser, people, EMAIL, DESKTOP))
    page.locator("#import summary").click()
    page.locator("#paste").fill(pasted)
    page.get_by_role("button", name="Import", exact=True).click()
    assert said in page.locator("#paste-error").inner_text()
    assert page.locator("#paste").input_value() == pasted


def test_everything_but_drawing_works_without_scripts(
    world: World, browser: Browser, people: list[Person]
) -> None:
    with_scripts = log_in(world, browser, people, EMAIL, DESKTOP)
    tenant = with_scripts.page.url.split("/t/")[1].split("/")[0]
    context = browser.new_context(
        java_script_enabled=False,
        base_url=world.gateway_url,
        storage_state=with_scripts.context.storage_state(),
    )
    try:
        page = context.new_page()
        page.goto(f"/t/{tenant}/lists/new")
        page.get_by_label("Name of the list").fill("By hand")
        fill_people(page, "Ada", "Bob", "Cyd")
        page.get_by_role("button", name="Move up").nth(2).click()
        assert names(page) == ["Ada", "Cyd", "Bob"]
        page.get_by_role("button", name="Move down").nth(0).click()
        assert names(page) == ["Cyd", "Ada", "Bob"]
        page.get_by_role("button", name="Take off the list").nth(1).click()
        assert names(page) == ["Cyd", "Bob"]
        page.get_by_text("The region as GeoJSON").click()
        page.locator("#region").fill(square(-123.1, 44.0))
        page.get_by_role("button", name="Check").click()
        assert "has not agreed" in page.locator("#check").inner_text()
        page.get_by_role("button", name="Save the list").click()
        assert page.get_by_text("Saved.").is_visible()
        page.get_by_label("Latitude").fill("44.05")
        page.get_by_label("Longitude").fill("-123.05")
        page.get_by_role("button", name="Drill").click()
        assert "By hand" in page.locator("#drill").inner_text()
        page.get_by_role("link", name="By hand").first.click()
        page.get_by_text("Remove the list").click()
        page.get_by_role("button", name="Yes, remove it").click()
        assert page.get_by_text("Removed.").is_visible()
    finally:
        context.close()


def test_a_click_on_the_map_drills_that_place(
    world: World, browser: Browser, people: list[Person], screen: Screen
) -> None:
    person = log_in(world, browser, people, EMAIL, screen)
    person.go("lists")
    page = person.page
    page.locator("#ground[data-ready]").wait_for()
    page.locator("#ground").click(position={"x": 30, "y": 250})
    drill = page.locator("#drill[data-place]")
    drill.get_by_text("everywhere else").first.wait_for()
    assert "Grace Tanaka" in drill.locator(".moments").inner_text()
    assert drill.locator("blockquote[lang=es]").count() == 1


def test_a_place_that_is_none_is_refused_beside_the_form(
    world: World, browser: Browser, people: list[Person]
) -> None:
    person = log_in(world, browser, people, EMAIL, DESKTOP)
    person.go("lists?latitude=north&longitude=1e999")
    assert "Write a number" in person.page.locator("#drill").inner_text()
    person.go("lists?latitude=99&longitude=1")
    assert person.page.locator("#drill .notice.bad").count() == 1


def test_nothing_that_is_typed_runs(world: World, browser: Browser, people: list[Person]) -> None:
    person = log_in(world, browser, people, EMAIL, DESKTOP)
    page = open_new(person)
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    name = f"{EVIL} {uuid4().hex[:6]}"
    page.get_by_label("Name of the list").fill(name)
    fill_people(page, EVIL)
    for field in ("rounds", "answerSeconds", "ringAgainMinutes", "ringAgainTimes", "paste"):
        page.locator(f"#{field}").evaluate("(one, text) => { one.value = text; }", EVIL)
    page.locator("#region").evaluate("(one, text) => { one.value = text; }", EVIL)
    page.get_by_role("button", name="Save the list").click()
    page.locator("#region-map[data-ready]").wait_for()
    assert page.locator("#rounds").input_value() == EVIL
    for field, value in (("rounds", "1"), ("answerSeconds", "30")):
        page.locator(f"#{field}").fill(value)
    for field in ("ringAgainMinutes", "ringAgainTimes"):
        page.locator(f"#{field}").fill("")
    page.locator("#region").evaluate("(one, text) => { one.value = text; }", square(-122.7, 45.45))
    save(page)
    page.locator("#ground[data-ready]").wait_for()
    assert name in page.locator(".list-cards").inner_text()
    page.mouse.move(600, 300)
    page.locator("#ground").click(position={"x": 500, "y": 150})
    page.locator("#drill[data-place]").wait_for()
    page.locator(".list-cards").get_by_role("link", name=name).click()
    page.locator("#region-map[data-ready]").wait_for()
    page.get_by_text("Remove the list").click()
    page.get_by_role("button", name="Yes, remove it").click()
    page.get_by_text("Removed.").wait_for()
    assert said == []
    assert page.locator("img[src=x]").count() == 0


def test_a_viewer_sees_lists_with_masked_numbers_and_no_button(
    world: World, browser: Browser, people: list[Person]
) -> None:
    contractor = CONTRACTORS[2]
    set_role(world, "dispatch@801.example", contractor.id, Role.VIEWER)
    person = log_in(world, browser, people, "dispatch@801.example", DESKTOP)
    page = person.page
    page.goto(f"/t/{contractor.id}/lists")
    assert page.locator("main .primary, main .danger").count() == 0
    assert "+1503" not in page.content()
    page.locator(".list-cards [data-open]").first.click()
    assert page.locator("main button").count() == page.locator(".leaflet-container button").count()
    assert page.locator("main form").count() == 0
    answer = page.request.get(f"/t/{contractor.id}/lists/new")
    assert answer.status == 403


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["lists", "lists?latitude=45.5&longitude=-122.7", "lists/new"])
def test_list_pages_are_accessible(
    world: World,
    browser: Browser,
    people: list[Person],
    screen: Screen,
    name: str,
    theme: str,
) -> None:
    person = log_in(world, browser, people, EMAIL, screen)
    person.context.add_cookies([{"name": "strike_theme", "value": theme, "url": person.gateway}])
    person.go(name)
    person.page.locator("[data-ready]").first.wait_for()
    for one in person.page.locator("main details > summary").all():
        one.click()
    assert violations(person.page) == []
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert person.page.evaluate(wide) <= 0
