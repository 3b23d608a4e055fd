"""A callout in fifteen seconds: where, what, whom; sent once, whatever the connection does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from strike_app.demo.seed import CONTRACTORS, NEWCOMER, NOC_ID
from strike_app.demo.world import World
from tests.console.accessible import violations
from tests.console.conftest import log_in
from tests.console.person import Person, Screen

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

BOULDER = {"type": "Point", "coordinates": [-105.27, 40.01]}
LINE = {"type": "LineString", "coordinates": [[-105.28, 40.01], [-105.25, 40.02]]}
SPANS = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": name, "featureType": "span", "network": {"id": "n"}},
            "geometry": {"type": "LineString", "coordinates": [[-105.28, 40.0], [x, 40.02]]},
        }
        for name, x in (("Pearl to Baseline", -105.25), ("Baseline to Table Mesa", -105.26))
    ],
}
EVIL = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"

ECOS = (
    "query { ecos(first: 200) { edges { node { id description location ticket osp { name } } } } }"
)

DROP = """([name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, { type: "application/geo+json" }));
  const how = { dataTransfer: data, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("drop", how));
}"""


class Form:
    """The page as somebody uses it."""

    def __init__(self, person: Person) -> None:
        self.person, self.page = person, person.page
        self.said = f"Cut {uuid4()}"
        person.go("new")
        person.page.locator("#draw").wait_for()

    def describe(self) -> None:
        self.page.fill("#description", self.said)

    def type_place(self, text: str) -> None:
        self.page.fill("#place", text)

    def is_previewed(self, name: str = CONTRACTORS[0].name) -> None:
        self.page.locator(
            ".contractor", has=self.page.locator(":checked"), has_text=name
        ).wait_for()

    def send(self) -> None:
        self.page.keyboard.press("Control+Enter")

    def is_created(self) -> dict[str, Any]:
        self.page.wait_for_url("**/eco/*")
        while not (found := self.ecos()):
            self.page.wait_for_timeout(50)
        assert len(found) == 1
        assert found[0]["id"] in self.page.url
        return found[0]

    def ecos(self) -> list[dict[str, Any]]:
        """Those that this form created: one at the most."""
        answer = self.person.context.request.post(
            "/graphql", data={"query": ECOS}, headers={"X-Tenant-ID": str(NOC_ID)}
        )
        nodes = [edge["node"] for edge in answer.json()["data"]["ecos"]["edges"]]
        return [one for one in nodes if self.said in one["description"]]

    def error(self, name: str) -> str:
        line = self.page.locator(f"#{name}-error")
        line.wait_for()
        return line.inner_text()


@pytest.fixture
def form(operator: Person) -> Iterator[Form]:
    yield Form(operator)
    forgive(operator, "/eco/")


@pytest.fixture
def anywhere(
    world: World, browser: Browser, people: list[Person], screen: Screen
) -> Iterator[Form]:
    """On a desktop and on a phone."""
    person = log_in(world, browser, people, "olivia@bluestem.example", screen)
    yield Form(person)
    forgive(person, "/eco/")


def forgive(person: Person, *words: str) -> None:
    """What the browser itself says where a test has broken something on purpose."""
    person.faults[:] = [one for one in person.faults if not any(word in one for word in words)]


# Where ----------------------------------------------------------------------------------------


def test_a_click_a_sentence_and_ctrl_enter(anywhere: Form) -> None:
    anywhere.page.locator("#map").click(position={"x": 120, "y": 150})
    anywhere.page.locator(".contractor").first.wait_for()
    anywhere.describe()
    anywhere.send()
    assert anywhere.is_created()["location"]["type"] == "Point"


def test_by_keyboard_alone_with_a_letter_wrong(form: Form) -> None:
    keyboard = form.page.keyboard
    form.page.locator("body").press("/")
    keyboard.type("bolder, c")
    form.page.locator("#places li", has_text="Boulder, CO").wait_for()
    keyboard.press("ArrowDown")
    keyboard.press("ArrowUp")
    keyboard.press("Enter")
    form.is_previewed()
    assert form.page.evaluate("document.activeElement.id") == "description"
    keyboard.type(form.said)
    form.send()
    assert form.is_created()["location"]["coordinates"] == [-105.27055, 40.01499]


def test_on_the_map_by_keyboard(form: Form) -> None:
    form.page.locator("#map").focus()
    form.page.keyboard.press("Enter")
    form.page.locator(".contractor").first.wait_for()
    assert "," in form.page.input_value("#place")


@pytest.mark.parametrize(
    ("text", "geometry"),
    [
        ("40.01, -105.27", BOULDER),
        ("40°00'36\"N 105°16'12\"W", BOULDER),
        ("-105.27 40.01", BOULDER),
        ("https://www.google.com/maps/@40.01,-105.27,12z", BOULDER),
        ("https://maps.apple.com/?ll=40.01,-105.27&q=Pin", BOULDER),
        (json.dumps(BOULDER), BOULDER),
        (json.dumps({"type": "Feature", "properties": {}, "geometry": LINE}, indent=1), LINE),
    ],
)
def test_whatever_is_pasted_becomes_a_place(form: Form, text: str, geometry: object) -> None:
    form.type_place(text)
    form.is_previewed()
    form.describe()
    form.send()
    assert form.is_created()["location"] == geometry


def test_a_file_is_dropped_and_a_span_chosen(anywhere: Form) -> None:
    anywhere.page.evaluate(DROP, ["spans.geojson", json.dumps(SPANS)])
    anywhere.page.get_by_role("option", name="Baseline to Table Mesa").click()
    anywhere.is_previewed()
    anywhere.describe()
    anywhere.send()
    assert anywhere.is_created()["location"] == SPANS["features"][1]["geometry"]  # type: ignore[index]


def test_a_file_is_chosen(form: Form, tmp_path: Path) -> None:
    file = tmp_path / "cut.geojson"
    file.write_text(json.dumps(LINE))
    form.page.set_input_files("#file", file)
    form.is_previewed()
    assert json.loads(form.page.input_value("[name=location]")) == LINE


def test_a_line_is_drawn_with_tools_that_come_only_then(form: Form) -> None:
    page = form.page
    assert "geoman" not in page.evaluate("performance.getEntries().map((e) => e.name).join()")
    page.locator("#draw").click()
    page.locator("#draw[aria-pressed=true]").wait_for()
    page.wait_for_function("() => window.L.PM && document.querySelector('.leaflet-tooltip')")
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 150, box["y"] + 120)
    page.mouse.click(box["x"] + 220, box["y"] + 160)
    page.mouse.dblclick(box["x"] + 300, box["y"] + 140)
    page.locator(".contractor").first.wait_for()
    assert json.loads(page.input_value("[name=location]"))["type"] == "LineString"


# Whom -----------------------------------------------------------------------------------------


def test_it_is_shown_who_would_be_rung_in_which_order_and_why(form: Form) -> None:
    form.type_place("40.01, -105.27")
    form.is_previewed()
    chosen = form.page.locator(".contractor", has=form.page.locator(":checked"))
    text = chosen.inner_text()
    assert re.search(r"1\. Ana Reyes.*2\. Ben Okafor.*3\. Carla Diaz", text, re.DOTALL)
    assert "Boulder County, Colorado" in text and "covers the point" in text
    newcomer = form.page.locator(".contractor", has_text=NEWCOMER.name)
    assert "would ring nobody" in newcomer.inner_text()


def test_another_contractor_is_chosen_by_hand_and_stays(form: Form) -> None:
    form.type_place("40.01, -105.27")
    form.is_previewed()
    form.page.locator(".contractor", has_text=CONTRACTORS[1].name).click()
    form.type_place("40.02, -105.28")
    form.page.wait_for_function(
        "() => document.querySelector('[data-previewed]')?.dataset.previewed.includes('40.02')"
    )
    form.is_previewed(CONTRACTORS[1].name)
    form.describe()
    form.send()
    assert form.is_created()["osp"]["name"] == CONTRACTORS[1].name


def test_in_the_sea_nobody_covers_the_place(form: Form) -> None:
    form.type_place("35.0, -140.0")
    form.page.locator(".contractor").first.wait_for()
    assert form.page.locator(".contractor .badge.good").count() == 0
    assert form.page.locator(".contractor .badge.warn").count() == 3


# Refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("place", lambda page: page.fill("#place", "95.0 200.0"), "is not between"),
        ("place", lambda page: page.fill("#place", "xqzzy wobble"), "Nothing of that name"),
        ("place", lambda page: page.fill("#place", "boulder"), "Choose which of these"),
        ("place", lambda page: page.fill("#place", ""), "Say where it is"),
        (
            "place",
            lambda page: page.fill(
                "#place", '{"type":"LineString","coordinates":[[-105,40],[-105,40]]}'
            ),
            "two different positions",
        ),
        ("description", lambda page: page.fill("#description", "x" * 4001), "too many"),
        ("description", lambda page: page.fill("#description", "  "), ""),
        ("ticket", lambda page: page.fill("#ticket", "9" * 201), "200"),
        ("affectedCustomers", lambda page: page.fill("#affectedCustomers", "some"), "whole number"),
        ("affectedCustomers", lambda page: page.fill("#affectedCustomers", "-3"), "whole number"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    form: Form, name: str, spoil: Callable[[Any], None], says: str
) -> None:
    form.type_place("40.01, -105.27")
    form.is_previewed()
    form.describe()
    form.page.fill("#ticket", "INC-1")
    spoil(form.page)
    before = [form.page.input_value(f"#{one}") for one in ("place", "description", "ticket")]
    form.send()
    assert says in form.error(name)
    field = form.page.locator(f"#{name}")
    assert field.get_attribute("aria-invalid") == "true"
    assert f"{name}-error" in (field.get_attribute("aria-describedby") or "")
    after = [form.page.input_value(f"#{one}") for one in ("place", "description", "ticket")]
    assert after == before
    assert form.ecos() == []


def test_a_link_that_is_suspended_meanwhile_is_said_at_the_contractor(
    form: Form, world: World
) -> None:
    form.type_place("40.01, -105.27")
    form.is_previewed()
    form.page.locator(".contractor", has_text=NEWCOMER.name).click()
    form.describe()
    try:
        _set_link(world, "SUSPENDED")
        form.send()
        assert "no active link" in form.error("ospId")
        form.page.get_by_text(f"{NEWCOMER.name}: the link is suspended").wait_for()
        assert form.page.input_value("#description") == form.said
    finally:
        _set_link(world, "ACTIVE")
    assert form.ecos() == []


def _set_link(world: World, status: str) -> None:
    with psycopg.connect(world.database_url) as connection:
        connection.execute(
            "UPDATE links SET status = %s WHERE noc_id = %s AND osp_id = %s",
            (status, NOC_ID, NEWCOMER.id),
        )


# Once, whatever happens -------------------------------------------------------------------------


def test_what_was_typed_survives_a_reload_and_goes_with_the_callout(form: Form) -> None:
    form.type_place("40.01, -105.27")
    form.is_previewed()
    form.describe()
    form.page.fill("#ticket", "INC-77")
    reference = form.page.input_value("[name=clientReference]")
    form.page.reload()
    form.is_previewed()
    assert form.page.input_value("#description") == form.said
    assert form.page.input_value("[name=clientReference]") == reference
    form.page.locator("#description").focus()
    form.send()
    assert form.is_created()["ticket"] == "INC-77"
    form.person.go("new")
    assert form.page.input_value("#description") == ""
    assert form.page.input_value("[name=clientReference]") != reference


def test_without_a_connection_it_says_so_and_is_sent_when_there_is_one(anywhere: Form) -> None:
    anywhere.type_place("40.01, -105.27")
    anywhere.is_previewed()
    anywhere.describe()
    anywhere.person.context.set_offline(True)
    anywhere.send()
    anywhere.page.locator("#sending", has_text="No connection").wait_for()
    assert anywhere.page.locator("#description").is_disabled()
    anywhere.person.context.set_offline(False)
    anywhere.is_created()
    forgive(anywhere.person, "net::ERR", "Failed to fetch")


@pytest.mark.parametrize("lost", ["answer", "gateway"])
def test_a_lost_answer_creates_one_callout(form: Form, lost: str) -> None:
    """The server has got it, and the browser does not know."""
    tries: list[str] = []

    def lose(route: Route) -> None:
        tries.append(route.request.post_data or "")
        if len(tries) > 2:
            route.continue_()
            return
        route.fetch()
        route.abort() if lost == "answer" else route.fulfill(status=502, body="bad gateway")

    form.type_place("40.01, -105.27")
    form.is_previewed()
    form.describe()
    form.page.route("**/new", lambda route: lose(route) if route.request.method == "POST" else None)
    form.send()
    form.page.locator("#try-now").wait_for()
    form.page.locator("#try-now").click()
    form.is_created()
    assert len(tries) == 3 and len(set(tries)) == 1
    forgive(form.person, "net::ERR", "502")


def test_one_can_stop_trying_and_send_the_same_callout_later(form: Form) -> None:
    form.type_place("40.01, -105.27")
    form.is_previewed()
    form.describe()
    form.person.context.set_offline(True)
    form.send()
    form.page.locator("#stop-trying").click()
    form.page.locator("#sending", has_text="look at the board").wait_for()
    form.person.context.set_offline(False)
    form.page.locator("#description").focus()
    form.send()
    form.is_created()
    forgive(form.person, "net::ERR")


def test_a_double_click_sends_one(form: Form) -> None:
    form.type_place("40.01, -105.27")
    form.is_previewed()
    form.describe()
    form.page.locator("#send").dblclick()
    form.is_created()


def test_an_old_form_with_a_new_text_says_that_it_is_used_up(form: Form) -> None:
    """As after the browser's back button: the second callout must not get lost in the first."""
    form.type_place("40.01, -105.27")
    form.is_previewed()
    form.describe()
    reference = form.page.input_value("[name=clientReference]")
    form.send()
    form.is_created()
    other = Form(form.person)
    other.type_place("40.01, -105.27")
    other.is_previewed()
    other.describe()
    other.page.evaluate(
        "(it) => { document.querySelector('[name=clientReference]').value = it }", reference
    )
    other.send()
    assert "created a callout already" in other.error("description")
    assert other.ecos() == []
    other.send()
    other.is_created()


