"""What every page has: whose eyes, language, light, keyboard, and a policy that lets nothing in."""

from __future__ import annotations

import pytest

from tests.console.accessible import violations
from tests.console.person import Person

PAGES = ("board",)


def test_it_is_always_told_whose_eyes_one_sees_with(operator: Person) -> None:
    eyes = operator.page.locator(".eyes summary")
    assert "Bluestem Backbone NOC" in eyes.inner_text()
    assert operator.page.locator("html").get_attribute("data-side") == "noc"


def test_language_and_light_are_chosen_and_stay(operator: Person) -> None:
    page = operator.page
    page.locator(".choices summary").click()
    page.get_by_role("button", name="Español").click()
    assert page.locator("html").get_attribute("lang") == "es"
    page.locator(".choices summary").click()
    page.locator("button[name=theme][value=dark]").click()
    operator.go("board")
    assert page.locator("html").get_attribute("lang") == "es"
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.get_by_role("link", name="Tablero").count()


def test_shortcuts_are_shown(operator: Person) -> None:
    operator.page.keyboard.press("?")
    assert operator.page.get_by_role("dialog", name="Keyboard shortcuts").is_visible()
    operator.page.keyboard.press("Escape")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_are_accessible(operator: Person, name: str, theme: str) -> None:
    operator.context.add_cookies(
        [{"name": "strike_theme", "value": theme, "url": operator.gateway}]
    )
    operator.go(name)
    assert violations(operator.page) == []
