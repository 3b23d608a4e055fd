"""A page of the documentation as whoever reads it for the first time uses it: copy, save, run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

BLOCK = re.compile(
    r'^```(sh|text|python)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE
)


class Step(NamedTuple):
    """What is typed; `shown` is part of what the page says that comes back."""

    typed: str
    shown: str


def saved(page: Path, folder: Path) -> None:
    """Each program of the page, under the name that the page gives it."""
    for _, title, text in _blocks(page):
        if title:
            (folder / title).parent.mkdir(exist_ok=True)
            (folder / title).write_text(text, "utf-8")


def steps(page: Path) -> Iterator[Step]:
    """In the order of the page."""
    blocks = _blocks(page)
    for (kind, _, text), (after, _, shown) in zip(blocks, [*blocks[1:], ("", "", "")], strict=True):
        if kind == "sh":
            yield Step(text, shown if after == "text" else "")


def _blocks(page: Path) -> list[tuple[str, str, str]]:
    return BLOCK.findall(page.read_text("utf-8"))


def typed(step: Step, folder: Path) -> str:
    """What a shell in that folder prints, which knows nothing of ours but where packages come
    from. Fails if a command of the step does."""
    ours = ("PYTHON", "STRIKE_", "VIRTUAL_ENV", "TOX_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    words = ["bash", "-euc", step.typed]
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, f"{step.typed}{done.stdout}{done.stderr}"
    return done.stdout
