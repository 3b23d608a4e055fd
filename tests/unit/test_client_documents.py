"""Whatever the client asks for is in the schema, with the types that its classes say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from importlib.resources import files
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import UUID

import httpx
import pytest
from graphql import (
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
    is_enum_type,
    is_list_type,
    is_non_null_type,
    parse,
    validate,
)
from pydantic.fields import FieldInfo

from strike_app.client import (
    Alert,
    Answer,
    Box,
    Change,
    Changed,
    Company,
    Contractor,
    Counts,
    Draft,
    Eco,
    EcoFilter,
    EcoWithHistory,
    Entry,
    Evidence,
    Me,
    Patience,
    Period,
    Place,
    Readiness,
    StrikeClient,
    StrikeError,
    point,
)
from strike_app.client.models import models_in
from strike_domain import Side

SCHEMA: GraphQLSchema = build_schema(files("strike_app").joinpath("schema.graphql").read_text())

ID = UUID(int=1)
WHEN = datetime(2026, 1, 1, tzinfo=UTC)

TYPES: dict[type[Answer], str] = {
    Me: "Me",
    Eco: "Eco",
    EcoWithHistory: "Eco",
    Change: "EcoChange",
    Alert: "PagingAlert",
    Changed: "EcoChanged",
    Contractor: "ContractorFor",
    Draft: "EcoDraft",
    Entry: "TimelineEntry",
    Place: "Place",
    Readiness: "Readiness",
    Evidence: "Evidence",
    Counts: "EcoCounts",
}

SCALARS = {
    "ID": str,
    "String": str,
    "Int": int,
    "Float": float,
    "Boolean": bool,
    "UUID": UUID,
    "DateTime": datetime,
    "Position": int,
    "GeoJSON": dict,
}

FILTER = EcoFilter(
    stale=True, created=Period(since=WHEN), within=Box(west=1, south=2, east=3, north=4)
)


class Stop(Exception):
    """Nothing is to be answered."""


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every request that the client can make, with its variables."""
    made: list[dict[str, Any]] = []

    def keep(request: httpx.Request) -> httpx.Response:
        made.append(json.loads(request.content))
        raise Stop

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(keep)) as http:
            strike = StrikeClient("http://strike.example/graphql", http=http)
            place = point(-105.27, 40.01)
            for call in (
                strike.me(),
                strike.eco(EcoWithHistory, ID, wait_for=3, as_of=WHEN),
                anext(strike.ecos(Eco, FILTER)),
                strike.counts(FILTER),
                strike.contractors_for(place),
                strike.places("Boulder"),
                strike.readiness(),
                strike.evidence(ID),
                strike.create_eco(osp_id=ID, location=place, job_type="FNOL", description="Cut"),
                anext(strike.timeline(ID)),
                anext(strike.timeline(ID, newest_first=True, as_of=WHEN)),
                strike.draft_eco(osp_id=ID, location=place, job_type="FNOL", description="Cut"),
                strike.confirm_eco("ABCDEFGH"),
                strike.cancel_eco(ID, "A loose plug."),
                strike.amend_eco(ID, description="Two cables.", location=place, priority="HIGH"),
                strike.dispatch_pager(ID, ID),
                strike.take_up_offer(ID, ID),
                strike.add_note(ID, "Seen."),
                strike.retry_field_tasks(ID),
                strike.start_work(ID),
                strike.complete_eco(ID),
                strike.reopen_eco(ID),
                anext(strike.changes(Change)),
                anext(strike.alerts()),
                anext(strike.eco_changes(Eco, ID)),
            ):
                with pytest.raises(Stop):
                    await call

    asyncio.run(ask())
    for one in made:
        yield one["query"], one["variables"]


@pytest.mark.parametrize(
    ("document", "variables"), [pytest.param(*one, id=one[0].split()[1]) for one in documents()]
)
def test_a_document_is_valid(document: str, variables: dict[str, Any]) -> None:
    assert validate(SCHEMA, parse(document)) == []
    assert variables == json.loads(json.dumps(variables))


def test_every_callout_command_of_the_schema_has_its_method() -> None:
    mutation = SCHEMA.mutation_type
    assert mutation
    commands = {
        name
        for name, field in mutation.fields.items()
        if get_named_type(field.type).name == "EcoResult"
    }
    asked = {document.split("(")[0].removeprefix("mutation ") for document, _ in documents()}
    assert commands <= asked


@pytest.mark.parametrize("model", TYPES, ids=lambda model: model.__name__)
def test_a_class_has_the_types_of_the_schema(model: type[Answer]) -> None:
    type_ = SCHEMA.type_map[TYPES[model]]
    assert isinstance(type_, GraphQLObjectType)
    assert list(differences(model, type_)) == []


