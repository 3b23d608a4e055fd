"""The table of settings, from the class that reads them."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo

from strike_app.settings import Settings

BEGIN = """# Every setting

Each is a variable of the environment, read once when a process starts; `strike doctor` says what
is set and what is wrong with it. Two more belong to the command line: `STRIKE_DATA_DIR`, the folder
of the embedded PostgreSQL and of the key file, and `STRIKE_DEBUG=1`, which adds the traceback to an
error.

| variable | default | what it is for |
|---|---|---|
"""


def page() -> str:
    """The page, in Markdown."""
    return BEGIN + "".join(map(_row, *zip(*Settings.model_fields.items(), strict=True)))


def _row(name: str, field: FieldInfo) -> str:
    said = " ".join((field.description or "").split()).replace("|", r"\|")
    return f"| `STRIKE_{name.upper()}` | {_default(field.default)} | {said}{_bounds(field)} |\n"


def _default(value: Any) -> str:
    return "unset" if value is None or value == "" else f"`{value}`"


def _bounds(field: FieldInfo) -> str:
    """From what to what, where the class says so."""
    found = {
        sign: getattr(rule, sign)
        for rule in field.metadata
        for sign in ("gt", "ge", "le")
        if getattr(rule, sign, None) is not None
    }
    least = f"more than {found['gt']:g}" if "gt" in found else ""
    least = f"at least {found['ge']:g}" if "ge" in found else least
    most = f"at most {found['le']:g}" if "le" in found else ""
    told = ", ".join(filter(None, [least, most]))
    return f" ({told})" if told else ""
