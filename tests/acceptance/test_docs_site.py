"""The documentation's site: built without a warning, no dead link, and it asks nobody else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from docs.pages.__main__ import write
from tests.integration.chromium import CHROMIUM, needs_chromium

ROOT = Path(__file__).parents[2]
CONFIG = (ROOT / "mkdocs.yml").read_text("utf-8")


class Link(NamedTuple):
    tag: str
    target: str


class Page(HTMLParser):
    """What one built page leads to, loads, and can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.ids: set[str] = set()
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        for name in ("href", "src"):
            if name in given:
                self.links.append(Link(tag, given[name]))
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given["content"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `tox -e docs` does, elsewhere."""
    folder = tmp_path_factory.mktemp("docs")
    write(folder / "build" / "docs")
    shutil.copytree(ROOT / "docs" / "pages" / "theme", folder / "docs" / "pages" / "theme")
    config = CONFIG.replace("paths: [.]", f"paths: [{ROOT}]")
    (folder / "mkdocs.yml").write_text(config, "utf-8")
    built = build(folder)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "No issues found" in built.stdout + built.stderr
    return folder / "site"


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=100)


@pytest.fixture(scope="module")
def built(site: Path) -> dict[str, Page]:
    return {
        file.relative_to(site).as_posix(): Page(file.read_text("utf-8"))
        for file in sorted(site.rglob("*.html"))
    }


def leads(built: dict[str, Page]) -> Iterator[tuple[str, Link]]:
    for place, page in built.items():
        for link in page.links:
            yield place, link


def test_every_page_is_built_and_stands_in_the_navigation(
    built: dict[str, Page], site: Path
) -> None:
    source = site.parent / "build" / "docs"
    known = {file.relative_to(source).as_posix() for file in source.rglob("*.md")}
    assert {place.replace(".md", ".html") for place in known} == built.keys() - {"404.html"}
    named = re.findall(r"([\w/.-]+\.md)$", CONFIG, re.MULTILINE)
    assert sorted(named) == sorted(known)


def test_no_link_leads_nowhere(built: dict[str, Page], site: Path) -> None:
    dead = set()
    for place, (_, target) in leads(built):
        if place == "404.html" or urlsplit(target).scheme:
            continue
        path, _, anchor = urljoin(place, target).partition("#")
        file = site / unquote(path)
        file = file / "index.html" if file.is_dir() else file
        page = built.get(file.relative_to(site).as_posix())
        if not file.exists() or (anchor and page and unquote(anchor) not in page.ids):
            dead.add(f"{place}: {target}")
    assert dead == set()


def test_links_to_the_outside_are_addresses_and_nothing_is_loaded_from_there(
    built: dict[str, Page],
) -> None:
    for place, (tag, target) in leads(built):
        parts = urlsplit(target)
        if parts.scheme and parts.scheme != "data":
            assert parts.scheme == "https" and "." in parts.netloc, (place, target)
            assert tag == "a", (place, tag, target)


def test_a_browser_is_told_to_ask_nobody_else(built: dict[str, Page], site: Path) -> None:
    for place, page in built.items():
        assert page.policy.startswith("default-src 'self';") and "http" not in page.policy, place
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", sheet.read_text("utf-8"))


def test_what_is_written_from_the_program_is_there(site: Path) -> None:
    for place, words in {
        "reference/commands.html": "strike lists check",
        "reference/events.html": "strike.run.call-requested",
        "reference/errors.html": "COORDINATES_SWAPPED",
        "reference/settings.html": "STRIKE_LEASE_SECONDS",
        "reference/schema.html": "createEco",
        "reference/domain.html": "StrikeInMemory",
        "reference/client.html": "StrikeClient",
        "tutorial/01_first_callout.html": "Ana sleeps, Ben accepts",
    }.items():
        text = re.sub(r"<[^>]+>", "", (site / place).read_text("utf-8"))
        assert words in text, place


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where the site is served meanwhile."""
    handler = partial(SimpleHTTPRequestHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@needs_chromium
def test_a_reader_finds_a_word_and_the_browser_asks_nobody_else(address: str) -> None:
    from playwright.sync_api import sync_playwright

    asked: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        reader = browser.new_page()
        reader.on("request", lambda request: asked.add(request.url))
        reader.goto(f"{address}/index.html")
        reader.wait_for_load_state("networkidle")
        reader.get_by_role("button", name="Search").click()
        reader.keyboard.type("COORDINATES_SWAPPED")
        reader.get_by_text("Every error code").click()
        reader.wait_for_url("**/reference/errors.html**")
        browser.close()
    assert {f"{urlsplit(one).scheme}://{urlsplit(one).netloc}" for one in asked} <= {
        address,
        "data://",
        "blob://",
    }


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("[x](paging.md#paging)", True),
        ("[x](nowhere.md)", False),
        ("[x](paging.md#nowhere)", False),
        ("::: strike_nope", False),
    ],
)
def test_what_leads_nowhere_ends_the_build(text: str, is_right: bool, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "paging.md").write_text("# Paging\n")
    (tmp_path / "docs" / "index.md").write_text(f"# Page\n\n{text}\n")
    plugins = "plugins: [search, autorefs, mkdocstrings]"
    (tmp_path / "mkdocs.yml").write_text(f"site_name: x\n{plugins}\n")
    assert (build(tmp_path).returncode == 0) is is_right
