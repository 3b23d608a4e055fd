"""How long a callout takes on the page, and how many bytes the page has.

    python -m tests.benchmarks.creating --callouts 20

A real browser against every part of Strike as a process of its own, through the login gateway. The
limit in the same run is `createEco` alone, sent by the same browser without any page of ours.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

from rich.console import Console
from rich.table import Table

from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_app.demo.world import open_world
from strike_mock.scenarios import load
from tests.console.conftest import CHROMIUM, DESKTOP
from tests.console.person import Person

EMAIL = "olivia@bluestem.example"

WITHOUT_MAP_KB, WITH_MAP_KB = 150, 400
"""The limits, compressed."""

CREATE = """
mutation ($input: CreateEcoInput!) {
  createEco(input: $input) { ... on EcoChanged { position eco { id } } }
}
"""

SEND = """async ([query, variables, tenant]) => {
  const began = performance.now();
  const headers = { "Content-Type": "application/json", "X-Tenant-ID": tenant };
  const body = JSON.stringify({ query, variables });
  const answer = await fetch("/graphql", { method: "POST", headers, body });
  const told = await answer.json();
  if (!told.data?.createEco?.position) throw new Error(JSON.stringify(told));
  return performance.now() - began;
}"""

WATCH = """() => {
  addEventListener("submit", () => sessionStorage.setItem("pressed", String(Date.now())), true);
  document.getElementById("map").addEventListener("pointerdown",
    () => sessionStorage.setItem("clicked", String(Date.now())), true);
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
      if (new URL(one.name).pathname.endsWith("/new") && one.initiatorType === "fetch")
        sessionStorage.setItem("durable", String(performance.timeOrigin + one.responseEnd));
    }
  }).observe({ type: "resource", buffered: false });
}"""

SEEN = """() => {
  const at = (name) => Number(sessionStorage.getItem(name));
  const [page] = performance.getEntriesByType("navigation");
  const seen = performance.timeOrigin + page.domContentLoadedEventEnd;
  return { pressed: at("pressed"), clicked: at("clicked"), durable: at("durable"), seen };
}"""


@dataclass
class Times:
    """Milliseconds of each callout."""

    bare: list[float] = field(default_factory=list)
    durable: list[float] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


@contextmanager
def operator() -> Iterator[Person]:
    """Somebody logged in, in a browser of their own."""
    from playwright.sync_api import sync_playwright

    with open_world(load("second-accepts"), 20.0) as world, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        person = Person.open(browser, world.gateway_url, DESKTOP)
        person.context.set_default_timeout(60_000)
        person.log_in(EMAIL)
        yield person
        browser.close()


def create(person: Person, times: Times, number: int) -> None:
    """One callout as a person makes it: a click on the map, a sentence, Ctrl-Enter."""
    page = person.page
    person.go("new")
    page.locator("#draw").wait_for()
    page.evaluate(WATCH)
    page.locator("#map").click(position={"x": 200.0, "y": 190.0})
    page.locator(".contractor").first.wait_for()
    page.fill("#description", f"Cable cut, number {number}")
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/eco/*")
    took = page.evaluate(SEEN)
    times.durable.append(took["durable"] - took["pressed"])
    times.seen.append(took["seen"] - took["pressed"])
    times.whole.append(took["durable"] - took["clicked"])


def bare(person: Person, number: int) -> float:
    """`createEco` alone, sent from a page that is at rest."""
    person.go("board")
    order = {
        "ospId": str(CONTRACTORS[0].id),
        "location": {"type": "Point", "coordinates": [-105.27, 40.01]},
        "jobType": "FNOL",
        "description": f"Bare, number {number}",
    }
    took: float = person.page.evaluate(SEND, [CREATE, {"input": order}, str(NOC_ID)])
    return took


def transferred(person: Person) -> dict[str, int]:
    """Bytes over the wire of the page for a new callout, first visit, by what they are for."""
    page = person.page
    session = person.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    names: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def answered(event: dict[str, Any]) -> None:
        names[event["requestId"]] = event["response"]["url"].split("/t/")[0].rpartition("/")[2]

    def ended(event: dict[str, Any]) -> None:
        name = names.get(event["requestId"], "?") or "page"
        sizes[name] = sizes.get(name, 0) + int(event["encodedDataLength"])

    session.on("Network.responseReceived", answered)
    session.on("Network.loadingFinished", ended)
    person.go("new")
    page.locator("#draw").wait_for()
    page.wait_for_load_state("networkidle")
    session.detach()
    return sizes


MAP_FILES = ("leaflet", "topojson", "states", "map.js", "counties")


def show(times: Times, sizes: dict[str, int]) -> None:
    console = Console()
    table = Table("what", "p50 ms", "p90 ms", "most ms")
    for words, found in (
        ("createEco alone, same browser and gateway", times.bare),
        ("Ctrl-Enter to the durable event", times.durable),
        ("Ctrl-Enter to the ECO's page", times.seen),
        ("click on the map to the durable event", times.whole),
    ):
        table.add_row(
            words,
            *(
                f"{one:.0f}"
                for one in (
                    median(found),
                    quantiles(found, n=10, method="inclusive")[-1],
                    max(found),
                )
            ),
        )
    console.print(table)
    with_map = sum(sizes.values())
    plain = sum(size for name, size in sizes.items() if not name.startswith(MAP_FILES))
    console.print(f"without the map {plain / 1000:.0f} kB of {WITHOUT_MAP_KB}")
    console.print(f"with the map {with_map / 1000:.0f} kB of {WITH_MAP_KB}")
    console.print(json.dumps(dict(sorted(sizes.items(), key=lambda one: -one[1])), indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callouts", type=int, default=20)
    wanted = parser.parse_args()
    times = Times()
    with operator() as person:
        sizes = transferred(person)
        for number in range(wanted.callouts):
            create(person, times, number)
            times.bare.append(bare(person, number))
    show(times, sizes)


if __name__ == "__main__":
    main()
