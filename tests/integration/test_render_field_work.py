"""Render, over real HTTP to the mock: tokens, repeats, pages, and what goes wrong."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from threading import Barrier
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import stamina
from aiohttp import web
from aiohttp.typedefs import Handler

from strike_adapters.memory import ManualClock
from strike_adapters.render import RenderFieldWork, RenderInstance, RenderUnavailable
from strike_adapters.render.circuit import FAILURES, CircuitOpen
from strike_adapters.render.patience import Patience
from strike_adapters.secrets import SecretError
from strike_domain.field_tasks import TaskSnapshot, TaskState
from strike_domain.ports import Tasked
from tests.contracts.mocks import CLIENT, ThreadedMock, running_mock
from tests.contracts.stages import OSP, OTHER_OSP, Instances, instance, work_order

Answering = Callable[[web.Request, Handler], "Any"]


@dataclass
class Edge:
    """Notes every request at the mock's edge; `answers` are used up before the mock's own."""

    seen: list[tuple[str, web.Request]] = field(default_factory=list)
    answers: dict[str, list[Answering]] = field(default_factory=dict)

    async def __call__(self, edge: str, request: web.Request, handler: Handler) -> Any:
        name = edge.removeprefix("render.")
        self.seen.append((name, request))
        waiting = self.answers.get(name)
        return await (waiting.pop(0)(request, handler) if waiting else handler(request))

    def count(self, name: str) -> int:
        return [seen for seen, _ in self.seen].count(name)

    def then(self, name: str, *answers: Answering) -> None:
        self.answers.setdefault(name, []).extend(answers)


def answering(
    status: int = 200, body: Any = None, headers: Mapping[str, str] | None = None
) -> Answering:
    async def answer(request: web.Request, handler: Handler) -> web.Response:
        return web.json_response(body, status=status, headers=headers)

    return answer


async def hang_up(request: web.Request, handler: Handler) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def do_and_hang_up(request: web.Request, handler: Handler) -> web.Response:
    await handler(request)
    return await hang_up(request, handler)


@dataclass
class Render:
    """The adapter, what it is configured with, and the mock with its edge."""

    field_work: RenderFieldWork
    instances: Instances
    clock: ManualClock
    mock: ThreadedMock
    edge: Edge

    def tasked(self) -> Tasked:
        return self.field_work.create(work_order())

    def snapshot(self, tasked: Tasked) -> TaskSnapshot:
        snapshot = self.field_work.poll(OSP, tasked.subsector_id, None).snapshot
        assert snapshot is not None
        return snapshot

    def poll_error(self, tasked: Tasked, etag: str | None = None) -> RenderUnavailable:
        with pytest.raises(RenderUnavailable) as error:
            self.field_work.poll(OSP, tasked.subsector_id, etag)
        return error.value

    def add_tasks(self, tasked: Tasked, count: int) -> None:
        project = self.mock.project(tasked.project)
        subsector = self.mock.subsector(tasked.project, tasked.subsector_id)
        self.mock.do(
            lambda: [project.add_task(subsector, kind="repair", name="R") for _ in range(count)]
        )


@pytest.fixture
def render() -> Iterator[Render]:
    edge, clock = Edge(), ManualClock()
    with stamina.set_testing(True, attempts=3), running_mock([edge]) as mock:
        instances = Instances.at(mock.url)
        with RenderFieldWork(instances, clock=clock) as field_work:
            yield Render(field_work, instances, clock, mock, edge)


class TestToken:
    def test_a_hundred_threads_that_need_a_token_ask_for_one(self, render: Render) -> None:
        barrier = Barrier(100)

        def create(_: int) -> Tasked:
            barrier.wait(timeout=30)
            return render.field_work.create(work_order())

        with ThreadPoolExecutor(100) as pool:
            made = list(pool.map(create, range(100)))
        assert len({tasked.task_id for tasked in made}) == 100
        assert render.edge.count("token") == 1

    def test_a_hundred_threads_whose_token_expired_ask_for_one(self, render: Render) -> None:
        tasked = render.tasked()
        render.mock.advance(3600)
        barrier = Barrier(100)

        def poll(_: int) -> None:
            barrier.wait(timeout=30)
            render.field_work.poll(OSP, tasked.subsector_id, None)

        with ThreadPoolExecutor(100) as pool:
            list(pool.map(poll, range(100)))
        assert render.edge.count("token") == 2

    def test_threads_that_waited_for_a_refused_token_are_all_told(self, render: Render) -> None:
        wrong = instance(render.mock.url).model_copy(update={"client_id": "nobody"})
        render.instances.by_osp[OSP] = wrong
        barrier = Barrier(20)

        def create(_: int) -> str:
            barrier.wait(timeout=30)
            with pytest.raises(RenderUnavailable) as error:
                render.field_work.create(work_order())
            return error.value.code

        with ThreadPoolExecutor(20) as pool:
            assert set(pool.map(create, range(20))) == {"RENDER_CREDENTIALS_REFUSED"}

    def test_a_token_is_used_until_shortly_before_it_expires(self, render: Render) -> None:
        tasked = render.tasked()
        render.clock.advance(3539)
        render.snapshot(tasked)
        assert render.edge.count("token") == 1
        render.clock.advance(1)
        render.snapshot(tasked)
        assert render.edge.count("token") == 2

    def test_a_short_token_is_used_for_nine_tenths_of_its_life(self, render: Render) -> None:
        tasked = render.tasked()
        render.clock.advance(3600)

        async def short(request: web.Request, handler: Handler) -> web.Response:
            issued = render.mock.mock.render._tokens.issue(3600)
            body = {"access_token": issued, "token_type": "bearer", "expires_in": 10}
            return web.json_response(body)

        render.edge.then("token", short)
        render.snapshot(tasked)
        render.clock.advance(8.9)
        render.snapshot(tasked)
        assert render.edge.count("token") == 2
        render.clock.advance(0.1)
        render.snapshot(tasked)
        assert render.edge.count("token") == 3

    def test_a_refused_token_is_renewed_once(self, render: Render) -> None:
        tasked = render.tasked()
        render.mock.advance(3600)
        render.snapshot(tasked)
        assert render.edge.count("token") == 2

    def test_a_new_token_that_is_refused_too_is_an_error(self, render: Render) -> None:
        tasked = render.tasked()
        render.edge.then("list", *[answering(401)] * 2)
        error = render.poll_error(tasked)
        assert (error.code, error.can_retry) == ("RENDER_TOKEN_REFUSED", False)
        assert render.edge.count("token") == 2 and render.edge.count("list") == 2

    def test_wrong_credentials_are_said_so_and_not_repeated(self, render: Render) -> None:
        update = {"client_secret": "wrong-secret"}
        fields = instance(render.mock.url).model_dump() | update
        render.instances.by_osp[OSP] = RenderInstance.model_validate(fields)
        with pytest.raises(RenderUnavailable, match="check them") as error:
            render.tasked()
        assert error.value.code == "RENDER_CREDENTIALS_REFUSED" and not error.value.can_retry
        assert render.edge.count("token") == 1
        assert "wrong-secret" not in f"{error.value} {error.value!r} {error.value.__cause__!r}"

    def test_changed_credentials_take_effect_at_once(self, render: Render) -> None:
        tasked = render.tasked()
        right = render.instances.by_osp[OSP]
        render.instances.by_osp[OSP] = right.model_copy(update={"client_id": "nobody"})
        assert render.poll_error(tasked).code == "RENDER_CREDENTIALS_REFUSED"
        render.instances.by_osp[OSP] = right
        render.snapshot(tasked)

    @pytest.mark.parametrize(
        "body",
        [
            {"access_token": "", "token_type": "Bearer", "expires_in": 60},
            {"access_token": "rt_secret", "token_type": "Bearer", "expires_in": 0},
            {"access_token": "rt_secret", "token_type": "mac", "expires_in": 60},
            {"access_token": "rt_secret", "token_type": "Bearer"},
            ["rt_secret"],
        ],
    )
    def test_a_token_answer_out_of_form_is_refused_unseen(self, render: Render, body: Any) -> None:
        render.edge.then("token", answering(200, body))
        with pytest.raises(RenderUnavailable) as error:
            render.tasked()
        assert error.value.code == "RENDER_INVALID_ANSWER"
        assert "rt_secret" not in f"{error.value} {error.value.__context__}"


class TestRepeats:
    @pytest.mark.parametrize("trouble", [answering(500), answering(503), answering(429), hang_up])
    @pytest.mark.parametrize("edge", ["token", "subsectors", "tasks", "list"])
    def test_trouble_that_passes_is_not_noticed(
        self, render: Render, edge: str, trouble: Answering
    ) -> None:
        render.edge.then(edge, trouble, trouble)
        assert len(render.snapshot(render.tasked()).tasks) == 1
        assert render.edge.count(edge) == 3

    @pytest.mark.parametrize("edge", ["subsectors", "tasks"])
    def test_a_lost_answer_makes_nothing_twice(self, render: Render, edge: str) -> None:
        render.edge.then(edge, do_and_hang_up)
        tasked = render.tasked()
        assert len(render.mock.project(tasked.project).subsectors()) == 1
        assert len(render.mock.tasks(tasked.project, tasked.subsector_id)) == 1

    @pytest.mark.parametrize(
        ("trouble", "code"),
        [
            (answering(503), "RENDER_FAILING"),
            (answering(429), "RENDER_TOO_MANY_REQUESTS"),
            (hang_up, "RENDER_UNREACHABLE"),
        ],
    )
    def test_trouble_that_lasts_is_left_to_a_later_try(
        self, render: Render, trouble: Answering, code: str
    ) -> None:
        tasked = render.tasked()
        render.edge.then("list", *[trouble] * 3)
        error = render.poll_error(tasked)
        assert (error.code, error.can_retry) == (code, True)
        assert render.edge.count("list") == 3

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (400, "RENDER_REFUSED"),
            (403, "RENDER_REFUSED"),
            (404, "RENDER_NOT_FOUND"),
            (302, "RENDER_REDIRECTED"),
            (204, "RENDER_INVALID_ANSWER"),
            (304, "RENDER_INVALID_ANSWER"),
        ],
    )
    def test_what_cannot_pass_is_not_repeated(self, render: Render, status: int, code: str) -> None:
        tasked = render.tasked()
        render.edge.then("list", answering(status))
        error = render.poll_error(tasked)
        assert (error.code, error.can_retry, render.edge.count("list")) == (code, False, 1)

    def test_renders_own_explanation_is_passed_on(self, render: Render) -> None:
        body = {"error": {"code": "invalid_request", "message": "name:\x00\n too " + "long" * 99}}
        render.edge.then("tasks", answering(400, body))
        with pytest.raises(RenderUnavailable, match="invalid_request: name: too long") as error:
            render.tasked()
        assert len(error.value.message) < 300

    def test_a_wait_longer_than_our_patience_is_left_to_a_later_try(self, render: Render) -> None:
        tasked = render.tasked()
        render.edge.then("list", answering(429, headers={"Retry-After": "60"}))
        error = render.poll_error(tasked)
        assert error.can_retry and "60 s" in error.message
        assert render.edge.count("list") == 1

    def test_nobody_listening_is_said_with_the_address(self, render: Render) -> None:
        render.instances.by_osp[OSP] = instance("http://127.0.0.1:1")
        with pytest.raises(RenderUnavailable, match="127.0.0.1:1") as error:
            render.tasked()
        assert error.value.code == "RENDER_UNREACHABLE" and error.value.can_retry


def trouble(retry_after: float | None = None, *, can_retry: bool = True) -> RenderUnavailable:
    return RenderUnavailable("FAILING", "", can_retry=can_retry, retry_after=retry_after)


class TestPatience:
    def test_retry_after_is_obeyed_with_jitter_as_far_as_the_time_goes(self) -> None:
        now = [0.0]
        patience = Patience(8, monotonic=lambda: now[0])
        assert 3 <= patience.wait_before_repeat(trouble(3)) <= 3.3
        assert patience.wait_before_repeat(trouble(7.5)) is False
        now[0] = 5.0
        assert patience.wait_before_repeat(trouble(3)) is False

    def test_without_retry_after_the_backoff_decides(self) -> None:
        assert Patience().wait_before_repeat(trouble()) is True

    def test_nothing_is_repeated_once_the_time_is_up(self) -> None:
        now = [0.0]
        patience = Patience(8, monotonic=lambda: now[0])
        now[0] = 8.0
        assert patience.wait_before_repeat(trouble()) is False
        with pytest.raises(RenderUnavailable, match="RENDER_TIMED_OUT"):
            patience.left()

    def test_what_no_repeat_helps_is_not_repeated(self) -> None:
        assert Patience().wait_before_repeat(trouble(can_retry=False)) is False
        assert Patience().wait_before_repeat(ValueError()) is False


class TestReading:
    def test_a_full_answer_is_read_page_by_page(self, render: Render) -> None:
        tasked = render.tasked()
        render.add_tasks(tasked, 250)
        assert len(render.snapshot(tasked).tasks) == 251
        assert render.edge.count("list") == 3

    def test_a_page_that_fails_fails_the_whole_reading(self, render: Render) -> None:
        tasked = render.tasked()
        render.add_tasks(tasked, 150)

        async def pass_on(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await handler(request)

        render.edge.then("list", pass_on, *[answering(500)] * 3)
        assert render.poll_error(tasked).code == "RENDER_FAILING"

    def test_a_list_that_moves_while_it_is_read_is_read_again(self, render: Render) -> None:
        tasked = render.tasked()
        render.add_tasks(tasked, 150)
        project = render.mock.project(tasked.project)
        subsector = render.mock.subsector(tasked.project, tasked.subsector_id)

        async def then_move(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            project.move(subsector.tasks[0], "released")
            project.add_task(subsector, kind="repair", name="late")
            return answer

        render.edge.then("list", then_move)
        snapshot = render.snapshot(tasked)
        assert len(snapshot.tasks) == 152 and snapshot.has_started
        assert render.edge.count("list") == 4

    def test_a_list_that_never_rests_is_left_to_a_later_try(self, render: Render) -> None:
        tasked = render.tasked()
        pages = [
            answering(200, {"items": [], "next_cursor": "1"}, {"ETag": f'"{number}"'})
            for number in range(6)
        ]
        render.edge.then("list", *pages)
        error = render.poll_error(tasked)
        assert (error.code, error.can_retry) == ("RENDER_LIST_MOVING", True)

    def test_pages_without_end_are_not_read_for_ever(self, render: Render) -> None:
        tasked = render.tasked()
        endless = answering(200, {"items": [], "next_cursor": "1"})
        render.edge.then("list", *[endless] * 200)
        assert render.poll_error(tasked).code == "RENDER_INVALID_ANSWER"
        assert render.edge.count("list") == 100

    def test_a_server_without_tags_is_read_in_full(self, render: Render) -> None:
        tasked = render.tasked()
        render.edge.then("list", answering(200, {"items": [], "next_cursor": None}))
        polled = render.field_work.poll(OSP, tasked.subsector_id, None)
        assert polled.etag is None and polled.snapshot == TaskSnapshot(tasks=())
        assert polled.at == render.clock.now()

    def test_the_tag_goes_with_the_first_page_only(self, render: Render) -> None:
        tasked = render.tasked()
        render.add_tasks(tasked, 150)
        render.field_work.poll(OSP, tasked.subsector_id, '"old"')
        tags = [r.headers.get("If-None-Match") for name, r in render.edge.seen if name == "list"]
        assert tags == ['"old"', None]

    def test_a_state_that_nobody_knows_is_an_error_and_not_a_guess(self, render: Render) -> None:
        tasked = render.tasked()
        render.edge.then("list", answering(200, page(task(tasked, state="archived"))))
        error = render.poll_error(tasked)
        assert (error.code, error.can_retry) == ("RENDER_UNKNOWN_STATE", False)
        assert "'archived'" in error.message and "tk_1" in error.message

    def test_unknown_fields_are_ignored(self, render: Render) -> None:
        tasked = render.tasked()
        known = task(tasked, priority=1, cloned_from="tk_0", state="jeopardy", name="a\0b")
        render.edge.then("list", answering(200, page(known) | {"total": 1}))
        (read,) = render.snapshot(tasked).tasks
        assert (read.state, read.cloned_from, read.name) == (TaskState.JEOPARDY, "tk_0", "ab")

    def test_an_answer_out_of_form_is_an_error(self, render: Render) -> None:
        tasked = render.tasked()
        bodies: list[Any] = [
            {"items": []},
            {"next_cursor": None},
            page(task(tasked) | {"id": 1}),
            page(task(tasked) | {"state": None}),
            page(task(tasked) | {"subsector_id": "ss_of_another"}),
            page(task(tasked), task(tasked)),
            "<html>",
        ]
        render.edge.then("list", *[answering(200, body) for body in bodies])
        codes = [render.poll_error(tasked).code for _ in bodies]
        assert set(codes) == {"RENDER_INVALID_ANSWER"}

    def test_an_object_of_another_callout_is_an_error(self, render: Render) -> None:
        body = {"id": "ss_1", "external_reference": str(uuid4()), "name": "ECO"}
        render.edge.then("subsectors", answering(200, body))
        with pytest.raises(RenderUnavailable, match="another reference"):
            render.tasked()

    def test_an_answer_of_more_than_5_mb_is_not_read(self, render: Render) -> None:
        tasked = render.tasked()
        render.edge.then("list", answering(200, page(task(tasked, name="x" * 5_000_001))))
        error = render.poll_error(tasked)
        assert (error.code, error.can_retry) == ("RENDER_ANSWER_TOO_LARGE", False)

    def test_a_compressed_answer_cannot_unfold_in_memory(self, render: Render) -> None:
        tasked = render.tasked()

        async def bomb(request: web.Request, handler: Handler) -> web.Response:
            zipped = gzip.compress(bytes(10_000_000))
            return web.Response(body=zipped, headers={"Content-Encoding": "gzip"})

        render.edge.then("list", bomb)
        assert render.poll_error(tasked).code == "RENDER_INVALID_ANSWER"


def task(tasked: Tasked, **changes: Any) -> dict[str, Any]:
    known = {"id": "tk_1", "subsector_id": tasked.subsector_id, "name": "N", "state": "allocated"}
    return known | changes


def page(*tasks: dict[str, Any]) -> dict[str, Any]:
    return {"items": list(tasks), "next_cursor": None}


class TestInstances:
    def test_a_company_without_render_is_an_error_that_no_repeat_helps(
        self, render: Render
    ) -> None:
        nobody = uuid4()
        for ask in (
            lambda: render.field_work.create(work_order(osp_id=nobody)),
            lambda: render.field_work.poll(nobody, "ss_1", None),
        ):
            with pytest.raises(RenderUnavailable) as error:
                ask()
            assert error.value.code == "RENDER_NOT_CONFIGURED" and not error.value.can_retry

    def test_a_secret_that_does_not_open_is_said_to_be_the_trouble(self) -> None:
        class Sealed:
            def for_osp(self, osp_id: UUID) -> RenderInstance | None:
                raise SecretError("SECRET_UNREADABLE", "It was sealed with another key.")

        with (
            RenderFieldWork(Sealed()) as field_work,
            pytest.raises(RenderUnavailable, match="another key") as error,
        ):
            field_work.poll(OSP, "ss_1", None)
        assert error.value.code == "RENDER_SECRET_UNREADABLE" and not error.value.can_retry

    def test_a_key_that_cannot_be_asked_passes_and_nobody_is_to_enter_anything(self) -> None:
        class Sealed:
            def for_osp(self, osp_id: UUID) -> RenderInstance | None:
                raise SecretError("KEY_UNAVAILABLE", "AWS KMS does not do its part.")

        with (
            RenderFieldWork(Sealed()) as field_work,
            pytest.raises(RenderUnavailable, match="at the moment. AWS KMS") as error,
        ):
            field_work.poll(OSP, "ss_1", None)
        assert error.value.code == "RENDER_KEY_UNAVAILABLE" and error.value.can_retry
        assert "nter it again" not in error.value.message

    def test_a_projects_name_stays_one_part_of_the_address(self, render: Render) -> None:
        odd = {"project": "North/2 ü?"}
        render.instances.by_osp[OSP] = instance(render.mock.url).model_copy(update=odd)
        assert render.tasked().project == "North/2 ü?"
        assert list(render.mock.mock.render.projects) == ["North/2 ü?"]

    @pytest.mark.parametrize(
        "base_url", ["render.example", "ftp://render.example", "https://u:p@render.example", "//"]
    )
    def test_a_base_url_that_is_none_is_refused_without_the_secret(self, base_url: str) -> None:
        with pytest.raises(ValueError, match="URL") as error:
            instance(base_url)
        assert CLIENT.secret not in str(error.value)

    def test_an_instances_secret_is_not_shown(self, render: Render) -> None:
        assert CLIENT.secret not in repr(render.instances)
        assert instance("https://render.example/x/").base_url == "https://render.example/x"

    def test_a_session_of_one_company_is_not_used_for_another(self, render: Render) -> None:
        async def cookie(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = await handler(request)
            answer.set_cookie("session", "one")
            return answer

        render.edge.then("token", cookie)
        render.tasked()
        render.field_work.create(work_order(osp_id=OTHER_OSP))
        assert not [r for _, r in render.edge.seen if "Cookie" in r.headers]


class Dripping(httpx.SyncByteStream):
    """An answer without end, of which each part comes in time."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b" "


