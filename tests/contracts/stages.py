"""What a contract test needs besides the port: hands on the other side of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import SecretStr

from strike_adapters.memory import FakeFieldWork, FakeTelephone, ManualClock
from strike_adapters.render import RenderInstance
from strike_adapters.twilio.accounts import TwilioAccount
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_domain.errors import Unavailable
from strike_domain.field_tasks import FieldTask, TaskState
from strike_domain.geometry import Location
from strike_domain.ports import (
    CallOrder,
    FieldWork,
    ProviderCallState,
    Tasked,
    Telephone,
    TextOrder,
    Texts,
    WorkOrder,
)
from strike_mock.tasks import Task
from tests.contracts.mocks import ACCOUNTS, CLIENT, ThreadedMock

OSP = UUID("00000000-0000-0000-0000-00000000000a")
OTHER_OSP = UUID("00000000-0000-0000-0000-00000000000b")
NOC = UUID("00000000-0000-0000-0000-00000000000c")
OTHER_NOC = UUID("00000000-0000-0000-0000-00000000000d")

WILLING = "+15125550101"
"""Who answers after 4 s on the mock's happy path."""


def work_order(eco_id: UUID | None = None, osp_id: UUID = OSP) -> WorkOrder:
    place = Location(type="LineString", coordinates=((-97.74, 30.27), (-97.73, 30.28)))
    return WorkOrder(eco_id or uuid4(), osp_id, "26-0001", "Fibre cut near the bridge", place)


def call_order(to: str = WILLING, noc_id: UUID = NOC) -> CallOrder:
    return CallOrder(noc_id, uuid4(), uuid4(), to, answer_seconds=30)


def text_order(to: str = WILLING, noc_id: UUID = NOC) -> TextOrder:
    return TextOrder(
        noc_id, uuid4(), uuid4(), to, "Cable cut. Accept or decline: https://x.example"
    )


# Field work --------------------------------------------------------------------------------


@dataclass
class Instances:
    """Render instances in a dictionary, as a store would give them."""

    by_osp: dict[UUID, RenderInstance] = field(default_factory=dict)

    def for_osp(self, osp_id: UUID) -> RenderInstance | None:
        return self.by_osp.get(osp_id)

    @classmethod
    def at(cls, url: str) -> Instances:
        """One for `OSP` and one, in another project, for `OTHER_OSP`."""
        return cls({osp: instance(url, osp) for osp in (OSP, OTHER_OSP)})


def instance(url: str, osp_id: UUID = OSP) -> RenderInstance:
    return RenderInstance(
        osp_id=osp_id,
        base_url=url,
        client_id=CLIENT.id,
        client_secret=SecretStr(CLIENT.secret),
        project=f"P-{osp_id.int}",
    )


class FieldWorkStage(Protocol):
    """A task system, seen from both sides."""

    @property
    def field_work(self) -> FieldWork: ...

    def move(self, tasked: Tasked, task_id: str, state: TaskState) -> None:
        """Put a task into a state."""

    def clone(self, tasked: Tasked) -> str:
        """Clone the ECO's first task and return the clone's id."""

    def remove(self, tasked: Tasked, task_id: str) -> None: ...

    def break_down(self) -> None:
        """Fail from now on, in a way that can pass."""


class FakeFieldWorkStage:
    def __init__(self) -> None:
        self.fake = FakeFieldWork(ManualClock())

    @property
    def field_work(self) -> FieldWork:
        return self.fake

    def move(self, tasked: Tasked, task_id: str, state: TaskState) -> None:
        tasks = self.fake.tasks(tasked.subsector_id)
        moved = [t.model_copy(update={"state": state}) if t.id == task_id else t for t in tasks]
        self.fake.set_tasks(tasked.subsector_id, *moved)

    def clone(self, tasked: Tasked) -> str:
        tasks = self.fake.tasks(tasked.subsector_id)
        made = FieldTask(
            id=f"clone_{len(tasks)}",
            name="Splice the cable",
            state=TaskState.BLUEPRINTED,
            cloned_from=tasked.task_id,
        )
        self.fake.set_tasks(tasked.subsector_id, *tasks, made)
        return made.id

    def remove(self, tasked: Tasked, task_id: str) -> None:
        left = [t for t in self.fake.tasks(tasked.subsector_id) if t.id != task_id]
        self.fake.set_tasks(tasked.subsector_id, *left)

    def break_down(self) -> None:
        self.fake.fail(Unavailable("It is out of order."))


