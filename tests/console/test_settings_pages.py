"""Links, people, accounts, tokens and audit of both sides, on pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from strike_app.demo.seed import CONTRACTORS, NOCS
from strike_app.demo.world import World
from strike_domain.actors import Role, Side
from tests.console.accessible import violations
from tests.console.conftest import DESKTOP, log_in
from tests.console.person import Person, Screen
from tests.console.settings_world import add_company, company_called, set_role

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ADMIN_OF_NOC = "tom@tidewater.example"
ADMIN_OF_OSP = "dispatch@970.example"

EVIL = "<img src=x onerror=alert(1)>\"'{{7*7}}<script>alert(2)</script>"

SECRET = "open-sesame-4711"


def at(person: Person, tenant: UUID, *parts: str) -> Page:
    person.page.goto("/".join([f"/t/{tenant}", *parts]))
    return person.page


def noc_of(world: World, browser: Browser, people: list[Person], screen: Screen) -> Person:
    """The admin of Tidewater Transit NOC, at that company: other tests make them others'."""
    person = log_in(world, browser, people, ADMIN_OF_NOC, screen)
    at(person, company_called(world, NOCS[1]), "settings")
    return person


def sure(page: Page, row: str, words: str) -> None:
    """The button, and the one below that says yes."""
    one = page.locator(row)
    one.locator("summary", has_text=words).click()
    one.get_by_role("button", name="Yes").click()


def test_a_link_is_proposed_accepted_suspended_and_resumed(
    world: World, browser: Browser, people: list[Person], screen: Screen
) -> None:
    name = f"Link Partner {screen.name}"
    osp = add_company(world, name, Side.OSP, ADMIN_OF_OSP)
    noc_admin = noc_of(world, browser, people, screen)
    osp_admin = log_in(world, browser, people, ADMIN_OF_OSP, screen)
    number = at(osp_admin, osp, "links").locator("main code").inner_text()
    assert number == str(osp)
    noc_admin.go("links")
    page = noc_admin.page
    page.get_by_label("The contractor's Strike number").fill(number)
    page.get_by_role("button", name="Propose").click()
    row = page.locator(f"#link-{osp}")
    row.get_by_text("proposed").wait_for()
    assert row.get_by_role("link").count() == 0
    theirs = at(osp_admin, osp, "links")
    theirs.get_by_role("button", name="Accept").click()
    theirs.get_by_text("Accepted.").wait_for()
    page.reload()
    row.get_by_text("active").wait_for()
    row.scroll_into_view_if_needed()
    row.get_by_text("not ready").wait_for()
    row.get_by_role("combobox").select_option("MANUAL")
    row.get_by_role("button", name="Set").click()
    page.get_by_text("Saved.").wait_for()
    assert row.get_by_role("combobox").input_value() == "MANUAL"
    sure(page, f"#link-{osp}", "Suspend")
    row.get_by_text("by the NOC").wait_for()
    theirs.reload()
    assert theirs.locator(".badge", has_text="suspended").count() == 1
    assert theirs.get_by_role("button", name="Resume").count() == 0
    row.get_by_role("button", name="Resume").click()
    page.get_by_text("Active again.").wait_for()


def test_a_proposal_is_turned_down_or_taken_back(
    world: World, browser: Browser, people: list[Person]
) -> None:
    osp = add_company(world, "Not Interested", Side.OSP, ADMIN_OF_OSP)
    noc_admin = noc_of(world, browser, people, DESKTOP)
    osp_admin = log_in(world, browser, people, ADMIN_OF_OSP, DESKTOP)
    page = noc_admin.page

    def propose() -> None:
        noc_admin.go("links")
        page.get_by_label("The contractor's Strike number").fill(str(osp))
        page.get_by_role("button", name="Propose").click()

    propose()
    page.get_by_text("Proposed.").wait_for()
    propose()
    page.get_by_text("There is a link with this contractor already.").wait_for()
    assert page.locator("#ospId").input_value() == str(osp)
    page.locator(f"#link-{osp}").get_by_role("button", name="Take back").click()
    page.get_by_text("Taken back.").wait_for()
    propose()
    page.get_by_text("Proposed.").wait_for()
    theirs = at(osp_admin, osp, "links")
    theirs.locator("summary", has_text="Turn down").click()
    theirs.get_by_role("button", name="Yes").click()
    theirs.get_by_text("Turned down.").wait_for()
    page.reload()
    assert page.locator(f"#link-{osp}").count() == 0


def test_a_contractor_that_is_not_there_is_said_beside_the_field(
    world: World, browser: Browser, people: list[Person]
) -> None:
    person = noc_of(world, browser, people, DESKTOP)
    for wrong in (str(uuid4()), EVIL):
        person.go("links")
        person.page.get_by_label("The contractor's Strike number").fill(wrong)
        person.page.get_by_role("button", name="Propose").click()
        field = person.page.locator("#ospId[aria-invalid=true]")
        assert field.input_value() == wrong


