"""`strike audit` and `strike access`: who changed what, and who may."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import AnyTenant, AsJson


def audit(
    wanted: AnyTenant = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many changes.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Tell who changed what in the settings, newest first.

    Example: strike audit "Front Range" --limit 20
    """
    from strike_app.admin.audit import show_audits

    show_audits(wanted, limit, as_json=as_json)


def access(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The table that docs/access.md holds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print who may do what: the table that Strike itself goes by.

    Example: strike access
    """
    from strike_app.admin.access import show_access

    show_access(markdown=markdown, as_json=as_json)
