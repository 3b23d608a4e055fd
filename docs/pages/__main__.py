"""Put the pages of the site together: `python -m docs.pages`, before it is built from them.

The files of `docs/` are taken as they are, but for links that lead to other files of the
repository; what is written from the program itself is added. Everything goes to `build/docs`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from docs.pages import commands, dialect, errors, events, examples, gathered, links, settings

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "build" / "docs"

WRITTEN: dict[str, Callable[[], str]] = {
    "decisions/index.md": gathered.decisions,
    "reference/adapters.md": gathered.adapters,
    "reference/client.md": gathered.client,
    "reference/commands.md": commands.page,
    "reference/domain.md": gathered.domain,
    "reference/errors.md": errors.page,
    "reference/events.md": events.page,
    "reference/mock.md": gathered.mock,
    "reference/schema.md": gathered.schema,
    "reference/settings.md": settings.page,
    "tutorial/index.md": gathered.tutorial,
}
"""Pages that stand in no file."""


def pages() -> dict[str, str]:
    """Every page in Markdown, by its path on the site."""
    source = ROOT / "docs"
    found = {
        file.relative_to(source).as_posix(): file.read_text("utf-8")
        for file in source.rglob("*.md")
    }
    found |= {place: write() for place, write in WRITTEN.items()}
    found |= {examples.place(one): examples.page(one) for one in examples.examples()}
    return {place: dialect.for_site(links.on_site(text, place)) for place, text in found.items()}


def write(target: Path) -> None:
    """Every page, and the pictures; what was there before is removed."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs" / "images", target / "images")
    for place, text in pages().items():
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        (target / place).write_text(text, "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
