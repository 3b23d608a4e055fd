"""What is said of the metrics, in the docs, in alerts and on the dashboard, is what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from strike_app.metrics import Metrics

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/telemetry.md"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/strike.json"
PROMTOOL = os.environ.get("STRIKE_PROMTOOL") or shutil.which("promtool")

BEGIN, END = "<!-- metrics: written by a test -->\n", "<!-- end of metrics -->\n"

OTHERS = {"process_resident_memory_bytes"}
"""Metrics that the library adds of itself."""

LABELS_OF_PROMETHEUS = {"instance", "job", "le"}


def measured() -> list[Histogram | Counter | Gauge]:
    """Everything that `Metrics` measures, in its order."""
    metrics = Metrics(CollectorRegistry())
    return [one for one in vars(metrics).values() if isinstance(one, Histogram | Counter | Gauge)]


def catalogue() -> str:
    """The table of the docs."""
    rows = ["| metric | kind | labels | what it measures |", "|---|---|---|---|"]
    for one in measured():
        name = f"{one._name}_total" if isinstance(one, Counter) else one._name
        labels = ", ".join(f"`{label}`" for label in one._labelnames)
        rows.append(f"| `{name}` | {one._type} | {labels} | {one._documentation} |")
    return "\n".join(rows) + "\n"


def series() -> dict[str, set[str]]:
    """The names that Prometheus knows, each with its labels."""
    found: dict[str, set[str]] = {name: set() for name in OTHERS}
    for one in measured():
        endings = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}
        for ending in endings.get(one._type, ("",)):
            found[one._name + ending] = set(one._labelnames)
    return found


def test_the_catalogue_in_the_docs_is_what_is_measured() -> None:
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    if os.environ.get("STRIKE_WRITE_EXAMPLES"):
        PAGE.write_text(f"{before}{BEGIN}{catalogue()}{END}{after}", "utf-8")
    else:
        assert old == catalogue(), "STRIKE_WRITE_EXAMPLES=1 writes it anew"


def test_each_process_measures_what_is_registered_and_nothing_twice() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    names = {one.name for one in registry.collect()}
    assert names == {one._name for one in measured()}
    with pytest.raises(ValueError, match="Duplicated"):
        Metrics(metrics.registry)


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Every question that an alert or a panel asks, with who asks it."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


@pytest.mark.parametrize(("who", "expression"), [*expressions()])
def test_whatever_is_asked_for_is_measured(who: str, expression: str) -> None:
    known = series()
    asked: list[Any] = [promql_parser.parse(expression)]
    labels, names = set(LABELS_OF_PROMETHEUS), set()
    for node in _nodes(asked[0]):
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name in known, f"{who} asks for {node.name}, which nobody measures"
            names.add(node.name)
            labels |= known[node.name]
            for matcher in node.matchers.matchers:
                assert matcher.name in known[node.name], f"{node.name} has no {matcher.name}"
    assert names or expression == "vector(0)"
    for grouped in re.findall(r"(?:by|on) \(([^)]*)\)", expression):
        assert {one.strip() for one in grouped.split(",")} <= labels, f"{who}: {grouped}"


def _nodes(node: Any) -> Iterator[Any]:
    """The expression and all inside of it."""
    yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector", "vs"):
        inner = getattr(node, name, None)
        if inner is not None and type(inner).__module__.startswith("promql_parser"):
            yield from _nodes(inner)
    for inner in getattr(node, "args", None) or ():
        yield from _nodes(inner)


def test_each_alert_says_how_urgent_it_is_and_the_docs_say_what_to_do() -> None:
    text = PAGE.read_text("utf-8")
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]
    told = re.findall(r"^\| `(Strike\w+)`", text, re.MULTILINE)
    assert told == names


def test_every_metric_is_looked_at_by_an_alert_or_a_panel() -> None:
    asked = " ".join(expression for _, expression in expressions())
    unseen = [one._name for one in measured() if one._name not in asked]
    assert unseen == []


def test_panels_lie_beside_each_other_and_ask_the_chosen_prometheus() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on PATH (Debian: prometheus)")
@pytest.mark.parametrize("what", [("check", "alerts.yml"), ("test", "alerts.test.yml")])
def test_promtool_takes_the_alerts_and_they_fire_when_they_should(what: tuple[str, str]) -> None:
    assert PROMTOOL is not None
    command = [PROMTOOL, what[0], "rules", what[1]]
    done = subprocess.run(command, cwd=ALERTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on PATH (Debian: prometheus)")
def test_promtool_takes_what_the_panels_ask(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    asked = [expression for _, expression in expressions()]
    recorded = [{"record": f"panel:{n}", "expr": one} for n, one in enumerate(asked)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))
    command = [PROMTOOL, "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
