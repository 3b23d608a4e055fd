"""The client itself: a method for each thing that a service does with Strike."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import httpx
from pydantic import SecretStr, ValidationError
from pydantic_core import to_jsonable_python

from strike_app.client.connection import Connection, Patience
from strike_app.client.errors import Refused, StrikeError
from strike_app.client.models import (
    Alert,
    Answer,
    Changed,
    Contractor,
    Counts,
    Draft,
    EcoFilter,
    Entry,
    Evidence,
    GeoJson,
    Me,
    Place,
    Readiness,
    selection,
)
from strike_domain import JobType, Priority

AnEco = TypeVar("AnEco", bound=Answer)
"""The class in which ECOs are wanted."""

AChange = TypeVar("AChange", bound=Answer)
"""The class in which changes are wanted."""

_AnAnswer = TypeVar("_AnAnswer", bound=Answer)

PAGE = 100
"""ECOs of one request."""


_Arguments = dict[str, tuple[str, Any]]
"""By name: GraphQL type and value."""

_NONE: _Arguments = {}


def point(longitude: float, latitude: float) -> GeoJson:
    """A place, WGS 84, in degrees."""
    return {"type": "Point", "coordinates": [longitude, latitude]}


class StrikeClient:
    """One server and one login, for one event loop; use it as a context, which closes it.

    `url` is the address of `/graphql`; `token` an API token (`createApiToken`). `tenant_id` names
    the company for a login that belongs to several. `agent` names a program that acts by itself:
    it may change no settings, and the timeline names it. With `http`, that client's headers,
    proxies and certificates are used, and it is left open; it carries the login unless `token` is
    given.

    Every method raises `StrikeError`: `Refused` for a command that was not done, `Unreachable`
    after `patience.repeats` seconds without an answer. What is lost on the way is sent again:
    commands carry a key by which Strike does them once.
    """

    def __init__(
        self,
        url: str,
        token: str | SecretStr | None = None,
        *,
        tenant_id: UUID | None = None,
        agent: str | None = None,
        patience: Patience | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._http = http or httpx.AsyncClient()
        self._closes = http is None
        secret = token.get_secret_value() if isinstance(token, SecretStr) else token
        if secret:
            self._http.headers["Authorization"] = f"Bearer {secret}"
        if agent:
            self._http.headers["X-Strike-Agent"] = agent
        if tenant_id:
            self._http.headers["X-Tenant-ID"] = str(tenant_id)
        self._connection = Connection(self._http, url, patience or Patience())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._closes:
            await self._http.aclose()

    # Questions ----------------------------------------------------------------------------------

    async def me(self) -> Me:
        """Who calls, and what they may do for which companies."""
        return _read(Me, await self._answer("query", "me", {}, selection(Me)))

    async def eco(
        self,
        shown: type[AnEco],
        eco_id: UUID,
        *,
        wait_for: int | None = None,
        as_of: datetime | None = None,
    ) -> AnEco | None:
        """One ECO as an `Eco`, an `EcoWithHistory` or a class of yours; None if it is not yours.

        `wait_for` is a position that must have been taken in (WAIT_TIMED_OUT); `as_of` a moment
        of the past with its time zone.
        """
        arguments = {"id": ("UUID!", eco_id), **_moment(wait_for, as_of)}
        answer = await self._answer("query", "eco", arguments, selection(shown))
        return None if answer is None else _read(shown, answer)

    async def ecos(
        self,
        shown: type[AnEco],
        where: EcoFilter | None = None,
        *,
        sort: str = "NEWEST",
        page: int = PAGE,
        wait_for: int | None = None,
        as_of: datetime | None = None,
    ) -> AsyncGenerator[AnEco, None]:
        """All ECOs that fit, asked for `page` at a time as they are taken.

        `sort`: NEWEST, OLDEST, RECENTLY_UPDATED or MOST_URGENT. With the last two, what changes
        its place meanwhile can be missed or come twice.
        """
        arguments = {
            "filter": ("EcoFilterInput", where.variable() if where else None),
            "sort": ("EcoSort!", sort),
            "first": ("Int", page),
            "after": ("String", None),
            **_moment(wait_for, as_of),
        }
        wanted = f"edges {{ node {{ {selection(shown)} }} }} pageInfo {{ hasNextPage endCursor }}"
        while True:
            found = await self._answer("query", "ecos", arguments, wanted)
            for edge in found["edges"]:
                yield _read(shown, edge["node"])
            if not found["pageInfo"]["hasNextPage"]:
                return
            arguments["after"] = ("String", found["pageInfo"]["endCursor"])

    async def timeline(
        self,
        eco_id: UUID,
        *,
        newest_first: bool = False,
        page: int = PAGE,
        wait_for: int | None = None,
        as_of: datetime | None = None,
    ) -> AsyncGenerator[Entry, None]:
        """The lines of an ECO's timeline, asked for `page` at a time as they are taken.

        However long it is, none is missed and none comes twice. Nothing comes if the ECO is not
        yours.
        """
        size, edge, on, more, end = (
            ("last", "before", -1, "hasPreviousPage", "startCursor")
            if newest_first
            else ("first", "after", 1, "hasNextPage", "endCursor")
        )
        arguments = {"id": ("UUID!", eco_id), **_moment(wait_for, as_of)}
        below: _Arguments = {size: ("Int", page), edge: ("String", None)}
        lines = f"edges {{ node {{ {selection(Entry)} }} }} pageInfo {{ {more} {end} }}"
        wanted = f"timelineConnection({_given(below)}) {{ {lines} }}"
        while True:
            answer = await self._answer("query", "eco", arguments, wanted, below)
            if answer is None:
                return
            found = answer["timelineConnection"]
            for one in found["edges"][::on]:
                yield _read(Entry, one["node"])
            if not found["pageInfo"][more]:
                return
            below[edge] = ("String", found["pageInfo"][end])

    async def counts(
        self, where: EcoFilter | None = None, *, wait_for: int | None = None
    ) -> Counts:
        """How many ECOs fit, by their states."""
        fits = where.variable() if where else None
        arguments = {"filter": ("EcoFilterInput", fits), **_moment(wait_for, None)}
        return _read(Counts, await self._answer("query", "ecoCounts", arguments, selection(Counts)))

    async def contractors_for(self, location: GeoJson) -> list[Contractor]:
        """Whom a NOC can call out there, those first whose lists cover it."""
        arguments = {"location": ("GeoJSON!", location)}
        wanted = selection(Contractor)
        found = await self._answer("query", "contractorsFor", arguments, wanted)
        return [_read(Contractor, one) for one in found]

    async def places(self, text: str) -> list[Place]:
        """Towns, counties or coordinates that a text can mean."""
        arguments = {"text": ("String!", text)}
        found = await self._answer("query", "places", arguments, selection(Place))
        return [_read(Place, one) for one in found]

    async def readiness(self) -> Readiness:
        """Whether your own lists would reach somebody; for contractors."""
        return _read(Readiness, await self._answer("query", "readiness", {}, selection(Readiness)))

    async def evidence(self, eco_id: UUID) -> Evidence | None:
        """What proves afterwards what happened; None if the ECO is not yours."""
        arguments = {"ecoId": ("UUID!", eco_id)}
        found = await self._answer("query", "evidence", arguments, selection(Evidence))
        return None if found is None else _read(Evidence, found)

    # Commands -----------------------------------------------------------------------------------

    async def create_eco(
        self,
        *,
        osp_id: UUID,
        location: GeoJson,
        job_type: JobType | str,
        description: str,
        client_reference: str | None = None,
        ticket: str | None = None,
        priority: Priority | str = Priority.NORMAL,
        affected_customers: int | None = None,
    ) -> Changed:
        """Call a contractor out. The same reference again answers with the same ECO.

        Give a reference that your service keeps, so that it can ask again after it was restarted.
        Without one the client makes one, which holds for this call only.
        """
        order = _order(
            osp_id,
            location,
            job_type,
            description,
            client_reference or f"client-{uuid4()}",
            ticket,
            priority,
            affected_customers,
        )
        return await self._do("createEco", {"input": ("CreateEcoInput!", order)})

    async def draft_eco(
        self,
        *,
        osp_id: UUID,
        location: GeoJson,
        job_type: JobType | str,
        description: str,
        client_reference: str | None = None,
        ticket: str | None = None,
        priority: Priority | str = Priority.NORMAL,
        affected_customers: int | None = None,
    ) -> Draft:
        """Prepare a callout for a person to look at. Nobody is rung; it is good for ten minutes."""
        order = _order(
            osp_id,
            location,
            job_type,
            description,
            client_reference,
            ticket,
            priority,
            affected_customers,
        )
        return await self._do("draftEco", {"input": ("CreateEcoInput!", order)}, "EcoDraft", Draft)

    async def confirm_eco(self, confirmation: str) -> Changed:
        """Call out as drafted. The same confirmation again answers with the same ECO."""
        return await self._do("confirmEco", {"confirmation": ("String!", confirmation)})

    async def cancel_eco(self, eco_id: UUID, reason: str, *, key: str | None = None) -> Changed:
        """Call it off. `key`, here and below: the same one again does nothing a second time."""
        return await self._on(eco_id, "cancelEco", key, reason=("String!", reason))

    async def amend_eco(
        self,
        eco_id: UUID,
        *,
        description: str | None = None,
        location: GeoJson | None = None,
        priority: Priority | str | None = None,
        key: str | None = None,
    ) -> Changed:
        """Change what is given, nothing else."""
        return await self._on(
            eco_id,
            "amendEco",
            key,
            description=("String", description),
            location=("GeoJSON", location),
            priority=("Priority", priority),
        )

    async def dispatch_pager(
        self, eco_id: UUID, list_id: UUID | None = None, *, key: str | None = None
    ) -> Changed:
        """Ring the list that the place decides, or the one that is named."""
        return await self._on(eco_id, "dispatchPager", key, listId=("UUID", list_id))

    async def take_up_offer(
        self, eco_id: UUID, call_id: UUID, *, key: str | None = None
    ) -> Changed:
        """Let the person come who offered to come later."""
        return await self._on(eco_id, "takeUpOffer", key, callId=("UUID!", call_id))

    async def add_note(self, eco_id: UUID, text: str, *, key: str | None = None) -> Changed:
        """Write into the timeline."""
        return await self._on(eco_id, "addNote", key, text=("String!", text))

    async def retry_field_tasks(self, eco_id: UUID, *, key: str | None = None) -> Changed:
        """Have the field tasks made after all."""
        return await self._on(eco_id, "retryFieldTasks", key)

    async def start_work(self, eco_id: UUID, *, key: str | None = None) -> Changed:
        """Say that a crew is at work, where no field tasks say it."""
        return await self._on(eco_id, "startWork", key)

    async def complete_eco(self, eco_id: UUID, *, key: str | None = None) -> Changed:
        """Say that the work is done, where no field tasks say it."""
        return await self._on(eco_id, "completeEco", key)

    async def reopen_eco(self, eco_id: UUID, *, key: str | None = None) -> Changed:
        """Say within the grace period that it is not done after all."""
        return await self._on(eco_id, "reopenEco", key)

    # Following ----------------------------------------------------------------------------------

    async def changes(
        self,
        shown: type[AChange],
        *,
        after: int | None = None,
    ) -> AsyncGenerator[AChange, None]:
        """Every change that the company can see, exactly once, in the order of the log.

        It comes back by itself after a lost connection. Keep the last `position` that was dealt
        with and give it as `after`; None begins now. Raises `StreamEnded`.
        """
        async for one in self._follow(shown, "ecosChanged", {}, after):
            yield one

    async def alerts(self, *, after: int | None = None) -> AsyncGenerator[Alert, None]:
        """The ECOs for which nobody is coming and nobody is being rung, as they become so."""
        async for one in self._follow(Alert, "pagingAlerts", {}, after):
            yield one

    async def eco_changes(
        self,
        shown: type[AnEco],
        eco_id: UUID,
    ) -> AsyncGenerator[AnEco, None]:
        """One ECO as it is now and after each change; the latest state wins."""
        async for one in self._follow(shown, "ecoChanged", {"ecoId": ("UUID!", eco_id)}, None):
            yield one

    # How it is asked ----------------------------------------------------------------------------

    async def _follow(
        self, shown: type[_AnAnswer], field: str, arguments: _Arguments, after: int | None
    ) -> AsyncGenerator[_AnAnswer, None]:
        document, variables = _asked("subscription", field, arguments, selection(shown))
        async with aclosing(self._connection.follow(document, variables, after)) as answers:
            async for data in answers:
                yield _read(shown, data[field])

    async def _answer(
        self, kind: str, field: str, arguments: _Arguments, wanted: str, below: _Arguments = _NONE
    ) -> Any:
        """`below`: what is given to fields in `wanted`."""
        document, variables = _asked(kind, field, arguments, wanted, below)
        return (await self._connection.ask(document, variables))[field]

    async def _on(
        self, eco_id: UUID, field: str, key: str | None, **arguments: tuple[str, Any]
    ) -> Changed:
        once = {"idempotencyKey": ("String", key or f"client-{uuid4()}")}
        return await self._do(field, {"ecoId": ("UUID!", eco_id), **arguments, **once})

    async def _do(
        self,
        field: str,
        arguments: _Arguments,
        kind: str = "EcoChanged",
        shown: type[_AnAnswer] = Changed,  # type: ignore[assignment]
    ) -> _AnAnswer:
        done = f"... on {kind} {{ {selection(shown)} }}"
        refused = "... on Problem { code message path }"
        answer = await self._answer("mutation", field, arguments, f"{done} {refused}")
        if "code" in answer:
            path = answer["path"]
            raise Refused(
                answer["code"], answer["message"], path[1:] if path[:1] == ["input"] else path
            )
        return _read(shown, answer)


def _moment(wait_for: int | None, as_of: datetime | None) -> _Arguments:
    return {"waitFor": ("Position", wait_for), "asOf": ("DateTime", as_of)}


def _order(
    osp_id: UUID,
    location: GeoJson,
    job_type: JobType | str,
    description: str,
    client_reference: str | None,
    ticket: str | None,
    priority: Priority | str,
    affected_customers: int | None,
) -> dict[str, Any]:
    return {
        "ospId": osp_id,
        "location": location,
        "jobType": job_type,
        "description": description,
        "clientReference": client_reference,
        "ticket": ticket,
        "priority": priority,
        "affectedCustomers": affected_customers,
    }


def _given(arguments: _Arguments) -> str:
    return ", ".join(f"{name}: ${name}" for name in arguments)


def _asked(
    kind: str, field: str, arguments: _Arguments, wanted: str, below: _Arguments = _NONE
) -> tuple[str, dict[str, Any]]:
    """The document, always the same for the same field, and its variables."""
    all_ = arguments | below
    names = ", ".join(f"${name}: {type_}" for name, (type_, _) in all_.items())
    heads = (f"({names})" if all_ else "", f"({_given(arguments)})" if arguments else "")
    document = f"{kind} {field}{heads[0]} {{ {field}{heads[1]} {{ {wanted} }} }}"
    variables = {name: to_jsonable_python(value) for name, (_, value) in all_.items()}
    return document, variables


def _read(shown: type[_AnAnswer], answer: Any) -> _AnAnswer:
    try:
        return shown.model_validate(answer)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        at = [str(one) for one in first["loc"]]
        message = f"The server is of another version than this client: {first['msg']}."
        raise StrikeError("ANSWER_NOT_UNDERSTOOD", message, at) from error
