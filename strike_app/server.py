"""The HTTP server: GraphQL, GraphiQL, webhooks, health. Built from services, started elsewhere."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import nullcontext
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from typing import Any
from weakref import WeakSet

import orjson
import structlog
from aiohttp import WSCloseCode, web
from strawberry.aiohttp.views import GraphQLView
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from strike_adapters.identity import Unauthenticated
from strike_adapters.postgres.replica import Replica, Standing, may_be_behind
from strike_app.callers import (
    AGENT_HEADER,
    GOOD_TOKENS,
    acting_through,
    actor_of,
    good_tokens,
    tenant_named,
    user_of,
)
from strike_app.claims import check_content_type, check_origin, client_of, correlation_id
from strike_app.event_stream import OPEN, OpenStreams, accepts_events, resumed_after
from strike_app.graphiql import page
from strike_app.graphql import Context, make_context, schema
from strike_app.graphql.events import asked_in, stream_answers
from strike_app.graphql.posts import ordinary_answer
from strike_app.graphql.schema import StrikeSchema
from strike_app.graphql.sockets import CountingHandler
from strike_app.headers import correlated, headers_for, page_policy
from strike_app.health import Dependency, Health, State
from strike_app.limits import FAILURES, RATES, Failures, Now, Rates, TooMany
from strike_app.observed import observed
from strike_app.services import SERVICES, Services
from strike_app.web import console
from strike_app.web.shell import in_words
from strike_app.webhooks import Webhooks
from strike_domain.errors import Forbidden, StrikeError, Unavailable

MAX_BODY = 1_000_000
"""Largest request body, in bytes."""

MAX_MESSAGE = 100_000
"""Largest message over a WebSocket, in bytes: a query with its variables."""

ANSWER_SECONDS = 30.0
"""How long a GraphQL request may take, from its first byte to its answer."""

INIT_SECONDS = 10
"""How long a WebSocket may stay silent before it says who it acts for."""

STOPPING = b"the server is stopping"

HEARTBEAT_SECONDS = 30.0
"""How often a WebSocket is asked whether somebody is still there."""

ASSETS = Path(__file__).parent / "web" / "assets"

HEALTH = web.AppKey("health", Health)

_context: ContextVar[Context] = ContextVar("context")
"""Of the request that the present task answers."""

# Not from the status's name, which differs between versions of Python.
HTTP_CODES = {
    400: "BAD_REQUEST",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "REQUEST_ENTITY_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    503: "SERVICE_UNAVAILABLE",
}

logger = structlog.get_logger()


class StrikeView(GraphQLView[Context, None]):
    """GraphQL over POST and graphql-transport-ws, for users whom a trusted proxy vouches for."""

    graphql_transport_ws_handler_class = CountingHandler

    def __init__(self, services: Services, rates: Rates, schema: StrikeSchema = schema) -> None:
        super().__init__(
            schema=schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
        )
        # The library's streams would go on without the rights that they were opened with.
        self.stream_transport_classes_by_protocol = {}
        self._services = services
        self._rates = rates
        self._sockets: WeakSet[web.WebSocketResponse] = WeakSet()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        check_content_type(request)
        is_websocket = "Upgrade" in request.headers and self.is_websocket_request(request)
        # Before a WebSocket is opened: after that, no status can say what is wrong.
        if "Upgrade" in request.headers:
            check_origin(request, self._services.settings)
        user = await user_of(request, self._services)
        correlation = correlation_id(request)
        # Over a WebSocket many things are asked for, each with an id of its own.
        request_id = None if is_websocket else correlation
        agent = request.headers.get(AGENT_HEADER)
        actor = acting_through(actor_of(user, tenant_named(request), request_id), agent)
        context = make_context(self._services, user, actor, correlation)
        context.agent = agent
        _context.set(context)
        if is_websocket:
            return await super().__call__(request)
        if request.method == "POST":
            self.count(context)
            if accepts_events(request):
                return await self._stream(request, context)
        # A program that acts by itself reads what it has written without naming a position.
        near_enough = may_be_behind() if agent is None else nullcontext()
        async with asyncio.timeout(ANSWER_SECONDS):
            with near_enough:
                ordinary = await ordinary_answer(self.schema, request, context)
                response = await super().__call__(request) if ordinary is None else ordinary
        if isinstance(response, web.Response) and response.status >= 400:
            return _refusal(response.status, "REQUEST_INVALID", _text(response))
        return response

    async def _stream(self, request: web.Request, context: Context) -> web.StreamResponse:
        """GraphQL over SSE, in distinct connections mode."""
        context.transport, context.resumed_after = "sse", resumed_after(request)
        async with asyncio.timeout(ANSWER_SECONDS):
            body = await request.read()
        return await stream_answers(request, schema, context, asked_in(body), ANSWER_SECONDS)

    def count(self, context: Context) -> None:
        """Count one operation of a user, who acts for a tenant or not yet. Raises `TooMany`."""
        self._rates.count(context.user.id, context.actor.tenant_id if context.actor else None)

    def is_websocket_origin_allowed(self, request: web.Request, origin: str) -> bool:
        """`check_origin` has decided: by the public URL, too, which the library does not know."""
        return True

    async def get_context(
        self, request: web.Request, response: web.Response | web.WebSocketResponse
    ) -> Context:
        return _context.get()

    async def create_websocket_response(
        self, request: web.Request, subprotocol: str | None
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            protocols=[subprotocol] if subprotocol else [],
            heartbeat=HEARTBEAT_SECONDS,
            max_msg_size=MAX_MESSAGE,
            compress=False,  # It would take more memory than everything else of a client.
        )
        await socket.prepare(request)
        self._sockets.add(socket)
        if request.app[OPEN].is_closing:
            await socket.close(code=WSCloseCode.GOING_AWAY, message=STOPPING)
        return socket

    async def on_ws_connect(self, context: Context) -> Any:
        """A browser cannot set headers on a WebSocket: it names the tenant in its first message."""
        params = context.connection_params or {}
        if named := params.get("tenantId"):
            try:
                actor = actor_of(context.user, str(named))
                context.actor = acting_through(actor, context.agent)
            except Forbidden as error:
                raise ConnectionRejectionError({"code": error.code}) from error
        return await super().on_ws_connect(context)

    async def hang_up(self, app: web.Application) -> None:
        """Nobody who listens may hold up the end; clients come back to whoever serves then."""
        app[OPEN].hang_up()
        for socket in tuple(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=STOPPING)

    def encode_json(self, data: object) -> str:
        return orjson.dumps(data).decode()

    def decode_json(self, data: str | bytes) -> object:
        """Strict JSON: no NaN, no half characters, no nesting without end."""
        value = orjson.loads(data)
        if not isinstance(value, dict):
            raise json.JSONDecodeError("not an object", "", 0)
        return value


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """Refusals become JSON with a code; anything unforeseen becomes a number to look up."""
    try:
        response: web.StreamResponse = await handler(request)
        return response
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = HTTP_CODES.get(error.status, f"HTTP_{error.status}")
        return _refusal(error.status, code, error.reason)
    except Unauthenticated as error:
        return _unproved(request, error)
    except TooMany as error:
        return _too_many(error)
    except StrikeError as error:
        return _refusal(_status_of(error), error.code, error.message, error.path)
    except web.RequestPayloadError:
        return _refusal(400, "BAD_REQUEST", "The body cannot be read in the encoding it names.")
    except TimeoutError:
        message = "The answer took too long. What was asked for may still happen."
        return _refusal(504, "TIMED_OUT", message)
    except Exception:
        logger.exception("request failed", path=request.path)
        body = {"code": "INTERNAL", "correlationId": str(correlation_id(request))}
        return _json(body, 500)


def create_app(
    services: Services, now: Now = time.monotonic, health: Health | None = None
) -> web.Application:
    """The whole server as one aiohttp application. Rates are measured by `now`, in seconds."""
    middlewares = [observed, correlated, in_words, refusals]
    app = web.Application(client_max_size=MAX_BODY, middlewares=middlewares)
    app[SERVICES] = services
    app[HEALTH] = health or Health()
    app[FAILURES] = Failures(now)
    app[GOOD_TOKENS] = good_tokens()
    app[OPEN] = OpenStreams()
    settings = services.settings
    app[RATES] = Rates(settings.rate_per_user, settings.rate_per_tenant, now)
    graphql = StrikeView(services, app[RATES])
    app.add_routes(
        [
            web.get("/healthz", _healthz),
            web.get("/readyz", _readyz),
            web.get("/graphql", _graphiql_or(graphql)),
            web.post("/graphql", graphql),
            *Webhooks(services).routes(),
        ]
    )
    app.add_routes(console.routes())
    if ASSETS.is_dir():
        app.router.add_static("/assets", ASSETS)
    app.on_response_prepare.append(headers_for(settings))
    app.on_startup.append(_start)
    app.on_shutdown.append(graphql.hang_up)
    app.on_cleanup.append(_stop)
    return app


async def _start(app: web.Application) -> None:
    await app[SERVICES].queries.open()
    await app[SERVICES].following.start()
    await app[SERVICES].changes.start()


async def _stop(app: web.Application) -> None:
    await app[SERVICES].changes.stop()
    await app[SERVICES].following.stop()
    await app[SERVICES].queries.close()


async def _healthz(request: web.Request) -> web.Response:
    """The process is alive; says nothing of what it depends on."""
    status, body = request.app[HEALTH].alive()
    return _json(body, status)


async def _readyz(request: web.Request) -> web.Response:
    """Whether requests can be served; 503 with the reasons if not."""
    services = request.app[SERVICES]
    (reason, *_) = *await services.queries.not_ready(), ""
    feed = State.OK if services.changes.is_connected else State.UNAVAILABLE
    found = [
        Dependency("database", State.UNAVAILABLE if reason else State.OK, reason),
        Dependency("changes", feed),
        *_replica(services.queries.replica),
    ]
    status, body = request.app[HEALTH].ready(found)
    return _json(body, status)


def _replica(replica: Replica | None) -> Iterator[Dependency]:
    """Nothing hangs on it: without it the database answers."""
    if replica is None:
        return
    standing = replica.standing
    state = _REPLICA_STATES.get(standing, State.UNAVAILABLE)
    said = "" if state is State.OK else f"the replica is not asked: {standing}"
    yield Dependency("replica", state, said, hinders=False)


_REPLICA_STATES = {
    Standing.USED: State.OK,
    Standing.BEHIND: State.BEHIND,
    Standing.UNKNOWN: State.UNKNOWN,
}


def _graphiql_or(graphql: StrikeView) -> Any:
    """A browser gets GraphiQL, a WebSocket or a client goes on to GraphQL."""

    async def get(request: web.Request) -> web.StreamResponse:
        is_upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if is_upgrade or "text/html" not in request.headers.get("Accept", ""):
            return await graphql(request)
        user = await user_of(request, request.app[SERVICES])
        tenants = [(str(one.tenant_id), one.name) for one in user.memberships]
        nonce = secrets.token_urlsafe(16)
        policy = page_policy(request, request.app[SERVICES].settings, nonce)
        return web.Response(
            text=page(tenants, nonce, has_files=(ASSETS / "graphiql.min.js").is_file()),
            content_type="text/html",
            headers={"Content-Security-Policy": policy},
        )

    return get


def _status_of(error: StrikeError) -> int:
    match error:
        case Forbidden():
            return 403
        case Unavailable():
            return 503
        case _:
            return 400


def _unproved(request: web.Request, error: Unauthenticated) -> web.Response:
    """A refused proof is counted; after too many of them, nothing is said of what was wrong."""
    failures = request.app[FAILURES]
    address = client_of(request, request.app[SERVICES].settings.trusted_networks)
    if failures.count(address):
        return _too_many(failures.refusal(address))
    return _refusal(401, error.code, error.message, error.path)


def _too_many(error: TooMany) -> web.Response:
    response = _refusal(429, error.code, error.message)
    response.headers["Retry-After"] = str(error.retry_after)
    return response


def _refusal(
    status: int, code: str, message: str, path: tuple[str | int, ...] = ()
) -> web.Response:
    return _json({"code": code, "message": message, "path": list(path)}, status)


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(body), status=status, content_type="application/json", charset="utf-8"
    )


def _text(response: web.Response) -> str:
    body = response.body
    return body.decode() if isinstance(body, bytes) else "This is not a GraphQL request."
