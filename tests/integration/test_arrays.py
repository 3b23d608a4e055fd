"""Arrays that we make ourselves are those that the driver would make, and the server reads them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import PyFormat, Transformer

from strike_adapters.postgres.arrays import bigints, byteas, texts, uuids

KINDS: dict[str, tuple[Any, Any]] = {
    "uuid": (uuids, st.uuids()),
    "bigint": (bigints, st.integers(-(2**63), 2**63 - 1)),
    "text": (texts, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
    "bytea": (byteas, st.binary()),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_an_array_is_that_of_the_driver(kind: str, data: st.DataObject) -> None:
    made, members = KINDS[kind]
    values = data.draw(st.lists(members, min_size=1))
    if kind == "bigint":
        # The driver chooses the smallest type; one large member makes it a bigint.
        values = [2**62, *values]
    assert made(values) == Transformer().dump_sequence([values], [PyFormat.BINARY])[0]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("uuid", [UUID(int=1), UUID(int=2**128 - 1)]),
        ("bigint", [1, -(2**63), 2**63 - 1]),
        ("text", ["", "Größe", "a,b"]),
        ("bytea", [b"", b"\0\xff"]),
    ],
)
def test_the_server_reads_it(database_url: str, kind: str, values: list[Any]) -> None:
    made, _ = KINDS[kind]
    with psycopg.connect(database_url) as connection:
        for members in (values, []):
            asked = f"SELECT array(SELECT unnest(%b::{kind}[]))"
            row = connection.execute(asked.encode(), (made(members),), binary=True).fetchone()
            assert row == (members,)
