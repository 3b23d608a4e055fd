"""Somebody with a browser, who notices every error and every request that leaves the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

LOCAL_SCHEMES = ("data", "blob", "about")


@dataclass(frozen=True)
class Screen:
    name: str
    width: int
    height: int
    is_touch: bool = False


@dataclass
class Person:
    """`page` is Playwright's; `faults` must stay empty."""

    gateway: str
    context: BrowserContext
    page: Page
    screen: Screen
    faults: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser: Browser, gateway: str, screen: Screen) -> Person:
        context = browser.new_context(
            viewport={"width": screen.width, "height": screen.height},
            has_touch=screen.is_touch,
            is_mobile=screen.is_touch,
            locale="en-US",
            timezone_id="America/Denver",
            base_url=gateway,
        )
        context.set_default_timeout(30_000)
        person = cls(gateway, context, context.new_page(), screen)
        person._watch(person.page)
        context.on("page", person._watch)
        return person

    def _watch(self, page: Page) -> None:
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", self._follow)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text} ({message.location.get('url')})")

    def _follow(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in LOCAL_SCHEMES and url.netloc != urlsplit(self.gateway).netloc:
            self.faults.append(f"left the host: {request.url}")

    def log_in(self, email: str) -> None:
        """At the gateway's page, as everybody does; ends on the board."""
        self.page.goto("/")
        self.page.locator(f'button[value="{email}"]').click()
        self.page.wait_for_url("**/board")

    def go(self, *parts: str) -> None:
        """To another page of the same tenant."""
        tenant = self.page.url.split("/t/")[1].split("/")[0]
        self.page.goto("/".join([f"/t/{tenant}", *parts]))

    def picture(self, file: Path) -> None:
        """The whole page, as it looks now."""
        self.page.screenshot(path=file, full_page=True)

    def seen(self) -> str:
        """The screen, the fields and the faults, for whoever reads of a failed test."""
        fields = """() => [...document.querySelectorAll("input, textarea, select")]
            .map((one) => `${one.name || one.id}=${one.value}`).join("\\n")"""
        parts = [self.page.url, self.page.inner_text("body"), self.page.evaluate(fields)]
        return "\n\n".join([*parts, *self.faults])

    def leave(self) -> None:
        self.context.close()