@dataclass
class RenderStage:
    """The real adapter, and the mock at its other end."""

    field_work: FieldWork
    mock: ThreadedMock
    fault: Breakdown

    def move(self, tasked: Tasked, task_id: str, state: TaskState) -> None:
        task = next(t for t in self._tasks(tasked) if t.id == task_id)
        project = self.mock.project(tasked.project)
        self.mock.do(lambda: project.move(task, state.value))

    def clone(self, tasked: Tasked) -> str:
        project = self.mock.project(tasked.project)
        subsector = self.mock.subsector(tasked.project, tasked.subsector_id)
        made = self.mock.do(
            lambda: project.add_task(
                subsector, kind="repair", name="Splice the cable", cloned_from=tasked.task_id
            )
        )
        return made.id

    def remove(self, tasked: Tasked, task_id: str) -> None:
        subsector = self.mock.subsector(tasked.project, tasked.subsector_id)
        left = [task for task in self._tasks(tasked) if task.id != task_id]
        self.mock.do(lambda: subsector.tasks.__setitem__(slice(None), left))

    def break_down(self) -> None:
        self.fault.breaks = True

    def _tasks(self, tasked: Tasked) -> list[Task]:
        return self.mock.tasks(tasked.project, tasked.subsector_id)


@dataclass
class Breakdown:
    """A fault of the mock's edge: fails every request while `breaks`."""

    breaks: bool = False

    async def __call__(
        self, edge: str, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        return web.Response(status=503) if self.breaks else await handler(request)


# The telephone -----------------------------------------------------------------------------


class TelephoneStage(Protocol):
    """A telephone provider, seen from both sides."""

    @property
    def telephone(self) -> Telephone: ...

    @property
    def texts(self) -> Texts: ...

    def texted(self) -> list[tuple[str, str]]:
        """The number and words of each text that was taken."""

    def now(self) -> datetime: ...

    def pass_time(self, seconds: float) -> None: ...

    def let_answer(self, sid: str) -> None:
        """Until the person called is on the line."""

    def refuse(self) -> None:
        """Refuse the next order for good."""

    def lose(self, *, call_started: bool) -> None:
        """Lose the answer to the next order."""

    def cut_off(self) -> None:
        """Be out of reach from now on."""


class FakeTelephoneStage:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.fake = FakeTelephone(self.clock)

    @property
    def telephone(self) -> Telephone:
        return self.fake

    @property
    def texts(self) -> Texts:
        return self.fake

    def texted(self) -> list[tuple[str, str]]:
        return [(one.to, one.body) for one in self.fake.texts]

    def now(self) -> datetime:
        return self.clock.now()

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def let_answer(self, sid: str) -> None:
        self.fake.set_state(sid, ProviderCallState.IN_PROGRESS)

    def refuse(self) -> None:
        self.fake.refuse_next()

    def lose(self, *, call_started: bool) -> None:
        self.fake.lose_next(call_started=call_started)

    def cut_off(self) -> None:
        self.fake.reachable = False


class Accounts:
    """One account of the mock for each NOC."""

    def __init__(self) -> None:
        self._by_noc = {
            noc: TwilioAccount(
                account_sid=account.sid,
                auth_token=SecretStr(account.token),
                from_number="+15125550000",
            )
            for noc, account in zip((NOC, OTHER_NOC), ACCOUNTS, strict=True)
        }

    def for_noc(self, noc_id: UUID) -> TwilioAccount | None:
        return self._by_noc.get(noc_id)

    def serves(self, account_sid: str, noc_id: UUID) -> bool:
        return False

    def by_sid(self, account_sid: str) -> TwilioAccount | None:
        return next((a for a in self._by_noc.values() if a.account_sid == account_sid), None)


@dataclass
class OrderFault:
    """A fault of the mock's edge, for the next order that comes in."""

    happens: Callable[[web.Request, Handler], Awaitable[web.StreamResponse]] | None = None

    async def __call__(
        self, edge: str, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        if self.happens is None or request.method != "POST":
            return await handler(request)
        happens, self.happens = self.happens, None
        return await happens(request, handler)


async def refused(request: web.Request, handler: Handler) -> web.StreamResponse:
    body = {"code": 21211, "message": "Invalid 'To' Phone Number", "status": 400}
    return web.json_response(body, status=400)


async def lost_before(request: web.Request, handler: Handler) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def lost_after(request: web.Request, handler: Handler) -> web.StreamResponse:
    await handler(request)
    return await lost_before(request, handler)


@dataclass
class TwilioStage:
    """The real adapter, and the mock at its other end."""

    telephone: TwilioTelephone
    mock: ThreadedMock
    fault: OrderFault

    @property
    def texts(self) -> Texts:
        return self.telephone

    def texted(self) -> list[tuple[str, str]]:
        taken = self.mock.do(self.mock.mock.post.all)
        return [(one.request.to, one.request.body) for one in taken]

    def now(self) -> datetime:
        return self.mock.clock.now()

    def pass_time(self, seconds: float) -> None:
        self.mock.advance(seconds)

    def let_answer(self, sid: str) -> None:
        self.mock.advance(6)

    def refuse(self) -> None:
        self.fault.happens = refused

    def lose(self, *, call_started: bool) -> None:
        self.fault.happens = lost_after if call_started else lost_before

    def cut_off(self) -> None:
        self.mock.wait_for(self.mock.mock.stop())
