"""`strike access`: the rule table that Strike goes by, for people, machines and docs/access.md."""

from __future__ import annotations

import typer

from strike_app.admin.desk import add_row, plain_table, show_table
from strike_domain.access import RULES, Action, Rule

HEADINGS = ("action", "may", "role", "side", "over", "link", "token scope")

BEGIN = "<!-- rules: strike access --markdown -->"
END = "<!-- end of rules -->"
"""Between the two, docs/access.md holds the table."""


def show_access(*, markdown: bool, as_json: bool) -> None:
    """As a table, as Markdown or for machines."""
    if markdown:
        typer.echo(as_markdown())
        return
    table = plain_table(*HEADINGS)
    for row in rows():
        add_row(table, *row)
    shown = [dict(zip(HEADINGS, row, strict=True)) for row in rows()]
    show_table(table, shown, as_json=as_json, otherwise="")


def rows() -> list[tuple[str, ...]]:
    """One for each action, in the order of the rules."""
    return [_row(action, rule) for action, rule in RULES.items()]


def _row(action: Action, rule: Rule) -> tuple[str, ...]:
    return (
        action.value,
        rule.what,
        rule.role.value,
        ", ".join(rule.sides) or "–",
        rule.over.value,
        ", ".join(rule.links) or "–",
        rule.scope.value,
    )


def as_markdown() -> str:
    """The table of docs/access.md."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(_cells(row) for row in rows())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: tuple[str, ...]) -> tuple[str, ...]:
    action, *others = row
    return f"`{action}`", *others
