"""All of Strike on simulated time: server, pager follower, state followers, workers."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from random import Random
from typing import Any, cast
from uuid import UUID

import stamina
from aiohttp import web
from eventsourcing.persistence import (
    IntegrityError,
    Notification,
    PersistenceError,
    StoredEvent,
    Tracking,
)
from pydantic import AnyHttpUrl, SecretStr

from strike_adapters.render.field_work import RenderFieldWork
from strike_adapters.render.instance import RenderInstance
from strike_adapters.render.patience import Patience
from strike_adapters.twilio.accounts import TwilioAccount, WebhookUrls
from strike_adapters.twilio.links import SignedLinks
from strike_adapters.twilio.telephone import TwilioTelephone
from strike_app.services import Services
from strike_app.settings import Settings
from strike_app.simulate.due import DueRows
from strike_app.simulate.loop import LoopClock, SimulatedLoop, blocking
from strike_app.simulate.processes import Killed, Process
from strike_app.simulate.store import SimulatedRecorder, drop_log, new_log
from strike_app.simulate.wire import Headers, InProcess, Network, StrikeCourier
from strike_app.webhooks import Webhooks
from strike_domain.callouts import Callouts
from strike_domain.field_work import CrewDesk, Look, first_look
from strike_domain.log import LOG_NAME, StrikeLog
from strike_domain.memory import MemoryDirectory
from strike_domain.pager_process import PagerProcess
from strike_domain.pager_run import CallRequested, PagerRun
from strike_domain.paging import Paging
from strike_domain.ringer import Ringer
from strike_domain.routing import Router
from strike_domain.texter import Texter
from strike_mock.scenarios import Scenario
from strike_mock.server import Mock
from strike_mock.settings import Account, MockSettings, RenderClient

PUBLIC = "http://strike.example"
OUTSIDE = "http://outside.example"
ACCOUNT = Account(sid="AC" + "5" * 32, token="token-of-the-story")  # noqa: S106
CLIENT = RenderClient(id="strike", secret="secret-of-the-story")  # noqa: S106
FROM = "+13035550100"
THREADS = 2
"""Runs that one worker process handles at once."""


class System:
    """Strike and its outside, for one story."""

    def __init__(self, loop: SimulatedLoop, scenario: Scenario, directory: MemoryDirectory) -> None:
        seed = scenario.name
        self.loop = loop
        self.clock = LoopClock(loop)
        self.scenario = scenario
        self.directory = directory
        self._ids = _Ids(seed)
        self._wake = asyncio.Event()
        self.courier = StrikeCourier(self._serve, Random(f"courier/{seed}"))  # noqa: S311
        self.mock = Mock(
            MockSettings(accounts=(ACCOUNT,), render_clients=(CLIENT,), seed=_number(seed)),
            clock=self.clock,
            scenario=scenario,
            courier=self.courier,
            on_death=_die,
        )
        self.outside = InProcess(self.mock.app(on_a_wire=False))
        self._build_strike(seed)
        self._build_processes(seed)

    def _build_strike(self, seed: str) -> None:
        self._env = new_log()
        self.log = StrikeLog(self._env)
        self.recorder = cast(SimulatedRecorder, self.log.recorder)
        self.recorder.chance = Random(f"store/{seed}")  # noqa: S311
        self.recorder.on_stored = self._note_stored
        self._ringing: dict[str, set[UUID]] = defaultdict(set)
        self.router = Router(self.directory)
        new_id = self._ids.new
        self.callouts = Callouts(self.log, self.directory, self.clock, new_id)
        self.paging = Paging(self.log, self.router, self.directory, self.clock, new_id)
        self.network = Network(self.outside, Random(f"network/{seed}"))  # noqa: S311
        urls = WebhookUrls(PUBLIC)
        links = SignedLinks(_Accounts(), urls)
        self.telephone = TwilioTelephone(
            _Accounts(),
            urls,
            base_url=OUTSIDE,
            transport=self.network,
            monotonic=self.loop.time,
        )
        self._links = links
        self.field_work = RenderFieldWork(
            _Instances(),
            clock=self.clock,
            transport=self.network,
            patience=lambda: Patience(monotonic=self.loop.time),
        )
        self.services = Services(
            settings=Settings(public_url=AnyHttpUrl(PUBLIC)),
            clock=self.clock,
            paging_seen_by=cast(Any, None),
            places=cast(Any, None),
            administration=cast(Any, None),
            checks=cast(Any, None),
            callouts=self.callouts,
            drafting=cast(Any, None),
            paging=self.paging,
            queries=cast(Any, None),
            changes=cast(Any, None),
            following=cast(Any, None),
            identity=cast(Any, None),
            technicians=cast(Any, None),
            links=links,
            twilio_accounts=_Accounts(),
            webhook_urls=urls,
            executor=cast(Any, None),
        )
        self.runs, self.looks = DueRows(self.clock), DueRows(self.clock)

    def _build_processes(self, seed: str) -> None:
        restart = Random(f"restart/{seed}")  # noqa: S311

        def later() -> float:
            return restart.uniform(0.5, 6.0)

        def process(name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> Process:
            return Process(name, main, later, self.clock.now)

        self.server = process("server", self._server)
        self.workers = [process(name, self._worker(name)) for name in ("worker-1", "worker-2")]
        pager, states = process("pager", self._pager), process("states", self._states)
        desk = process("desk", self._desk)
        self.processes = [self.server, pager, states, *self.workers, desk]
        self.folded: dict[UUID, Any] = {}
        self._folded_to = 0

    # The outside calls -----------------------------------------------------------------------

    async def _serve(self, method: str, path: str, headers: Headers, body: bytes) -> web.Response:
        answer = await self.server.serve(
            lambda: self.application.handle(method, path, headers, body)
        )
        return cast(web.Response, answer)

    async def deliver(self, path: str, headers: Headers, body: bytes) -> web.Response:
        """What the server answers to anybody's request."""
        return await self._serve("POST", path, headers, body)

    async def _server(self) -> None:
        app = web.Application()
        app.add_routes(Webhooks(self.services).routes())
        self.application = InProcess(app)
        await asyncio.Event().wait()

    # Strike's own processes ------------------------------------------------------------------

    def start(self) -> None:
        """Start every process."""
        for process in self.processes:
            process.start()

    async def stop(self) -> None:
        """Stop every process and the outside."""
        for process in self.processes:
            await process.stop()
        await self.mock.stop()
        drop_log(self._env)

    async def _pager(self) -> None:
        process = PagerProcess(self.router, self.clock, self._env)
        while True:
            for one in await self._new(process.recorder.max_tracking_id(LOG_NAME) or 0):
                event = self.log.mapper.to_domain_event(one)
                tracking = Tracking(LOG_NAME, one.id)
                try:
                    await blocking(lambda e=event, t=tracking: process.process_event(e, t))  # type: ignore[misc]
                except IntegrityError:
                    break  # Another one has done it; look again how far it is.
                except PersistenceError:
                    await asyncio.sleep(0.5)
                    break

    async def _states(self) -> None:
        while True:
            for one in await self._new(self._folded_to):
                event: Any = self.log.mapper.to_domain_event(one)
                after = event.mutate(self.folded.get(event.originator_id))
                self.folded[event.originator_id] = after
                self._folded_to = one.id
                self._write_rows(event, after)

    def _write_rows(self, event: Any, after: Any) -> None:
        if isinstance(after, PagerRun):
            self.runs.put(after.id, after.version, after.due_at)
            return
        is_about_looks, deadline = first_look(event, after)
        if is_about_looks:
            self.looks.put(after.id, after.version, deadline, Look(deadline))

    async def _new(self, last: int) -> Sequence[Notification]:
        """What came into the log after `last`, as soon as there is anything."""
        while True:
            wake = self._wake
            found = self.recorder.select_notifications(last + 1, 10)
            if found:
                return found
            await wake.wait()
            await asyncio.sleep(0.01)

    def _worker(self, name: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def main() -> None:
            texts: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
            texter = Texter(
                self.log,
                self.telephone,
                self._links,
                self.clock,
                texts.put_nowait,
                self._ids.new,
            )
            ringer = Ringer(
                self.log, self.telephone, self.clock, self, self._ids.new, self.router, texter
            )
            await self._threads(lambda: self._ring(name, ringer), lambda: self._text(texts))

        return main

    async def _text(self, texts: asyncio.Queue[Callable[[], None]]) -> None:
        while True:
            work = await texts.get()
            with suppress(PersistenceError):
                await blocking(work)

    async def _threads(self, *works: Callable[[], Any]) -> None:
        tasks = [asyncio.create_task(work()) for work in works for _ in range(THREADS)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _ring(self, name: str, ringer: Ringer) -> None:
        while True:
            row = self.runs.claim(name)
            if row is None:
                await self.runs.wait()
                continue
            until, run_id = row.claimed_until, row.id
            is_held = partial(self.runs.is_held, row, name, until)
            try:
                run = await blocking(partial(ringer.work_on, run_id, is_held))
            except PersistenceError:
                continue  # The lease keeps others off it for some seconds.
            self.runs.put(run.id, run.version, run.due_at)
            self.runs.release(row, name, until)

    async def _desk(self) -> None:
        desk = CrewDesk(self.log, self.field_work, self.clock, self.directory, self._ids.new)
        while True:
            row = self.looks.claim("desk")
            if row is None:
                await self.looks.wait()
                continue
            until, version, eco_id, last = row.claimed_until, row.version, row.id, row.kept
            try:
                look = await blocking(lambda i=eco_id, w=last: desk.look_after(i, w))  # type: ignore[misc]
            except PersistenceError:
                continue
            self.looks.keep(row, version, look.due_at, look)
            self.looks.release(row, "desk", until)

    # The store -------------------------------------------------------------------------------

    def _note_stored(self, events: Sequence[StoredEvent]) -> None:
        for one in events:
            if one.topic == CallRequested.TOPIC:
                event: Any = self.log.mapper.to_domain_event(one)
                self._ringing[event.contact.phone].add(event.originator_id)
        self._wake.set()
        self._wake = asyncio.Event()

    def runs_ringing(self, phone: str, since: datetime) -> Iterable[UUID]:
        """The runs that rang that number (`ringer.OtherCalls`)."""
        return self._ringing[phone]


class _Ids:
    def __init__(self, seed: str) -> None:
        self._chance = Random(f"ids/{seed}")  # noqa: S311

    def new(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128), version=4)


class _Accounts:
    """One account for everybody."""

    _account = TwilioAccount(
        account_sid=ACCOUNT.sid, auth_token=SecretStr(ACCOUNT.token), from_number=FROM
    )

    def for_noc(self, noc_id: UUID) -> TwilioAccount | None:
        return self._account

    def serves(self, account_sid: str, noc_id: UUID) -> bool:
        return account_sid == self._account.account_sid

    def by_sid(self, account_sid: str) -> TwilioAccount | None:
        return self._account if account_sid == ACCOUNT.sid else None


class _Instances:
    """One Render for every OSP; how it is followed, the directory says."""

    def for_osp(self, osp_id: UUID) -> RenderInstance | None:
        return RenderInstance(
            osp_id=osp_id,
            base_url=OUTSIDE,
            client_id=CLIENT.id,
            client_secret=SecretStr(CLIENT.secret),
            project="P-1",
        )


async def _die(edge: str) -> None:
    raise Killed(edge)


def _number(seed: str) -> int:
    return Random(f"mock/{seed}").getrandbits(64)  # noqa: S311


def without_waiting() -> None:
    """Repeat requests at once: stamina would wait in real time."""
    stamina.set_testing(True, attempts=3, cap=True)
