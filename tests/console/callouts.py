"""Callouts for the tests of the console, made over GraphQL as another program would."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import httpx

from strike_app.demo.operator import CREATE
from strike_app.demo.seed import CONTRACTORS, NOC_ID

BOULDER = (-105.27, 40.01)

REACHED = """
query Reached($id: UUID!, $position: Position!) {
  eco(id: $id, waitFor: $position) { id }
}
"""

_numbers = itertools.count(1)


class Noc:
    """Logged in at the gateway, with an address of its own in each description."""

    def __init__(self, gateway: str, email: str = "olivia@bluestem.example") -> None:
        self._client = httpx.Client(base_url=gateway, timeout=30)
        self._client.post("/login", json={"email": email}).raise_for_status()

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self._client.post(
            "/graphql",
            json={"query": query, "variables": variables},
            headers={"X-Tenant-ID": str(NOC_ID)},
        )
        body: dict[str, Any] = answer.json()
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    def create(self, description: str = "", **changes: Any) -> dict[str, Any]:
        """A callout at Boulder for the first contractor that pages show: id, job number."""
        told = {
            "ospId": str(CONTRACTORS[0].id),
            "location": {"type": "Point", "coordinates": list(BOULDER)},
            "jobType": "FNOL",
            "description": description or f"Cable cut number {next(_numbers)}",
        }
        made: dict[str, Any] = self.ask(CREATE, input=told | changes)["createEco"]
        assert made["__typename"] == "EcoChanged", made
        self.ask(REACHED, id=made["eco"]["id"], position=made["position"])
        eco: dict[str, Any] = made["eco"]
        return eco

    def close(self) -> None:
        self._client.close()


def until(is_so: Callable[[], bool], page: Any, seconds: float = 20) -> None:
    """Wait, letting the browser go on, until something is so."""
    for _ in range(int(seconds * 10)):
        if is_so():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it did not become so")
