"""Sends requests to the real server, and notices everything that comes of each."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import structlog
from aiohttp import web
from structlog.testing import LogCapture
from yarl import URL

from strike_app.bootstrap import Strike
from strike_app.graphql import schema
from strike_app.server import create_app
from strike_mock.loop_thread import LoopThread
from tests.integration.fuzz_checks import (
    PROBLEMS,
    Answered,
    Checks,
    Reached,
    codes_in,
    results_in,
)
from tests.integration.fuzz_requests import Caller, Requests, Sent
from tests.integration.fuzz_world import COMPANIES, World
from tests.integration.served import Served, new_signer, serving

SCHEMA = schema._schema

TURN = 100
"""After so many requests the companies are put back to rights, and their night goes on."""

FIRST_WORDS = 0.1
"""Seconds that a subscription has for its first answers."""

PATIENCE = 40.0
"""Seconds after which an answer of the server is missed: more than it gives itself."""


ENDS = """
SELECT (SELECT coalesce(max(notification_id), 0) FROM strike_events) AS event,
       (SELECT coalesce(max(id), 0) FROM directory_audits) AS audit
"""


@dataclass(frozen=True)
class Finding:
    """Something wrong, and what was sent."""

    what: str
    sent: Sent

    def __str__(self) -> str:
        head = f"{self.sent.method} {self.sent.path} by {self.sent.caller}"
        return f"{self.what}\n    {head}\n    {self.sent.headers}\n    {self.sent.body!r:.3000}"


class Fuzz:
    """The real server in a thread of its own, and everything that is noticed about it."""

    def __init__(self, strike: Strike) -> None:
        self.world = World(strike)
        self.strike = strike
        self.findings: list[Finding] = []
        self.kinds: Counter[tuple[str, str]] = Counter()
        self.reached = Reached(SCHEMA)
        self.slowest = 0.0
        self._checks = Checks(self.world)
        self._lines = LogCapture()
        self._library = _Errors()
        self._signer, self._other_signer = new_signer(), new_signer()
        self._loop = LoopThread()
        self._stack = AsyncExitStack()
        self._count = 0
        self.served: Served = self._loop.run(
            self._stack.enter_async_context(serving(strike, self._signer))
        )
        routes = create_app(self.served.services).router.routes()
        self.requests = Requests(SCHEMA, _pages(routes))
        self._seen, self._audited = self._ends()
        self._parties: dict[UUID, frozenset[UUID]] = {}
        structlog.configure(processors=[structlog.contextvars.merge_contextvars, self._lines])
        logging.getLogger().addHandler(self._library)

    def close(self) -> None:
        logging.getLogger().removeHandler(self._library)
        self._loop.run(self._stack.aclose())
        self._loop.close()
        self.world.close()

    def send(self, sent: Sent) -> None:
        """Send one request, and look at everything that came of it."""
        self._count += 1
        if self._count % TURN == 0:
            self.turn()
        started = time.monotonic()
        answered = self._loop.run(self._answer(sent))
        self.slowest = max(self.slowest, time.monotonic() - started)
        results = results_in(sent, answered)
        if sent.document:
            self.reached.take(json.loads(answered.sent_body)["query"], results)
        codes = list(codes_in(results if results else _json(answered)))
        self.reached.codes.update(codes)
        self.kinds[sent.kind, codes[0] if codes else str(answered.status)] += 1
        for what in self._wrong_with(sent, answered, results):
            self.findings.append(Finding(what, sent))
        self._remember_cursors(results)

    def turn(self) -> None:
        """What the companies do by themselves is no request's doing."""
        self.world.turn()
        self._seen, self._audited = self._ends()
        self.findings += [Finding(what, sent) for sent, what in self._checks.of_what_is_known_now()]

    def _wrong_with(
        self, sent: Sent, answered: Answered, results: list[dict[str, Any]]
    ) -> Iterator[str]:
        yield from self._checks.of(sent, answered)
        yield from self._wrongly_stored(sent, results)
        for line in self._lines.entries:
            if line["log_level"] in ("error", "critical"):
                yield f"logged: {line}"
        self._lines.entries.clear()
        for text in self._library.take():
            yield f"logged by a library: {text}"

    # Over the wire --------------------------------------------------------------------------

    async def _answer(self, sent: Sent) -> Answered:
        company = sent.caller.company
        path = self._resolved(sent.path, company)
        headers = {name: self._resolved(value, company) for name, value in sent.headers}
        headers |= self._proof(sent.caller)
        body = sent.body if isinstance(sent.body, bytes) else self._resolved(sent.body, company)
        data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        said = data.decode("utf-8", "replace")
        head = f"{path}\n{headers}"
        url = f"{self.served.url}{path}"
        try:
            async with (
                asyncio.timeout(PATIENCE),
                self.served.session.request(
                    sent.method,
                    URL(url, encoded=True),
                    data=data or None,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                is_stream = response.content_type == "text/event-stream"
                is_endless = sent.kind == "page" or "subscription" in said
                patience = FIRST_WORDS if is_endless else PATIENCE
                got = await (_first_words(response, patience) if is_stream else response.read())
                return Answered(response.status, response.content_type, got, head, said)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            return Answered(599, "", f"the connection broke: {error!r}".encode(), head, said)
        except TimeoutError:
            return Answered(599, "", b"no answer", head, said)
        except (aiohttp.ClientError, ValueError) as error:
            return Answered(0, "", f"not sent, or not understood: {error!r}".encode(), head, said)

    def _resolved(self, text: str, company: str) -> str:
        return self.world.resolve(text.replace("@@origin.any.0@@", self.served.url), company)

    def _proof(self, caller: Caller) -> dict[str, str]:
        """Its headers. Refused proofs are counted by address: each nobody has one of its own."""
        company = COMPANIES[caller.company]
        email, tenant = company.email(caller.role), company.tenant.id
        hidden = f"2001:db8:{self._count >> 16:x}:{self._count & 0xFFFF:x}::1"
        stranger = {"X-Forwarded-For": hidden}
        match caller.how:
            case "token":
                token = self.world.tokens[caller.company, caller.role]
                return {"Authorization": f"Bearer {token}"}
            case "nobody":
                return stranger
            case "bad token":
                return {"Authorization": f"Bearer strike_{uuid4()}", **stranger}
            case "forged":
                mine, self.served.signer = self.served.signer, self._other_signer
                forged = self.served.headers(email, tenant)
                self.served.signer = mine
                return forged | stranger
            case "unknown":
                return self.served.headers("who@nowhere.example", tenant) | stranger
            case "no tenant":
                return self.served.headers(email, None)
            case "odd tenant":
                return self.served.headers(email, None) | {"X-Tenant-ID": "\xff' OR 1=1"}
            case "foreign tenant":
                foreign = next(
                    one
                    for key, one in COMPANIES.items()
                    if key != company.key and key not in company.partners
                )
                return self.served.headers(email, foreign.tenant.id)
            case _:
                return self.served.headers(email, tenant)

    # What was stored ------------------------------------------------------------------------

    def _wrongly_stored(self, sent: Sent, results: list[dict[str, Any]]) -> Iterator[str]:
        if self._ends() == (self._seen, self._audited):
            return
        stored = [*self._new_events(), *self._new_audits()]
        tenant = COMPANIES[sent.reader].tenant.id if sent.reader else None
        for what, by, parties in stored:
            if by != tenant or tenant not in parties:
                yield f"stored for {by}, of {sorted(map(str, parties))}: {what}"
        if stored and sent.document and not _has_done_something(results):
            yield f"refused, and stored: {[what for what, *_ in stored]}"

    def _new_events(self) -> Iterator[tuple[str, UUID, frozenset[UUID]]]:
        """What people have caused since the last time; the pager's own follows from it."""
        log = self.strike.log
        notifications = log.recorder.select_notifications(
            self._seen, 1_000, inclusive_of_start=False
        )
        for one in notifications:
            event: Any = log.mapper.to_domain_event(one)
            self._seen = one.id
            if hasattr(event, "noc_id"):
                self._parties[event.originator_id] = frozenset({event.noc_id, event.osp_id})
            if event.tenant_id is not None:
                yield event.TOPIC, event.tenant_id, self._parties_of(event.originator_id)

    def _parties_of(self, originator_id: UUID) -> frozenset[UUID]:
        if originator_id not in self._parties:
            first: Any = next(iter(self.strike.log.events.get(originator_id)))
            self._parties[originator_id] = frozenset({first.noc_id, first.osp_id})
        return self._parties[originator_id]

    def _new_audits(self) -> Iterator[tuple[str, UUID, frozenset[UUID]]]:
        statement = "SELECT * FROM directory_audits WHERE id > %s ORDER BY id"
        for row in self.world.database.execute(statement, (self._audited,)).fetchall():
            self._audited = row["id"]
            yield row["action"], row["tenant_id"], frozenset(row["seen_by"])

    def _ends(self) -> tuple[int, int]:
        """The newest event and the newest audit."""
        row = self.world.database.execute(ENDS).fetchone() or {}
        return row["event"], row["audit"]

    def _remember_cursors(self, results: list[dict[str, Any]]) -> None:
        for told in results:
            self.world.cursors += list(_cursors_in(told))[:3]
        del self.world.cursors[:-50]


OTHERS = {"/graphql", "/assets"}


class _Errors(logging.Handler):
    """What libraries log as an error, asyncio's unretrieved exceptions among it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._texts: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(self.format(record))

    def take(self) -> list[str]:
        taken, self._texts = self._texts, []
        return taken


async def _first_words(response: aiohttp.ClientResponse, seconds: float) -> bytes:
    """A stream to its end, its first answers, or until it is silent."""
    got = b""
    try:
        async with asyncio.timeout(seconds):
            async for piece in response.content.iter_any():
                got += piece
                if len(got) > 20_000 or b"event: complete" in got:
                    break
    except TimeoutError:
        pass
    end = got.rfind(b"\n\n")
    response.close()
    return got[: end + 2] if end >= 0 else got


def _pages(routes: Iterable[web.AbstractRoute]) -> list[tuple[str, str]]:
    """Method and path of everything but GraphQL itself."""
    return [
        (one.method, one.resource.canonical)
        for one in routes
        if one.resource and one.method != "HEAD" and one.resource.canonical not in OTHERS
    ]


def _json(answered: Answered) -> Any:
    try:
        return json.loads(answered.body)
    except ValueError:
        return None


def _has_done_something(results: list[dict[str, Any]]) -> bool:
    return any(
        value is not None and not (isinstance(value, dict) and value.get("__typename") in PROBLEMS)
        for told in results
        for value in (told.get("data") or {}).values()
    )


def _cursors_in(told: Any) -> Iterator[str]:
    if isinstance(told, list):
        for one in told:
            yield from _cursors_in(one)
    elif isinstance(told, dict):
        for name, one in told.items():
            if name in ("cursor", "startCursor", "endCursor") and isinstance(one, str):
                yield one
            yield from _cursors_in(one)
