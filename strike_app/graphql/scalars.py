"""Scalars that GraphQL lacks."""

from __future__ import annotations

from typing import Any, NewType
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

GeoJSON = NewType("GeoJSON", object)
Position = NewType("Position", int)


def _same(value: Any) -> Any:
    return value


def _uuid(value: Any) -> UUID:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise GraphQLError("An id is 32 hexadecimal digits, with or without hyphens.") from None


def _position(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise GraphQLError("A position is a whole number from 0, as an answer gave it.")
    return value


SCALARS: dict[object, ScalarDefinition] = {
    UUID: strawberry.scalar(
        name="UUID",
        description="An id, as 32 hexadecimal digits with hyphens.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc9562",
        serialize=str,
        parse_value=_uuid,
    ),
    GeoJSON: strawberry.scalar(
        name="GeoJSON",
        description="A GeoJSON geometry (RFC 7946): WGS 84, longitude first.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc7946",
        serialize=_same,
        parse_value=_same,
    ),
    Position: strawberry.scalar(
        name="Position",
        description="A place in the notification log, up to 63 bits: what `waitFor` waits for.",
        serialize=_position,
        parse_value=_position,
    ),
}
