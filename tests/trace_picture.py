"""Draws the trace of one callout as it came over OTLP, for docs/images.

python -m tests.trace_picture docs/images/trace.svg
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from tests.otlp import Seen, receiving

TRACE, CLICK = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SPEED = 10
DEMO = [sys.executable, "-m", "strike_app", "demo", "--speed", str(SPEED)]

COLOURS = {
    "strike-serve": "#2563a8",
    "strike-follow": "#2f855a",
    "strike-work": "#b7591c",
    "strike-mock": "#7a4fa3",
}
ROW, LEFT, RIGHT, TOP, INDENT = 19, 430, 560, 64, 11
LAST = "strike.eco.responder-assigned"
"""What is drawn ends with it: what the crew does then takes hours."""


@dataclass(frozen=True)
class Row:
    depth: int
    service: str
    name: str
    began: float
    ended: float


def rows_of(spans: Iterable[Seen]) -> list[Row]:
    """Parents before their children, these by their beginnings; read models folded into one."""
    mine = [one for one in spans if one.trace == TRACE]
    until = max(one.ended for one in mine if one.name == LAST) + 0.05
    return [*_below(CLICK, 0, [one for one in mine if one.began <= until])]


def _below(parent: str, depth: int, spans: list[Seen]) -> Iterator[Row]:
    children = sorted((one for one in spans if one.parent == parent), key=lambda one: one.began)
    views = [one for one in children if _is_view(one)]
    if views:
        began, ended = min(one.began for one in views), max(one.ended for one in views)
        yield Row(depth, views[0].service, f"follow: {len(views)} read models", began, ended)
    for one in children:
        if not _is_view(one):
            yield Row(depth, one.service, one.name, one.began, one.ended)
            yield from _below(one.span, depth + 1, spans)


def _is_view(one: Seen) -> bool:
    return one.name.startswith("follow ") and one.name != "follow pager"


def drawn(rows: list[Row]) -> str:
    """As SVG: names to the left, time to the right."""
    start, end = min(one.began for one in rows), max(one.ended for one in rows)
    scale = RIGHT / (end - start)
    height = TOP + ROW * len(rows) + 16
    width = LEFT + RIGHT + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="ui-sans-serif, system-ui, sans-serif" font-size="11">',
        "<title>One callout as one trace</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_legend(),
        *_axis(end - start, scale, height),
    ]
    for number, one in enumerate(rows):
        y = TOP + ROW * number
        x = LEFT + (one.began - start) * scale
        length = max((one.ended - one.began) * scale, 2)
        colour = COLOURS[one.service]
        took = (one.ended - one.began) * 1000
        said = f"{took:,.0f} ms" if took >= 1 else ""
        parts += [
            f'<text x="{10 + INDENT * one.depth}" y="{y + 12}" fill="#222">{escape(one.name)}'
            "</text>",
            f'<rect x="{x:.1f}" y="{y + 3}" width="{length:.1f}" height="12" rx="2" '
            f'fill="{colour}"/>',
            f'<text x="{x + length + 4:.1f}" y="{y + 12}" fill="#666">{said}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> Iterator[str]:
    yield (
        '<text x="10" y="18" font-size="14" font-weight="600" fill="#222">'
        f"One callout, from the click to the accepting key (told {SPEED} times as fast)</text>"
    )
    for number, (service, colour) in enumerate(COLOURS.items()):
        x = 10 + 110 * number
        yield f'<rect x="{x}" y="30" width="12" height="12" rx="2" fill="{colour}"/>'
        yield f'<text x="{x + 17}" y="40" fill="#222">{service}</text>'


def _axis(seconds: float, scale: float, height: int) -> Iterator[str]:
    step = next(one for one in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30) if seconds / one <= 8)
    for number in range(int(seconds / step) + 1):
        x = LEFT + number * step * scale
        yield f'<line x1="{x:.1f}" y1="50" x2="{x:.1f}" y2="{height - 8}" stroke="#ddd"/>'
        yield f'<text x="{x + 3:.1f}" y="56" fill="#666">{number * step:g} s</text>'


def main(path: Path) -> None:
    """Tell a story to a receiver, and draw what came."""
    with receiving() as receiver:
        env = {**os.environ, **receiver.env(), "TRACEPARENT": f"00-{TRACE}-{CLICK}-01"}
        subprocess.run(DEMO, env=env, check=True, stdout=subprocess.DEVNULL)
        path.write_text(drawn(rows_of(receiver.spans)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
