"""The SQL of the documentation: PostgreSQL plans it as it stands there; nothing of it is run."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r"^```sql\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(SELECT [^`…]+)`")


def test_every_statement_names_tables_and_columns_that_there_are(database_url: str) -> None:
    statements = [
        (page.name, one.strip())
        for page in PAGES
        for text in (*BLOCK.findall(page.read_text("utf-8")), *INLINE.findall(page.read_text()))
        for one in re.split(r";\s*(?:\n|$)", text)
        if one.strip()
    ]
    assert len(statements) >= 4
    with psycopg.connect(database_url, autocommit=True) as connection:
        for page, one in statements:
            try:
                connection.execute(f"EXPLAIN {one}".encode())
            except psycopg.Error as error:
                raise AssertionError(f"{page}: {one}") from error
