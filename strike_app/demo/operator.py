"""The demo's NOC operator: logs in at the gateway and works through the GraphQL API, over HTTP."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import aiohttp

from strike_app.demo.seed import CONTRACTORS, NEWCOMER, NOC_ID, OPERATOR
from strike_domain.geometry import Location

WHO_WOULD_BE_RUNG = """
query WhoWouldBeRung($ospId: UUID!, $location: GeoJSON!) {
  whoWouldBeRung(ospId: $ospId, location: $location) { listName reason }
}
"""

CREATE = """
mutation Create($input: CreateEcoInput!) {
  createEco(input: $input) {
    __typename
    ... on EcoChanged { position eco { id jobNumber } }
    ... on Problem { code message path }
  }
}
"""

CANCEL = """
mutation Cancel($id: UUID!, $text: String!) {
  result: cancelEco(ecoId: $id, reason: $text) { ... on Problem { code message } }
}
"""

NOTE = """
mutation Note($id: UUID!, $text: String!) {
  result: addNote(ecoId: $id, text: $text) { ... on Problem { code message } }
}
"""

DISPATCH = """
mutation Dispatch($id: UUID!) {
  result: dispatchPager(ecoId: $id) { ... on Problem { code message } }
}
"""
OFFERS = "query Offers($id: UUID!) { eco(id: $id) { offers { callId } } }"
TAKE_UP_OFFER = """
mutation TakeUpOffer($id: UUID!, $call: UUID!) {
  result: takeUpOffer(ecoId: $id, callId: $call) { ... on Problem { code message } }
}
"""

ECO_FIELDS = """
fragment Everything on Eco {
  id jobNumber jobType description status pagingState renderState stale
  responderName listName listReason fieldSummary position
  osp { name }
  pagerRuns { state calls { number contactName phone state outcome reason deadline } }
  timeline { position at line kind actor }
}
"""

LOOK = """
query Look($id: UUID!, $position: Position!) {
  eco(id: $id, waitFor: $position) { ...Everything }
}
"""

WATCH = """
subscription Watch($id: UUID!, $position: Position!) {
  ecoChanged(ecoId: $id, waitFor: $position) { ...Everything }
}
"""

TRIES = 12
"""How often it is asked for what is not shown yet; each time the server waits 5 s."""

HEADERS = {"X-Tenant-ID": str(NOC_ID)}


class ApiError(Exception):
    """The API refused what the operator asked for; the message says why."""


class NotYet(ApiError):
    """A read model has not come to what was written."""


class Operator:
    """A session with the gateway's cookie in its pocket."""

    def __init__(self, session: aiohttp.ClientSession, gateway_url: str) -> None:
        self._session = session
        self._gateway_url = gateway_url

    async def log_in(self) -> None:
        async with self._session.post(
            f"{self._gateway_url}/login", json={"email": OPERATOR.email}, allow_redirects=False
        ) as response:
            if response.status >= 400:
                raise ApiError(f"The gateway refused the login: {response.status}.")

    async def choose_contractor(
        self, location: Location, *, has_list: bool = True
    ) -> tuple[UUID, str, str]:
        """The contractor with a region there, as (id, name, reason); else the first one.

        With `has_list` False the one that has drawn no region yet.
        """
        answers = []
        for one in CONTRACTORS if has_list else (NEWCOMER,):
            variables = {"ospId": str(one.id), "location": location.geojson()}
            answer = (await self._ask(WHO_WOULD_BE_RUNG, variables))["whoWouldBeRung"]
            answers.append((one.id, one.name, answer["reason"]))
        return next((one for one in answers if not one[2].startswith("default")), answers[0])

    async def create(self, osp_id: UUID, location: Location, description: str) -> tuple[UUID, int]:
        """Create the callout and return its id, and the position to wait for."""
        order = {
            "ospId": str(osp_id),
            "location": location.geojson(),
            "jobType": "FNOL",
            "description": description,
            "affectedCustomers": 1250,
        }
        answer = (await self._ask(CREATE, {"input": order}, _carried()))["createEco"]
        if "code" in answer:
            raise ApiError(f"{answer['code']}: {answer['message']}")
        return UUID(answer["eco"]["id"]), answer["position"]

    async def cancel(self, eco_id: UUID, reason: str) -> None:
        """Cancel the callout."""
        await self._command(CANCEL, {"id": str(eco_id), "text": reason})

    async def note(self, eco_id: UUID, text: str) -> None:
        """Put a remark into the timeline."""
        await self._command(NOTE, {"id": str(eco_id), "text": text})

    async def dispatch(self, eco_id: UUID) -> None:
        """Ring the list again."""
        await self._command(DISPATCH, {"id": str(eco_id)})

    async def take_up_offer(self, eco_id: UUID) -> None:
        """Ring whoever offered last to come later."""
        offers = (await self._ask(OFFERS, {"id": str(eco_id)}))["eco"]["offers"]
        if offers:
            variables = {"id": str(eco_id), "call": offers[-1]["callId"]}
            await self._command(TAKE_UP_OFFER, variables)

    async def _command(self, mutation: str, variables: dict[str, Any]) -> None:
        problem = (await self._ask(mutation, variables))["result"]
        if problem:
            raise ApiError(f"{problem['code']}: {problem['message']}")

    async def look(self, eco_id: UUID, position: int) -> dict[str, Any]:
        """The ECO with everything that every read model has to say up to `position`."""
        answer = await self._ask(LOOK + ECO_FIELDS, {"id": str(eco_id), "position": position})
        eco: dict[str, Any] = answer["eco"]
        return eco

    async def watch(self, eco_id: UUID, position: int) -> AsyncGenerator[dict[str, Any], None]:
        """The ECO as it is from `position` on, and again after every change.

        Asks again while nobody follows the log: what was written is stored.
        """
        for tries_left in reversed(range(TRIES)):
            try:
                async for eco in self._watch(eco_id, position):
                    yield eco
            except NotYet:
                if not tries_left:
                    raise
            else:
                return

    async def _watch(self, eco_id: UUID, position: int) -> AsyncGenerator[dict[str, Any], None]:
        url = self._gateway_url.replace("http", "ws", 1) + "/graphql"
        async with self._session.ws_connect(url, protocols=("graphql-transport-ws",)) as socket:
            payload = {"tenantId": str(NOC_ID)}
            await socket.send_json({"type": "connection_init", "payload": payload})
            variables = {"id": str(eco_id), "position": position}
            subscription = {"query": WATCH + ECO_FIELDS, "variables": variables}
            async for message in socket:
                body = message.json()
                match body["type"]:
                    case "connection_ack":
                        await socket.send_json(
                            {"id": "1", "type": "subscribe", "payload": subscription}
                        )
                    case "next":
                        yield _data(body["payload"])["ecoChanged"]
                    case "ping":
                        await socket.send_json({"type": "pong"})
                    case "error" | "complete":
                        raise ApiError(f"The subscription ended: {body.get('payload')}")

    async def _ask(
        self, query: str, variables: dict[str, Any], headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        async with self._session.post(
            f"{self._gateway_url}/graphql",
            json={"query": query, "variables": variables},
            headers=HEADERS | (headers or {}),
        ) as response:
            if response.content_type != "application/json":
                raise ApiError(f"The API answered {response.status}: {await response.text()}")
            return _data(await response.json())


def _carried() -> dict[str, str]:
    """The trace that the whole demo is part of, as the environment names it to any program."""
    named = os.environ.get("TRACEPARENT")
    return {"traceparent": named} if named else {}


def _data(body: dict[str, Any]) -> dict[str, Any]:
    if body.get("errors"):
        codes = {error.get("extensions", {}).get("code") for error in body["errors"]}
        kind = NotYet if codes == {"WAIT_TIMED_OUT"} else ApiError
        raise kind("; ".join(error["message"] for error in body["errors"]))
    if not body.get("data"):
        raise ApiError(f"The API answered {body}")
    data: dict[str, Any] = body["data"]
    return data
