"""Creating and commanding ECOs: who may, what is rejected, and what a retry does (section 3)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from strike_domain import (
    Actor,
    EcoOrder,
    EcoStatus,
    Forbidden,
    InvalidTransition,
    Link,
    LinkStatus,
    NotFound,
    PagingPolicy,
    Priority,
    Rejected,
    RenderState,
    Role,
)
from strike_domain.access import Action, require
from tests.unit.given import ANA, BOULDER, DISPATCHER, NOC, OPERATOR, OSP, Night

VIEWER = OPERATOR.model_copy(update={"role": Role.VIEWER})
STRANGER = OPERATOR.model_copy(update={"tenant_id": UUID(int=0xBAD)})


def order(**changed: Any) -> EcoOrder:
    asked: dict[str, Any] = {
        "osp_id": OSP,
        "location": BOULDER,
        "job_type": "FNOL",
        "description": "A digger went through the cable.",
    }
    return EcoOrder(**asked | changed)


def test_what_was_ordered_is_what_is_stored() -> None:
    night = Night(ANA)
    asked = order(
        description=" Two cables. ",
        ticket=" T-1 ",
        priority=Priority.CRITICAL,
        affected_customers=7,
        client_reference="r1",
    )
    receipt = night.strike.callouts.create_eco(asked, OPERATOR)
    eco = night.strike.log.eco(receipt.aggregate.id)
    assert (eco.noc_id, eco.osp_id, eco.status) == (NOC, OSP, EcoStatus.OPEN)
    assert (eco.description, eco.ticket, eco.priority) == ("Two cables.", "T-1", Priority.CRITICAL)
    assert (eco.affected_customers, eco.client_reference) == (7, "r1")
    assert eco.job_number == "26-0001"
    assert receipt.position == 1


def test_every_event_carries_who_did_it_for_whom_and_why() -> None:
    night = Night(ANA)
    night.order()
    [(_, created)] = night.strike.events()
    assert (created.actor, created.tenant_id) == (OPERATOR.name, NOC)  # type: ignore[attr-defined]
    assert created.correlation_id == created.causation_id  # type: ignore[attr-defined]
    assert created.timestamp == night.clock.now()  # type: ignore[attr-defined]


def test_job_numbers_are_short_rising_and_the_contractors_own() -> None:
    night = Night(ANA)
    other = uuid4()
    night.strike.directory.add(Link(noc_id=NOC, osp_id=other, status=LinkStatus.ACTIVE))
    numbers = [
        night.strike.callouts.create_eco(order(osp_id=osp), OPERATOR).aggregate.job_number
        for osp in (OSP, OSP, other)
    ]
    assert numbers == ["26-0001", "26-0002", "26-0001"]


def test_the_same_reference_from_the_same_noc_returns_the_same_eco() -> None:
    night = Night(ANA)
    create = night.strike.callouts.create_eco
    first = create(order(client_reference="r1"), OPERATOR)
    again = create(order(client_reference=" r1 ", description="Something else."), OPERATOR)
    assert again.aggregate == first.aggregate
    assert night.strike.log.position() == 1
    assert night.strike.directory.next_job_number(OSP, night.clock.now()) == "26-0002"


def test_the_same_reference_from_another_noc_is_another_eco() -> None:
    night = Night(ANA)
    other = STRANGER
    assert other.tenant_id
    night.strike.directory.add(Link(noc_id=other.tenant_id, osp_id=OSP, status=LinkStatus.ACTIVE))
    create = night.strike.callouts.create_eco
    ids = {create(order(client_reference="r1"), who).aggregate.id for who in (OPERATOR, other)}
    assert len(ids) == 2


def test_two_creations_with_one_reference_at_once_make_one_eco() -> None:
    night = Night(ANA)
    create = night.strike.callouts.create_eco
    directory = night.strike.directory
    next_number = directory.next_job_number

    def beaten(osp_id: UUID, at: datetime) -> str:
        directory.next_job_number = next_number  # type: ignore[method-assign]
        create(order(client_reference="r1"), OPERATOR)
        return next_number(osp_id, at)

    directory.next_job_number = beaten  # type: ignore[method-assign]
    create(order(client_reference="r1"), OPERATOR)
    assert night.strike.log.position() == 1


@pytest.mark.parametrize("status", [LinkStatus.PENDING, LinkStatus.SUSPENDED, None])
def test_without_an_active_link_nothing_is_created(status: LinkStatus | None) -> None:
    night = Night(ANA)
    night.strike.directory.links.clear()
    if status:
        night.strike.directory.add(Link(noc_id=NOC, osp_id=OSP, status=status))
    with pytest.raises(Rejected) as refused:
        night.order()
    assert (refused.value.code, refused.value.path) == ("NO_ACTIVE_LINK", ("ospId",))
    assert night.strike.log.position() == 0


def test_suspending_the_link_does_not_hide_an_eco_that_is_there() -> None:
    night = Night(ANA)
    create = night.strike.callouts.create_eco
    first = create(order(client_reference="r1"), OPERATOR)
    night.strike.directory.add(Link(noc_id=NOC, osp_id=OSP, status=LinkStatus.SUSPENDED))
    assert create(order(client_reference="r1"), OPERATOR).aggregate.id == first.aggregate.id
    night.strike.callouts.cancel_eco(first.aggregate.id, "Over.", OPERATOR)


@pytest.mark.parametrize(
    ("changed", "code", "path"),
    [
        ({"job_type": "XYZ"}, "UNKNOWN_JOB_TYPE", ("jobType",)),
        ({"description": "  "}, "DESCRIPTION_EMPTY", ("description",)),
        ({"description": "x" * 4_001}, "DESCRIPTION_TOO_LONG", ("description",)),
        ({"description": "\x00x"}, "DESCRIPTION_INVALID", ("description",)),
        ({"description": "\udfff"}, "DESCRIPTION_INVALID", ("description",)),
        ({"client_reference": " "}, "REFERENCE_INVALID", ("clientReference",)),
        ({"client_reference": "x" * 201}, "REFERENCE_INVALID", ("clientReference",)),
        ({"client_reference": "\udfff"}, "REFERENCE_INVALID", ("clientReference",)),
        ({"ticket": "a\x00"}, "REFERENCE_INVALID", ("ticket",)),
        ({"affected_customers": -1}, "AFFECTED_CUSTOMERS_INVALID", ("affectedCustomers",)),
    ],
)
def test_bad_input_is_rejected_with_code_and_path_and_nothing_is_stored(
    changed: dict[str, Any], code: str, path: tuple[str, ...]
) -> None:
    night = Night(ANA)
    with pytest.raises(Rejected) as refused:
        night.strike.callouts.create_eco(order(**changed), OPERATOR)
    assert (refused.value.code, refused.value.path) == (code, path)
    assert night.strike.log.position() == 0
    assert night.strike.directory.next_job_number(OSP, night.clock.now()) == "26-0001"


@pytest.mark.parametrize(
    "location",
    [
        None,
        {"type": "Polygon", "coordinates": []},
        {"type": "Point", "coordinates": [400, 95]},
        {"type": "Point", "coordinates": [float("nan"), 0]},
        {"type": "LineString", "coordinates": [[1, 1], [1, 1]]},
    ],
)
def test_a_wrong_place_is_rejected_and_nothing_is_stored(location: Any) -> None:
    night = Night(ANA)
    with pytest.raises(Rejected) as refused:
        night.strike.callouts.create_eco(order(location=location), OPERATOR)
    assert refused.value.code
    assert night.strike.log.position() == 0


@pytest.mark.parametrize("who", [VIEWER, DISPATCHER, Actor.system("pager")], ids=lambda a: a.name)
def test_only_an_operator_of_a_noc_creates_and_cancels(who: Actor) -> None:
    night = Night(ANA)
    night.order()
    with pytest.raises(Forbidden):
        night.strike.callouts.create_eco(order(), who)
    with pytest.raises(Forbidden):
        night.strike.callouts.cancel_eco(night.eco_id, "Over.", who)
    with pytest.raises(Forbidden):
        night.strike.callouts.amend_eco(night.eco_id, who, description="x")
    assert night.strike.log.position() == 1


def test_an_eco_of_others_looks_like_one_that_is_not_there() -> None:
    night = Night(ANA)
    night.order()
    messages = set()
    for eco_id, who in ((night.eco_id, STRANGER), (uuid4(), OPERATOR)):
        commands: tuple[Callable[[UUID, Actor], object], ...] = (
            lambda i, w: night.strike.callouts.cancel_eco(i, "Over.", w),
            lambda i, w: night.strike.callouts.add_note(i, "Hm.", w),
            lambda i, w: night.strike.callouts.amend_eco(i, w, description="x"),
            lambda i, w: night.strike.paging.dispatch(i, w),
        )
        for command in commands:
            with pytest.raises(NotFound) as missing:
                command(eco_id, who)
            messages.add(str(missing.value))
    assert len(messages) == 1


def test_both_sides_may_add_notes_in_every_status() -> None:
    night = Night(ANA).create()
    night.cancel()
    for who in (OPERATOR, DISPATCHER):
        night.strike.callouts.add_note(night.eco_id, "Thank you all.", who)
    assert night.happened()[-2:] == ["NoteAdded", "NoteAdded"]


def test_cancelling_twice_is_refused() -> None:
    night = Night(ANA).create().cancel()
    with pytest.raises(InvalidTransition):
        night.cancel()


def test_an_amendment_checks_its_place_and_stores_what_changed() -> None:
    night = Night(ANA)
    night.order()
    amend = night.strike.callouts.amend_eco
    with pytest.raises(Rejected):
        amend(night.eco_id, OPERATOR, location={"type": "Point", "coordinates": [400, 95]})
    amend(night.eco_id, OPERATOR, location={"type": "Point", "coordinates": [-104.99, 39.74]})
    assert night.eco.location.positions == ((-104.99, 39.74),)
    assert night.eco.description == "A digger went through the cable."


def test_the_contractor_s_render_decides_whether_field_tasks_are_made() -> None:
    night = Night(ANA)
    night.order()
    night.eco_is(render_state=RenderState.NOT_CONFIGURED)
    night.strike.directory.render_osps.add(OSP)
    night.order()
    night.eco_is(render_state=RenderState.PENDING)


def test_the_policy_of_the_link_is_kept_with_the_eco() -> None:
    night = Night(ANA, policy=PagingPolicy.MANUAL)
    night.order()
    assert night.eco.paging_policy is PagingPolicy.MANUAL


def test_a_role_covers_what_is_below_it() -> None:
    assert Role.ADMIN.covers(Role.VIEWER) and not Role.VIEWER.covers(Role.OPERATOR)
    with pytest.raises(Forbidden, match="WRONG_SIDE"):
        require(OPERATOR, Action.LISTS_SEE)