def test_an_answer_that_drips_for_ever_is_given_up() -> None:
    instances = Instances.at("https://render.example")
    transport = httpx.MockTransport(lambda request: httpx.Response(200, stream=Dripping()))
    with (
        RenderFieldWork(
            instances,
            transport=transport,
            patience=lambda: Patience(8, monotonic=map(float, count()).__next__),
        ) as field_work,
        pytest.raises(RenderUnavailable, match="RENDER_TIMED_OUT") as error,
    ):
        field_work.create(work_order())
    assert error.value.can_retry


class TestCircuit:
    def test_a_render_that_hangs_is_soon_left_alone_and_nobody_waits_for_it(
        self, render: Render
    ) -> None:
        tasked = render.tasked()
        render.edge.then("list", *[answering(503)] * 100)
        for _ in range(FAILURES):
            assert render.poll_error(tasked).code == "RENDER_FAILING"
        asked = render.edge.count("list")
        error = render.poll_error(tasked)
        assert isinstance(error, CircuitOpen) and error.code == "RENDER_FAILING"
        assert render.edge.count("list") == asked

    def test_another_company_is_asked_all_the_same(self, render: Render) -> None:
        other = render.field_work.create(work_order(osp_id=OTHER_OSP))
        render.instances.by_osp[OSP] = instance("http://127.0.0.1:9")
        for _ in range(FAILURES + 1):
            with pytest.raises(RenderUnavailable):
                render.tasked()
        assert render.field_work.poll(OTHER_OSP, other.subsector_id, None).snapshot is not None

    def test_it_is_asked_again_by_one_and_then_by_all(self, render: Render) -> None:
        tasked = render.tasked()
        render.edge.then("list", *[answering(503)] * 3 * FAILURES)
        for _ in range(FAILURES):
            render.poll_error(tasked)
        render.clock.advance(15)
        render.snapshot(tasked)
        render.snapshot(tasked)

    def test_what_was_corrected_is_tried_at_once(self, render: Render) -> None:
        tasked, right = render.tasked(), render.instances.by_osp[OSP]
        render.instances.by_osp[OSP] = right.model_copy(update={"client_id": "nobody"})
        for _ in range(FAILURES + 1):
            assert render.poll_error(tasked).code == "RENDER_CREDENTIALS_REFUSED"
        assert render.edge.count("token") == 1 + FAILURES
        render.instances.by_osp[OSP] = right
        render.snapshot(tasked)

    def test_a_long_retry_after_is_obeyed_by_all(self, render: Render) -> None:
        tasked = render.tasked()
        render.edge.then("list", answering(429, headers={"Retry-After": "60"}))
        assert render.poll_error(tasked).retry_after == 60
        render.clock.advance(59)
        assert isinstance(render.poll_error(tasked), CircuitOpen)
        render.clock.advance(1)
        render.snapshot(tasked)


def test_how_it_goes_is_told_to_whoever_watches(render: Render) -> None:
    tasked = render.tasked()
    etag = render.field_work.poll(OSP, tasked.subsector_id, None).etag
    render.field_work.poll(OSP, tasked.subsector_id, etag)
    render.edge.then("list", answering(404))
    render.poll_error(tasked)
    (pulse,) = render.field_work.pulses()
    assert (pulse.polls, pulse.unchanged, pulse.failures) == (2, 1, 1)
    assert pulse.circuit == "CLOSED" and pulse.circuit_until is None
    assert pulse.token_since == render.clock.now() and "does not know" in str(pulse.last_error)
    render.instances.by_osp.clear()
    (pulse,) = render.field_work.pulses()
    assert pulse.polls == 2 and pulse.token_since is None