# Without script, without danger -----------------------------------------------------------------


def test_it_works_without_script(world: World, browser: Browser, people: list[Person]) -> None:
    person = log_in(world, browser, people, "olivia@bluestem.example", Screen("plain", 1280, 860))
    address = person.page.url.replace("/board", "/new")
    state = person.context.storage_state()
    context = browser.new_context(
        java_script_enabled=False, base_url=world.gateway_url, storage_state=state
    )
    try:
        page = context.new_page()
        page.goto(address)
        said = f"Cut {uuid4()}"
        page.fill("#place", "boulder")
        page.fill("#description", said)
        page.click("#send")
        assert "Choose which of these" in page.locator("#place-error").inner_text()
        page.get_by_label("Boulder, CO").check()
        page.click("#send")
        assert "Look who would be rung" in page.locator("#ospId-error").inner_text()
        assert page.locator(".contractor .badge.good").count() == 1
        assert page.input_value("#description") == said
        page.click("#send")
        page.wait_for_url("**/eco/*")
    finally:
        context.close()


def test_no_field_lets_a_script_in(form: Form) -> None:
    page = form.page
    for name in ("place", "description", "ticket", "affectedCustomers"):
        page.fill(f"#{name}", EVIL)
    form.send()
    form.error("place")
    spans = {"type": "Feature", "properties": {"name": EVIL}, "geometry": LINE}
    wrong = {"type": "Feature", "properties": {"name": EVIL}, "geometry": {"type": EVIL}}
    page.evaluate(
        DROP,
        [f"{EVIL}.json", json.dumps({"type": "FeatureCollection", "features": [spans, wrong]})],
    )
    page.locator("#places li", has_text="onerror").first.wait_for()
    page.reload()
    page.locator("#draw").wait_for()
    assert "pwned" not in page.title()
    assert page.locator("main img, main script").count() == 0
    assert page.input_value("#description") == EVIL


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible_in_every_state(anywhere: Form, theme: str) -> None:
    anywhere.person.context.add_cookies(
        [{"name": "strike_theme", "value": theme, "url": anywhere.person.gateway}]
    )
    form = Form(anywhere.person)
    assert violations(form.page) == []
    form.type_place("boulder")
    form.page.locator("#places li").first.wait_for()
    assert violations(form.page) == []
    form.page.keyboard.press("Enter")
    form.is_previewed()
    form.page.fill("#ticket", "9" * 300)
    form.send()
    form.error("description")
    assert violations(form.page) == []
    wide = form.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not wide


def test_a_viewer_of_a_contractor_has_no_such_page(dispatcher: Person) -> None:
    dispatcher.go("new")
    assert "WRONG_SIDE" in dispatcher.page.content()
    forgive(dispatcher, "403")
