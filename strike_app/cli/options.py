"""Arguments and options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

ExitWithParent = Annotated[
    bool, typer.Option(help="Stop when standard input ends: when whoever started this is gone.")
]
ReadyFile = Annotated[
    Path | None, typer.Option(help="Write there, as JSON, where this process can be reached.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]

TenantName = Annotated[
    str, typer.Argument(metavar="TENANT", help="A company: its name, a part of it, or its id.")
]
NocName = Annotated[str, typer.Argument(metavar="NOC", help="The NOC, by name or id.")]
OspName = Annotated[str, typer.Argument(metavar="OSP", help="The contractor, by name or id.")]
AnyTenant = Annotated[
    str | None, typer.Argument(metavar="TENANT", help="A company; all if none is named.")
]
AnyOsp = Annotated[
    str | None, typer.Argument(help="A contractor, by name or id; all if none is named.")
]


# Not the domain's own: loading that would multiply the time that help takes.
class Side(StrEnum):
    NOC = "noc"
    OSP = "osp"


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Scope(StrEnum):
    READ = "read"
    CALLOUT = "callout"
    ADMIN = "admin"


class Work(StrEnum):
    PAGING = "paging"
    FIELD = "field"


class Policy(StrEnum):
    AUTOMATIC = "automatic"
    MANUAL = "manual"
