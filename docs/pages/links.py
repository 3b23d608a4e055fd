"""Links that are right in the repository, made right on the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from docs.pages.examples import examples, place

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")

ELSEWHERE = {
    "strike_app/schema.graphql": "reference/schema.md",
    "strike_app/settings.py": "reference/settings.md",
    "docs/decisions": "decisions/index.md",
    "examples/README.md": "tutorial/index.md",
}
"""Files of the repository that are not pages, and the page that shows each."""


def on_site(text: str, page: str) -> str:
    """The Markdown of `page` (its path below `docs/`), whose links lead to pages of the site.

    A link to a file that no page shows becomes the file's path.
    """
    return LINK.sub(_replace(posixpath.dirname(page)), text)


def _replace(folder: str) -> Callable[[re.Match[str]], str]:
    def replace(found: re.Match[str]) -> str:
        shown, target = found.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        path, mark, anchor = target.partition("#")
        file = posixpath.normpath(posixpath.join("docs", folder, path))
        known = _pages().get(file)
        if known:
            return f"[{shown}]({posixpath.relpath(known, folder or '.')}{mark}{anchor})"
        if file.startswith("docs/"):
            return found[0]
        return shown if shown.startswith("`") else f"{shown} (`{file}`)"

    return replace


def _pages() -> dict[str, str]:
    shown = {f"examples/{one.name}": place(one) for one in examples()}
    return ELSEWHERE | shown