def test_a_noc_sees_where_a_linked_contractor_answers(
    world: World, browser: Browser, people: list[Person], screen: Screen
) -> None:
    person = noc_of(world, browser, people, screen)
    person.go("links")
    person.page.get_by_role("link", name=CONTRACTORS[1].name).click()
    person.page.locator("#ground[data-ready]").wait_for()
    assert "ready for the night" in person.page.locator("h1").inner_text()
    assert "Utah County" in (person.page.locator("#ground-data").get_attribute("data-ground") or "")


@pytest.mark.parametrize("account", ["twilio", "render"])
def test_a_secret_is_set_and_tested_and_never_shown(
    world: World, browser: Browser, people: list[Person], account: str
) -> None:
    is_twilio = account == "twilio"
    side = Side.NOC if is_twilio else Side.OSP
    email = ADMIN_OF_NOC if is_twilio else ADMIN_OF_OSP
    tenant = add_company(world, f"Secrets of {account}", side, email)
    person = log_in(world, browser, people, email, DESKTOP)
    page = at(person, tenant, "settings", account)
    pages: list[str] = []
    page.on("response", lambda answer: pages.append(answer.url))
    if is_twilio:
        page.get_by_label("Account SID").fill("AC" + "9" * 32)
        page.get_by_label("Number that people see").fill("12")
        page.get_by_label("Auth token").fill(SECRET)
    else:
        page.get_by_label("Address").fill(world.mock_url)
        page.get_by_label("Client", exact=False).first.fill("nobody")
        page.get_by_label("Project").fill("p")
        page.get_by_label("Ask every").fill("often")
        page.get_by_label("Client secret").fill(SECRET)
    page.get_by_role("button", name="Save").click()
    page.locator(".field-error").wait_for()
    assert SECRET not in page.content()
    assert page.get_by_label("token" if is_twilio else "Client secret").input_value() == ""
    if is_twilio:
        assert page.get_by_label("Number that people see").input_value() == "12"
        page.get_by_label("Number that people see").fill("+12025550199")
        page.get_by_label("Auth token").fill(SECRET)
    else:
        page.get_by_label("Ask every").fill("30")
        page.get_by_label("Client secret").fill(SECRET)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    assert SECRET not in page.content()
    page.get_by_role("button", name="Test it").click()
    page.locator(".notice.bad").wait_for()
    assert SECRET not in page.content()
    for section in (f"settings/{account}", "settings", "settings/audit"):
        assert SECRET not in at(person, tenant, section).content()
    assert "set anew" in page.content()
    assert not [url for url in pages if SECRET in url]


def test_the_demos_own_accounts_work(
    world: World, browser: Browser, people: list[Person], dispatcher: Person
) -> None:
    at(dispatcher, CONTRACTORS[0].id, "settings", "render")
    dispatcher.page.get_by_role("button", name="Test it").click()
    dispatcher.page.get_by_text("Render lets us in.").wait_for()
    noc = noc_of(world, browser, people, DESKTOP)
    noc.go("settings", "twilio")
    noc.page.get_by_role("button", name="Test it").click()
    noc.page.get_by_text("A call could be placed tonight.").wait_for()


def test_job_numbers_go_up_and_never_down(
    world: World, browser: Browser, people: list[Person], screen: Screen
) -> None:
    tenant = add_company(world, f"Numbers {screen.name}", Side.OSP, ADMIN_OF_OSP)
    person = log_in(world, browser, people, ADMIN_OF_OSP, screen)
    page = at(person, tenant, "settings", "jobs")
    for last, said in (("500", "Saved."), ("499", "use a higher one"), ("many", "whole number")):
        page.get_by_label("Go on after").fill(last)
        page.get_by_role("button", name="Raise").click()
        page.get_by_text(said).wait_for()
    assert page.get_by_label("Go on after").input_value() == "many"
    assert page.locator("table").get_by_text("500", exact=True).count() == 1


def test_people_come_change_and_go(
    world: World, browser: Browser, people: list[Person], screen: Screen
) -> None:
    tenant = add_company(world, f"People {screen.name}", Side.NOC, ADMIN_OF_NOC)
    person = log_in(world, browser, people, ADMIN_OF_NOC, screen)
    page = at(person, tenant, "settings")
    page.get_by_label("E-mail", exact=False).fill("no address")
    page.locator("#person").fill("Nobody")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("#email[aria-invalid=true]").wait_for()
    assert page.locator("#person").input_value() == "Nobody"
    page.get_by_label("E-mail", exact=False).fill("new@people.example")
    page.get_by_role("button", name="Add", exact=True).click()
    row = page.locator("tr", has_text="new@people.example")
    row.wait_for()
    row.get_by_role("combobox").select_option("VIEWER")
    row.get_by_role("button", name="Set").click()
    page.get_by_text("Saved.").wait_for()
    assert row.get_by_role("combobox").input_value() == "VIEWER"
    row.locator("summary").click()
    row.get_by_role("button", name="Yes").click()
    page.get_by_text("Removed.").wait_for()
    assert row.count() == 0
    mine = page.locator("tr", has_text=ADMIN_OF_NOC)
    mine.locator("summary").click()
    mine.get_by_role("button", name="Yes").click()
    page.get_by_text("last admin").wait_for()


