"""`FieldWork` in Render Networks, as docs/render-contract.md describes it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx

from strike_adapters.render import wire
from strike_adapters.render.circuit import CircuitOpen, Circuits
from strike_adapters.render.errors import RenderUnavailable, failed_answer, invalid_answer
from strike_adapters.render.exchange import Answer, Exchange, Request
from strike_adapters.render.instance import RenderInstance, RenderInstances
from strike_adapters.render.patience import Patience
from strike_adapters.render.pulse import Pulse
from strike_adapters.render.token import Credentials, Grant, Tokens
from strike_adapters.secrets import KEY_UNAVAILABLE, SecretError
from strike_domain.field_tasks import FieldTask, Polled, TaskSnapshot
from strike_domain.memory import SystemClock
from strike_domain.ports import Clock, Tasked, WorkOrder

MAX_PAGES = 100
"""Pages of one list that are read: of at most 100 tasks each."""

MAX_READINGS = 3
"""How often a list that changes while it is read is begun again."""


class RenderFieldWork:
    """Makes and reads tasks in each OSP's Render. May be used from any number of threads.

    Time-outs are in seconds. Whatever it takes, one call ends after about 8 s. `clock` stamps
    answers, and tells when a token is old and a circuit is probed; `transport` replaces the network
    in tests, `patience` how long one call waits. `create` and `poll` raise `RenderUnavailable`,
    whose docstring lists the codes.
    """

    def __init__(
        self,
        instances: RenderInstances,
        *,
        connect_seconds: float = 2,
        read_seconds: float = 5,
        clock: Clock | None = None,
        transport: httpx.BaseTransport | None = None,
        patience: Callable[[], Patience] = Patience,
    ) -> None:
        self._instances = instances
        self._patience = patience
        self._clock = clock or SystemClock()
        self._exchange = Exchange(connect_seconds, read_seconds, transport)
        self._tokens = Tokens(self._clock)
        self._circuits = Circuits(self._clock)
        self._pulses: dict[UUID, Pulse] = {}
        self._counting = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._exchange.close()

    def create(self, order: WorkOrder) -> Tasked:
        """Make the ECO's subsector and its investigation task, or find the ones made before."""
        with self._visit(order.osp_id) as visit:
            made = visit.post("subsectors", wire.new_subsector(order))
            subsector_id = wire.read_made(made.body, order)
            made = visit.post("tasks", wire.new_task(order, subsector_id))
            tasked = Tasked(visit.instance.project, subsector_id, wire.read_made(made.body, order))
        self._count_answer(order.osp_id)
        return tasked

    def poll(self, osp_id: UUID, subsector_id: str, etag: str | None) -> Polled:
        """Read every task of the subsector, or that nothing changed since `etag`."""
        with self._visit(osp_id) as visit:
            polled = self._read(visit, subsector_id, etag)
        self._count_answer(osp_id, polled)
        return polled

    def pulses(self) -> Sequence[Pulse]:
        """How each OSP's Render that was asked has been answering."""
        with self._counting:
            counted = list(self._pulses.values())
        return [self._now(pulse) for pulse in counted]

    def _now(self, pulse: Pulse) -> Pulse:
        """With the circuit and the token as they are now."""
        try:
            who = Credentials.of(self._instance(pulse.osp_id))
        except RenderUnavailable:
            return pulse
        circuit, kept = self._circuits.of(who), self._tokens.kept(who)
        return replace(
            pulse,
            circuit=circuit.state,
            circuit_until=circuit.until,
            token_since=kept.since if kept else None,
            token_until=kept.renew_at if kept else None,
        )

    def _read(self, visit: _Visit, subsector_id: str, etag: str | None) -> Polled:
        for _ in range(MAX_READINGS):
            try:
                return self._read_through(visit, subsector_id, etag)
            except _ListMoved:
                continue
        raise RenderUnavailable(
            "LIST_MOVING", "Render's list of tasks kept changing while it was read.", can_retry=True
        )

    def _read_through(self, visit: _Visit, subsector_id: str, etag: str | None) -> Polled:
        first = visit.get({"subsector_id": subsector_id}, etag)
        if first.status == 304:
            return Polled(snapshot=None, etag=etag, at=self._clock.now())
        tag = _etag(first)
        tasks, cursor = wire.read_page(first.body, subsector_id)
        found, pages = list(tasks), 1
        while cursor is not None:
            if pages == MAX_PAGES:
                raise invalid_answer(f"the list of tasks has more than {MAX_PAGES} pages")
            page = visit.get({"subsector_id": subsector_id, "cursor": cursor})
            if _etag(page) != tag:
                raise _ListMoved
            tasks, cursor = wire.read_page(page.body, subsector_id)
            found, pages = [*found, *tasks], pages + 1
        return Polled(snapshot=_snapshot(found), etag=tag, at=self._clock.now())

    @contextmanager
    def _visit(self, osp_id: UUID) -> Iterator[_Visit]:
        """One call of the port, if the instance's circuit lets it through."""
        try:
            instance = self._instance(osp_id)
            with self._circuits.of(Credentials.of(instance)).passing():
                yield _Visit(instance, self._exchange, self._tokens, self._patience())
        except CircuitOpen:
            raise
        except RenderUnavailable as error:
            with self._counting:
                pulse = self._pulses.get(osp_id, Pulse(osp_id))
                self._pulses[osp_id] = pulse.failed(self._clock.now(), error)
            raise

    def _count_answer(self, osp_id: UUID, polled: Polled | None = None) -> None:
        unchanged = polled is not None and polled.snapshot is None
        with self._counting:
            pulse = self._pulses.get(osp_id, Pulse(osp_id))
            self._pulses[osp_id] = pulse.answered(
                self._clock.now(), is_poll=polled is not None, unchanged=unchanged
            )

    def _instance(self, osp_id: UUID) -> RenderInstance:
        try:
            instance = self._instances.for_osp(osp_id)
        except SecretError as error:
            raise _closed(error) from error
        if instance is None:
            raise RenderUnavailable(
                "NOT_CONFIGURED",
                "No Render instance is configured for this company; its admin can add one.",
                can_retry=False,
            )
        return instance