def differences(model: type[Answer], type_: GraphQLObjectType) -> Iterator[str]:
    for name, field in model.model_fields.items():
        asked = type_.fields[field.alias or name].type
        is_optional = type(None) in get_args(field.annotation)
        if is_optional == is_non_null_type(asked):
            yield f"{model.__name__}.{name} is {field.annotation}, in the schema {asked}"
        inside = asked.of_type if is_non_null_type(asked) else asked
        if is_list_type(inside) != (get_origin(field.annotation) is list):
            yield f"{model.__name__}.{name} is a list in one of them"
        named = get_named_type(asked)
        if isinstance(named, GraphQLObjectType):
            (inner,) = models_in(field.annotation)
            yield from differences(inner, named)
        elif is_enum_type(named):
            yield from _unknown_values(model, name, field, set(named.values))
        elif SCALARS[named.name] not in plain_types(field.annotation):
            yield f"{model.__name__}.{name} is {field.annotation}, in the schema {asked}"


def _unknown_values(
    model: type[Answer], name: str, field: FieldInfo, wanted: set[str]
) -> Iterator[str]:
    kinds = [one for one in plain_types(field.annotation) if issubclass(one, Enum)]
    known = {value.name for kind in kinds for value in kind}
    if kinds and known != wanted:
        yield f"{model.__name__}.{name}: {known ^ wanted}"


def plain_types(annotation: Any) -> list[type]:
    """What a type is made of, without its options and lists."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType, list) or hasattr(annotation, "__metadata__"):
        return [inner for part in get_args(annotation) for inner in plain_types(part)]
    return [origin or annotation] if isinstance(origin or annotation, type) else []


def test_a_class_of_ones_own_asks_for_its_own_fields() -> None:
    class Short(Answer):
        job_number: str
        closes_at: datetime | None

    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content)["query"])
        eco = {"jobNumber": "S-1", "closesAt": None}
        return httpx.Response(200, json={"data": {"eco": eco}})

    async def ask() -> Short | None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            return await StrikeClient("http://strike.example", http=http).eco(Short, ID)

    assert asyncio.run(ask()) == Short(job_number="S-1", closes_at=None)
    assert asked[0].endswith(
        "{ eco(id: $id, waitFor: $waitFor, asOf: $asOf) { jobNumber closesAt } }"
    )


NEWER = {"id": str(ID), "name": "N", "side": "MARTIAN"}


def test_a_value_of_a_newer_server_is_a_plain_text() -> None:
    assert Company.model_validate(NEWER).side == "MARTIAN"
    assert Company.model_validate(NEWER | {"side": "OSP"}).side is Side.OSP


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<html>", "ANSWER_NOT_UNDERSTOOD"),
        (200, b"[]", "ANSWER_NOT_UNDERSTOOD"),
        (404, b"{}", "ANSWER_NOT_UNDERSTOOD"),
        (200, b'{"data": {"me": {"id": 7}}}', "ANSWER_NOT_UNDERSTOOD"),
        (200, b'{"errors": [{"message": "Who?", "extensions": {"code": "X"}}]}', "X"),
        (401, b'{"code": "API_TOKEN_INVALID", "message": "No.", "path": []}', "API_TOKEN_INVALID"),
        (500, b'{"errors": [{"message": "Who?"}]}', "HTTP_500"),
    ],
)
def test_an_answer_that_is_none_has_a_code(status: int, body: bytes, code: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            await StrikeClient("http://strike.example", http=http).me()

    with pytest.raises(StrikeError) as caught:
        asyncio.run(ask())
    assert caught.value.code == code


def test_what_is_lost_is_sent_again_with_the_same_key() -> None:
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(json.loads(request.content)["variables"]["idempotencyKey"])
        if len(keys) == 1:
            raise httpx.ReadError("the cable was cut")
        if len(keys) == 2:
            return httpx.Response(503, headers={"Retry-After": "0"})
        refused = {"code": "ECO_CANCELLED", "message": "It is off.", "path": []}
        return httpx.Response(200, json={"data": {"startWork": refused}})

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            await StrikeClient("http://strike.example", http=http).start_work(ID)

    with pytest.raises(StrikeError) as caught:
        asyncio.run(ask())
    assert caught.value.code == "ECO_CANCELLED"
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_a_server_that_is_away_is_not_waited_for_forever() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    async def ask() -> None:
        patience = Patience(repeats=0.3)
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            await StrikeClient("http://strike.example", http=http, patience=patience).me()

    with pytest.raises(StrikeError) as caught:
        asyncio.run(ask())
    assert caught.value.code == "UNREACHABLE"
