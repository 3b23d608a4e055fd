"""The port `Drafts`, by both steps to a callout: in memory and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.drafts import PostgresDrafts
from strike_adapters.postgres.people import save_tenant
from strike_adapters.postgres.prepare import prepare
from strike_domain import (
    Actor,
    Callouts,
    Drafting,
    Drafts,
    EcoOrder,
    Link,
    LinkStatus,
    ManualClock,
    MemoryDirectory,
    MemoryDrafts,
    Role,
    Side,
    StrikeError,
    StrikeLog,
    Tenant,
    memory_env,
)

CALLER = UUID(int=7)


class Desk:
    """A NOC with a contractor, its drafts, and as many servers as are asked for."""

    def __init__(self, open_drafts: Callable[[], Drafts], add: Callable[[Tenant], None]) -> None:
        self.open_drafts = open_drafts
        self.clock = ManualClock()
        self.log = StrikeLog(memory_env())
        self.directory = MemoryDirectory()
        self.osp = Tenant(id=uuid4(), name="OSP", side=Side.OSP)
        self.nina, self.other = self.noc(add), self.noc(add)

    def noc(self, add: Callable[[Tenant], None]) -> Actor:
        tenant = Tenant(id=uuid4(), name="NOC", side=Side.NOC)
        add(tenant)
        link = Link(noc_id=tenant.id, osp_id=self.osp.id, status=LinkStatus.ACTIVE)
        self.directory.links[tenant.id, self.osp.id] = link
        return Actor(name="token:desk", tenant_id=tenant.id, side=Side.NOC, role=Role.OPERATOR)

    def server(self) -> Drafting:
        callouts = Callouts(self.log, self.directory, self.clock)
        return Drafting(self.open_drafts(), callouts, self.clock)

    def order(self, **changes: object) -> EcoOrder:
        given = {
            "osp_id": self.osp.id,
            "location": {"type": "Point", "coordinates": [-105.27, 40.01]},
            "job_type": "FNOL",
            "description": "No light.",
            "affected_customers": 40,
        }
        return EcoOrder.model_validate(given | changes)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_postgres(tmp_path_factory.mktemp("drafts")) as server:
        prepare(server.url())
        yield server.url()


@pytest.fixture(params=["memory", "PostgreSQL"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    if request.param == "memory":
        # What all servers share, as they share a database.
        shared = MemoryDrafts()
        yield Desk(lambda: shared, lambda tenant: None)
        return
    url = request.getfixturevalue("url")
    with ExitStack() as pools:
        pool = pools.enter_context(open_pool(url))
        yield Desk(
            lambda: PostgresDrafts(pools.enter_context(open_pool(url))),
            lambda tenant: save_tenant(pool, tenant),
        )


def refused(command: Callable[[], object]) -> str:
    with pytest.raises(StrikeError) as caught:
        command()
    return caught.value.code


def test_a_draft_becomes_the_callout_that_was_drafted_on_whichever_server(desk: Desk) -> None:
    drafted = desk.server().draft(desk.order(ticket="T-1"), CALLER, desk.nina)
    assert drafted.expires_at == desk.clock.now() + timedelta(minutes=10)
    assert not [*desk.log.recorder.select_notifications(1, 10)], "Nobody has been called out."
    code = f" {drafted.confirmation.lower()} "
    eco = desk.server().confirm(code, CALLER, desk.nina).aggregate
    assert (eco.description, eco.ticket, eco.affected_customers) == ("No light.", "T-1", 40)
    assert eco.noc_id == desk.nina.tenant_id


def test_however_often_and_wherever_it_is_confirmed_there_is_one_callout(desk: Desk) -> None:
    code = desk.server().draft(desk.order(), CALLER, desk.nina).confirmation
    servers = [desk.server() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda one: one.confirm(code, CALLER, desk.nina).aggregate.id, servers * 3)
        assert len(set(found)) == 1
    assert len([*desk.log.recorder.select_notifications(1, 100)]) == 1


def test_a_reference_of_the_callers_own_is_kept(desk: Desk) -> None:
    order = desk.order(client_reference="INC-1")
    code = desk.server().draft(order, CALLER, desk.nina).confirmation
    made = Callouts(desk.log, desk.directory, desk.clock).create_eco(order, desk.nina)
    assert desk.server().confirm(code, CALLER, desk.nina).aggregate.id == made.aggregate.id


def test_nobody_else_confirms_it(desk: Desk) -> None:
    code = desk.server().draft(desk.order(), CALLER, desk.nina).confirmation
    server = desk.server()
    assert refused(lambda: server.confirm(code, UUID(int=8), desk.nina)) == "DRAFT_UNKNOWN"
    assert refused(lambda: server.confirm(code, CALLER, desk.other)) == "DRAFT_UNKNOWN"
    assert refused(lambda: server.confirm("AAAAAAAA", CALLER, desk.nina)) == "DRAFT_UNKNOWN"
    for odd in ("", "a\0b", "\0" * len(code), f"{code}A", "ÄÖÜß" * 2):
        assert refused(partial(server.confirm, odd, CALLER, desk.nina)) == "DRAFT_UNKNOWN"
    viewer = desk.nina.model_copy(update={"role": Role.VIEWER})
    assert refused(lambda: server.confirm(code, CALLER, viewer)) == "ROLE_MISSING"
    assert server.confirm(code, CALLER, desk.nina).position


def test_it_is_good_for_ten_minutes(desk: Desk) -> None:
    server = desk.server()
    code = server.draft(desk.order(), CALLER, desk.nina).confirmation
    desk.clock.advance(599)
    late = server.draft(desk.order(), CALLER, desk.nina).confirmation
    assert server.confirm(code, CALLER, desk.nina).position
    desk.clock.advance(1)
    assert refused(lambda: server.confirm(code, CALLER, desk.nina)) == "DRAFT_UNKNOWN"
    server.draft(desk.order(), CALLER, desk.nina)
    assert server.confirm(late, CALLER, desk.nina).position, "Only what has expired is thrown away."


def test_what_could_not_be_called_out_is_refused_at_once(desk: Desk) -> None:
    server = desk.server()
    for changes, code in (
        ({"description": " "}, "DESCRIPTION_EMPTY"),
        ({"job_type": "X"}, "UNKNOWN_JOB_TYPE"),
        ({"osp_id": uuid4()}, "NO_ACTIVE_LINK"),
    ):
        order = desk.order(**changes)
        assert refused(partial(server.draft, order, CALLER, desk.nina)) == code
    viewer = desk.nina.model_copy(update={"role": Role.VIEWER})
    assert refused(lambda: server.draft(desk.order(), CALLER, viewer)) == "ROLE_MISSING"


def test_a_link_that_was_suspended_meanwhile_refuses_the_callout(desk: Desk) -> None:
    server = desk.server()
    code = server.draft(desk.order(), CALLER, desk.nina).confirmation
    desk.directory.links.clear()
    assert refused(lambda: server.confirm(code, CALLER, desk.nina)) == "NO_ACTIVE_LINK"