def _closed(error: SecretError) -> RenderUnavailable:
    """A secret whose key cannot be asked is as good as before: entering it again would not help."""
    if error.code == KEY_UNAVAILABLE:
        return RenderUnavailable(
            KEY_UNAVAILABLE,
            f"The stored Render secret cannot be opened at the moment. {error.message}",
            can_retry=True,
        )
    return RenderUnavailable(
        "SECRET_UNREADABLE",
        f"The stored Render secret cannot be opened ({error.message}) Enter it again.",
        can_retry=False,
    )


class _ListMoved(Exception):
    """The ETag changed between two pages."""


@dataclass(frozen=True)
class _Visit:
    """One call of the port: one instance, as it was configured at its start, and one budget."""

    instance: RenderInstance
    exchange: Exchange
    tokens: Tokens
    patience: Patience

    def post(self, kind: str, body: dict[str, object]) -> Answer:
        """Make an object; the external reference in the body makes a repeat safe."""
        request = Request("POST", wire.project_url(self.instance, kind), json=body)
        return self._authorized(request, expected=(200, 201))

    def get(self, query: dict[str, str], etag: str | None = None) -> Answer:
        """Read a page of tasks; 304 is answered only where `etag` is given."""
        request = Request("GET", wire.project_url(self.instance, "tasks"), query=query)
        if etag is None:
            return self._authorized(request, expected=(200,))
        return self._authorized(request, expected=(200, 304), headers={"If-None-Match": etag})

    def _authorized(
        self, request: Request, expected: tuple[int, ...], headers: dict[str, str] | None = None
    ) -> Answer:
        """Send with a token, and once more with a new one if that is refused."""
        who = Credentials.of(self.instance)

        def send() -> Answer:
            return self._checked(request, _Bearer(token.get_secret_value()), expected, headers)

        token = self.tokens.get(who, self._ask_for_token, self.patience)
        try:
            return self.patience.retrying(send)
        except RenderUnavailable as error:
            if error.status != 401:
                raise
        self.tokens.forget(who, token)
        token = self.tokens.get(who, self._ask_for_token, self.patience)
        return self.patience.retrying(send)

    def _ask_for_token(self) -> Grant:
        request = Request("POST", wire.token_url(self.instance), form=wire.TOKEN_FORM)
        secret = self.instance.client_secret.get_secret_value()
        auth = httpx.BasicAuth(self.instance.client_id, secret)
        try:
            answer = self.patience.retrying(lambda: self._checked(request, auth, (200,), None))
        except RenderUnavailable as error:
            if error.status in (400, 401, 403):
                raise _refused_credentials(error.status) from error
            raise
        return wire.read_grant(answer.body)

    def _checked(
        self,
        request: Request,
        auth: httpx.Auth,
        expected: tuple[int, ...],
        headers: dict[str, str] | None,
    ) -> Answer:
        answer = self.exchange.send(request, self.patience, auth=auth, headers=headers)
        if answer.status not in expected:
            raise failed_answer(answer.status, answer.headers, answer.body)
        return answer


class _Bearer(httpx.Auth):
    """Puts the token on the request as it goes out, so that no repr shows it on the way."""

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._header
        yield request


def _refused_credentials(status: int) -> RenderUnavailable:
    return RenderUnavailable(
        "CREDENTIALS_REFUSED",
        "Render refuses the client id or secret; check them in the company's Render settings.",
        can_retry=False,
        status=status,
    )


def _etag(answer: Answer) -> str | None:
    """The tag to send back; one that no header can carry is as good as none."""
    tag = answer.headers.get("ETag")
    return tag if tag and tag.isascii() and tag.isprintable() else None


def _snapshot(tasks: Sequence[FieldTask]) -> TaskSnapshot:
    if len({task.id for task in tasks}) < len(tasks):
        raise invalid_answer("a task is listed twice")
    return TaskSnapshot.of(tasks)
