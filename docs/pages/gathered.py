"""Pages that gather what stands elsewhere: the Python API, the schema, examples and decisions."""

from __future__ import annotations

import importlib
from pathlib import Path

from docs.pages import examples

ROOT = Path(__file__).parents[2]

ADAPTERS = (
    "strike_adapters.memory",
    "strike_adapters.embedded",
    "strike_adapters.postgres.prepare",
    "strike_adapters.postgres.store",
    "strike_adapters.geojson_files",
    "strike_adapters.jetstream",
    "strike_adapters.places",
    "strike_adapters.render",
    "strike_adapters.twilio.telephone",
    "strike_adapters.identity",
    "strike_adapters.secrets",
)
"""The modules that a program of yours may use."""

SHOWN = {
    "strike_adapters.postgres.prepare": ["prepare"],
    "strike_adapters.postgres.store": ["store_env"],
    "strike_adapters.twilio.telephone": ["TwilioTelephone"],
    "strike_adapters.geojson_files": [
        "NamedGeometry",
        "NamedRegion",
        "NamedShape",
        "callout_geometry_in",
        "read_callout_geometry",
        "read_regions",
        "read_shapes",
        "shapes_in",
    ],
}
"""What of a module that does not list its public names."""


def domain() -> str:
    """Everything that `strike_domain` offers."""
    return (
        "# strike_domain\n\nThe names of `strike_domain.__all__`; how they are used together is in "
        "[Strike inside a program of yours](../embedding.md).\n\n"
        + _module("strike_domain", level=2)
    )


def client() -> str:
    """The typed client."""
    return (
        "# strike_app.client\n\nHow it is used: [The typed client](../client.md). A whole server "
        "for a test of yours is at the end.\n\n"
        + _module("strike_app.client", level=2)
        + "\n## For tests\n\n"
        + _module("strike_app.testing", ["local_strike", "LocalStrike", "LocalToken"])
    )


def adapters() -> str:
    """The adapters that others may use."""
    parts = ["# strike_adapters\n\nEach stands behind a port of `strike_domain`, or beside one.\n"]
    for name in ADAPTERS:
        parts.append(f"## {name}\n\n{_module(name, SHOWN.get(name))}")
    return "\n".join(parts)


def mock() -> str:
    """The stand-ins, and how a test plays them."""
    return (
        "# strike_mock\n\nHow it is used: [Testing with the mock](../testing-with-the-mock.md).\n\n"
        f"## strike_mock.testing\n\n{_module('strike_mock.testing')}\n"
        f"## strike_mock\n\n{_module('strike_mock')}"
    )


def _module(name: str, shown: list[str] | None = None, level: int = 3) -> str:
    """`level` is that of the headings of its members."""
    members = shown or importlib.import_module(name).__all__
    listed = "".join(f"        - {one}\n" for one in members)
    return f"::: {name}\n    options:\n      heading_level: {level}\n      members:\n{listed}"


def schema() -> str:
    """The GraphQL schema, as it is."""
    text = (ROOT / "strike_app" / "schema.graphql").read_text("utf-8")
    return (
        "# The GraphQL schema\n\nAn example of every operation: "
        "[The GraphQL API](../graphql.md).\n\n"
        f"```graphql\n{text.strip()}\n```\n"
    )


def tutorial() -> str:
    """The list of examples, as their folder has it."""
    text = (examples.FOLDER / "README.md").read_text("utf-8")
    for one in examples.examples():
        text = text.replace(f"`{one.name}`", f"[{examples.title(one)}]({one.stem}.md)")
    return text


def all_decisions() -> list[Path]:
    """Their files, in the order in which they were taken."""
    return sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


def decisions() -> str:
    """The list of decisions."""
    begin = "# Decisions\n\nWhat was decided, why, and what was tried instead.\n"
    return "\n".join([begin, *map(_decision, all_decisions())]) + "\n"


def _decision(file: Path) -> str:
    head = file.read_text("utf-8").split("\n", 1)[0].removeprefix("# ")
    number, _, words = head.partition(". ")
    return f"- {number}: [{words}]({file.name})"