def test_a_token_is_shown_once(
    world: World, browser: Browser, people: list[Person], screen: Screen
) -> None:
    tenant = add_company(world, f"Tokens {screen.name}", Side.OSP, ADMIN_OF_OSP)
    person = log_in(world, browser, people, ADMIN_OF_OSP, screen)
    page = at(person, tenant, "settings", "tokens")
    page.get_by_label("What it is for").fill(EVIL)
    page.get_by_label("Good for so many days").fill("9999")
    page.get_by_role("button", name="Make the token").click()
    page.locator("#days[aria-invalid=true]").wait_for()
    assert page.get_by_label("What it is for").input_value() == EVIL
    page.get_by_label("Good for so many days").fill("1")
    with page.expect_response(re.compile("/settings/tokens$")) as answered:
        page.get_by_role("button", name="Make the token").click()
    assert answered.value.headers["cache-control"] == "no-store"
    secret = page.locator(".secret").inner_text()
    assert secret.startswith("strike_")
    assert secret not in page.url
    page.goto(page.url)
    assert secret not in page.content()
    row = page.locator("tr", has_text="onerror")
    row.locator("summary").click()
    row.get_by_role("button", name="Yes").click()
    page.get_by_text("Revoked.").wait_for()
    audit = at(person, tenant, "settings", "audit")
    assert secret not in audit.content()
    assert audit.locator("code", has_text="tokens.edit").count() == 2
    assert audit.locator("img[src=x]").count() == 0


def test_names_are_text_on_every_page(world: World, browser: Browser, people: list[Person]) -> None:
    """The company's name is in the header, in other companies' links, and in the audit."""
    tenant = add_company(world, "Plain", Side.OSP, ADMIN_OF_OSP)
    person = log_in(world, browser, people, ADMIN_OF_OSP, DESKTOP)
    page = at(person, tenant, "settings")
    page.get_by_label("Name of the company").fill(EVIL)
    page.get_by_role("button", name="Rename").click()
    page.get_by_text("Saved.").wait_for()
    page.locator("#person").fill(EVIL)
    page.get_by_label("E-mail", exact=False).fill("evil@names.example")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("tr", has_text="evil@names.example").wait_for()
    for section in ("settings", "settings/audit", "lists", "links", "board"):
        at(person, tenant, *section.split("/"))
        assert EVIL in page.locator(".eyes strong").inner_text()
        assert page.locator("img[src=x]").count() == 0


def test_another_tenant_is_seen_on_the_same_kind_of_page(
    world: World, browser: Browser, people: list[Person]
) -> None:
    contractor = CONTRACTORS[1]
    set_role(world, ADMIN_OF_NOC, contractor.id, Role.VIEWER)
    person = log_in(world, browser, people, ADMIN_OF_NOC, DESKTOP)
    page = at(person, contractor.id, "lists")
    cases = [
        ("lists", "Tidewater Transit NOC", "board"),
        ("links", "Tidewater Transit NOC", "links"),
        ("settings", "Tidewater Transit NOC", "settings"),
        ("settings/render", "Tidewater Transit NOC", "settings"),
    ]
    for here, other, there in cases:
        at(person, contractor.id, *here.split("/"))
        page.locator(".eyes summary").click()
        page.locator(".eyes ul").get_by_role("link", name=re.compile(other)).click()
        page.wait_for_url(re.compile(f"/t/(?!{contractor.id})[^/]+/{there}$"))
    page.locator(".eyes summary").click()
    page.locator(".eyes ul").get_by_role("link", name=re.compile(contractor.name)).click()
    page.wait_for_url(re.compile(f"/t/{contractor.id}/settings$"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("email", [ADMIN_OF_NOC, "dispatch@303.example"])
def test_settings_pages_are_accessible_and_fit(
    world: World,
    browser: Browser,
    people: list[Person],
    screen: Screen,
    email: str,
    theme: str,
) -> None:
    person = log_in(world, browser, people, email, screen)
    company = NOCS[1] if email == ADMIN_OF_NOC else CONTRACTORS[0].name
    at(person, company_called(world, company), "settings")
    person.context.add_cookies([{"name": "strike_theme", "value": theme, "url": person.gateway}])
    person.go("settings")
    page = person.page
    found = [one.get_attribute("href") for one in page.locator(".sections a").all()]
    person.go("links")
    found += [page.url]
    found += [one.get_attribute("href") for one in page.locator("[data-open]").all()[:1]]
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for address in filter(None, found):
        page.goto(address)
        for one in page.locator("main details > summary").all():
            one.click()
        assert (address, violations(page)) == (address, [])
        assert (address, page.evaluate(wide)) == (address, 0)
