"""Clients that create ECOs over GraphQL and change them, whatever happens to the servers."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
from pydantic import SecretStr

from strike_app.demo.seed import CONTRACTORS
from tests.faults.outage_notes import Asked, Notebook

CLIENTS = 6

PAUSE = 1.0
"""Seconds that a client rests after each ECO, on average: its people are really rung."""

PATIENCE = aiohttp.ClientTimeout(total=15)

CREATE = """
mutation Create($input: CreateEcoInput!) {
  result: createEco(input: $input) {
    ... on EcoChanged { position eco { id } }
    ... on Problem { code }
  }
}
"""
_CHANGE = """
mutation Change($id: UUID!, $text: String!) {
  result: COMMAND {
    ... on EcoChanged { position eco { id } }
    ... on Problem { code }
  }
}
"""
REMARK = _CHANGE.replace("COMMAND", "addNote(ecoId: $id, text: $text)")
AMEND = _CHANGE.replace("COMMAND", "amendEco(ecoId: $id, description: $text)")
CANCEL = _CHANGE.replace("COMMAND", "cancelEco(ecoId: $id, reason: $text)")
SEE = "query See($id: UUID!, $at: Position!) { result: eco(id: $id, waitFor: $at) { id } }"


class NoAnswer(Exception):
    """Nobody knows what became of what was asked; the message says how it failed."""


class Refused(Exception):
    """The domain said no, with this code."""


class Client:
    """One of those who call; whichever server answers is good."""

    def __init__(
        self, session: aiohttp.ClientSession, servers: dict[str, str], book: Notebook, seed: int
    ) -> None:
        self._session, self._servers, self._book = session, servers, book
        self._chance = random.Random(seed)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            found = await self._create(stop)
            if found:
                await self._see(*found)
                await self._change(found[0])
            await asyncio.sleep(self._chance.uniform(0, 2 * PAUSE))

    async def _create(self, stop: asyncio.Event) -> tuple[UUID, int] | None:
        """An ECO; asked for with one client reference until somebody says that it is there."""
        reference = f"ref-{uuid4()}"
        longitude = self._chance.uniform(-105.4, -105.1)
        order = {
            "ospId": str(self._chance.choice(CONTRACTORS).id),
            "location": {"type": "Point", "coordinates": [longitude, 40.01]},
            "jobType": "FNOL",
            "description": "A cut under load",
            "clientReference": reference,
        }
        while not stop.is_set():
            found = await self._command(reference, CREATE, {"input": order})
            if found:
                return found
            await asyncio.sleep(0.2)
        return None

    async def _change(self, eco_id: UUID) -> None:
        """Most ECOs get a remark; some are amended, some cancelled while somebody is rung."""
        for kind, mutation, share in (
            ("remark", REMARK, 0.7),
            ("amend", AMEND, 0.3),
            ("cancel", CANCEL, 0.1),
        ):
            if self._chance.random() < share:
                word = f"{kind}-{uuid4()}"
                await self._command(word, mutation, {"id": str(eco_id), "text": word})

    async def _see(self, eco_id: UUID, position: int) -> None:
        """Read what was written; noted if the first try shows it."""
        name, asked = self._begin(f"see-{uuid4()}")
        try:
            found = await self._ask(name, SEE, {"id": str(eco_id), "at": position})
        except NoAnswer as error:
            asked.failed(str(error))
        else:
            if found is None:
                raise AssertionError(f"{eco_id} is not there at position {position}.")
            asked.seen(eco_id)

    async def _command(
        self, word: str, mutation: str, variables: dict[str, Any]
    ) -> tuple[UUID, int] | None:
        name, asked = self._begin(word)
        try:
            changed = await self._ask(name, mutation, variables)
            if "code" in changed:
                raise Refused(changed["code"])
        except NoAnswer as error:
            asked.failed(str(error))
        except Refused as error:
            asked.refused(str(error))
        else:
            eco_id, position = UUID(changed["eco"]["id"]), int(changed["position"])
            asked.acknowledged(eco_id, position)
            return eco_id, position
        return None

    def _begin(self, word: str) -> tuple[str, Asked]:
        name = self._chance.choice(list(self._servers))
        return name, self._book.ask(word, name)

    async def _ask(self, server: str, query: str, variables: dict[str, Any]) -> Any:
        body = {"query": query, "variables": variables}
        try:
            async with self._session.post(f"{self._servers[server]}/graphql", json=body) as answer:
                if answer.content_type != "application/json":
                    raise NoAnswer(f"HTTP {answer.status}")
                told = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswer(type(error).__name__) from error
        if told.get("errors"):
            raise NoAnswer(told["errors"][0].get("extensions", {}).get("code", "no code"))
        if "data" not in told:
            raise NoAnswer(told.get("code") or f"HTTP {answer.status}: {told}")
        return told["data"]["result"]


class Clients:
    """All of them, in a thread of their own with its own loop, until the block is left."""

    def __init__(self, servers: dict[str, str], token: SecretStr, notes: Path, seed: int) -> None:
        self._servers, self._token, self._seed = servers, token, seed
        self._book = Notebook(notes)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="clients")

    def __enter__(self) -> Clients:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Raises what a client has failed of."""
        with suppress(RuntimeError):  # The loop has ended with the first that failed.
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._book.close()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._call())
        except BaseException as error:
            self._error = error

    async def _call(self) -> None:
        self._loop = asyncio.get_running_loop()
        headers = {"Authorization": f"Bearer {self._token.get_secret_value()}"}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=PATIENCE) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for number in range(CLIENTS):
                client = Client(session, self._servers, self._book, self._seed + number)
                tasks.create_task(client.run(self._stop))
