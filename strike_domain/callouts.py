"""Commands on ECOs. Each one checks who asks, lets the aggregate decide, and stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import BaseModel, ConfigDict

from strike_domain.access import Action, reaches, require
from strike_domain.actors import Actor, Stamp
from strike_domain.eco import Eco, JobType, Priority, checked_text, is_storable
from strike_domain.errors import NotFound, Rejected
from strike_domain.geometry import Location, parse_location
from strike_domain.log import Receipt, StrikeLog, while_others_are_faster
from strike_domain.new_ids import new_id
from strike_domain.ports import Clock, Directory

MAX_REFERENCE = 200
"""Longest client reference or ticket number, in characters."""


class EcoOrder(BaseModel):
    """What a NOC asks for. `location` is a GeoJSON geometry as it came, not checked yet."""

    model_config = ConfigDict(frozen=True)

    osp_id: UUID
    location: Any
    job_type: str
    description: str
    client_reference: str | None = None
    ticket: str | None = None
    priority: Priority = Priority.NORMAL
    affected_customers: int | None = None


class Callouts:
    """The commands that people give about ECOs; every one returns a `Receipt`.

    All of them raise `Forbidden`, `Rejected`, `InvalidTransition`, `NotFound` or `Conflict`, and
    then have stored nothing.
    """

    def __init__(
        self,
        log: StrikeLog,
        directory: Directory,
        clock: Clock,
        new_id: Callable[[], UUID] = new_id,
    ) -> None:
        self.log = log
        self._directory = directory
        self._clock = clock
        self._new_id = new_id

    def stamp(self, actor: Actor, request_id: UUID | None = None) -> Stamp:
        """The stamp of a command that starts a new chain of events."""
        request_id = request_id or actor.request_id or self._new_id()
        return Stamp(
            at=self._clock.now(),
            actor=actor.name,
            tenant_id=actor.tenant_id,
            correlation_id=request_id,
            causation_id=actor.command_id or request_id,
        )

    def create_eco(self, order: EcoOrder, actor: Actor) -> Receipt[Eco]:
        """Create an ECO, or return the one that the NOC made with the same client reference."""
        require(actor, Action.ECO_CREATE)
        noc_id = _tenant_of(actor)
        accepted = _checked(order)
        reference = accepted["client_reference"]
        if reference is None:
            # Nobody else can know the id: there is no other ECO to look for.
            return self._create(self._new_id(), noc_id, order, accepted, actor)
        eco_id = uuid5(NAMESPACE_URL, f"strike:eco:{noc_id}:{reference}")
        return while_others_are_faster(
            lambda: self._existing(eco_id) or self._create(eco_id, noc_id, order, accepted, actor)
        )

    def check_order(self, order: EcoOrder, actor: Actor) -> UUID:
        """The NOC for which the order could be carried out now. Stores nothing, takes no number.

        Raises what `create_eco` would.
        """
        require(actor, Action.ECO_CREATE)
        noc_id = _tenant_of(actor)
        _checked(order)
        if not reaches(Action.ECO_CREATE, self._directory.link(noc_id, order.osp_id)):
            raise _no_active_link()
        return noc_id

    def _existing(self, eco_id: UUID) -> Receipt[Eco] | None:
        if not self.log.has(eco_id):
            return None
        return Receipt(self.log.eco(eco_id), self.log.position())

    def _create(
        self, eco_id: UUID, noc_id: UUID, order: EcoOrder, accepted: dict[str, Any], actor: Actor
    ) -> Receipt[Eco]:
        stamp = self.stamp(actor)
        opening = self._directory.open_job(noc_id, order.osp_id, stamp.at)
        link, number = opening.link, opening.job_number
        if link is None or number is None or not reaches(Action.ECO_CREATE, link):
            raise _no_active_link()
        eco = Eco.create(
            eco_id,
            stamp,
            noc_id=noc_id,
            osp_id=order.osp_id,
            job_number=number,
            paging_policy=link.paging_policy,
            has_render=opening.has_render,
            **accepted,
        )
        return Receipt(eco, self.log.store(eco))

    def cancel_eco(self, eco_id: UUID, reason: str, actor: Actor) -> Receipt[Eco]:
        """Stop the callout: nobody else is rung, a live call is ended."""
        require(actor, Action.ECO_CANCEL)
        return self._change(eco_id, actor, lambda eco: eco.cancel(reason, self.stamp(actor)))

    def add_note(self, eco_id: UUID, text: str, actor: Actor) -> Receipt[Eco]:
        """Put a remark into the timeline, which both sides see."""
        require(actor, Action.ECO_NOTE)
        return self._change(eco_id, actor, lambda eco: eco.add_note(text, self.stamp(actor)))

    def amend_eco(
        self,
        eco_id: UUID,
        actor: Actor,
        *,
        description: str | None = None,
        location: Any = None,
        priority: Priority | None = None,
    ) -> Receipt[Eco]:
        """Correct description, place or priority; what is None stays as it is."""
        require(actor, Action.ECO_AMEND)
        place = None if location is None else parse_location(location)

        def amend(eco: Eco) -> None:
            eco.amend(self.stamp(actor), description=description, location=place, priority=priority)

        return self._change(eco_id, actor, amend)

    # Field work -----------------------------------------------------------------------------

    def retry_field_tasks(self, eco_id: UUID, actor: Actor) -> Receipt[Eco]:
        """Have the field tasks made after all: they had failed, or Render came to the OSP later."""

        def request(eco: Eco) -> None:
            if eco.is_by_hand and not self._directory.has_render(eco.osp_id):
                message = (
                    "No Render instance is configured for the contractor; its admin can add one."
                )
                raise Rejected("RENDER_NOT_CONFIGURED", message, ("ecoId",))
            eco.request_tasking(self.stamp(actor))

        return self._field_command(eco_id, actor, request)

    def start_work(self, eco_id: UUID, actor: Actor) -> Receipt[Eco]:
        """Say that a crew is at work, where no field tasks can say it."""
        return self._field_command(eco_id, actor, lambda eco: eco.start_by_hand(self.stamp(actor)))

    def complete_eco(self, eco_id: UUID, actor: Actor) -> Receipt[Eco]:
        """Say that the work is done, where no field tasks can; the grace period begins."""

        def complete(eco: Eco) -> None:
            grace = self._directory.field_terms(eco.osp_id).grace
            eco.complete_by_hand(grace, self.stamp(actor))

        return self._field_command(eco_id, actor, complete)

    def reopen_eco(self, eco_id: UUID, actor: Actor) -> Receipt[Eco]:
        """Say within the grace period that the work is not done after all."""
        return self._field_command(eco_id, actor, lambda eco: eco.reopen_by_hand(self.stamp(actor)))

    def _field_command(
        self, eco_id: UUID, actor: Actor, command: Callable[[Eco], None]
    ) -> Receipt[Eco]:
        """Both sides may say it: the crew's company did the work, the NOC sees the light return."""
        require(actor, Action.ECO_FIELD_WORK)
        return self._change(eco_id, actor, command)

    def _change(self, eco_id: UUID, actor: Actor, command: Callable[[Eco], None]) -> Receipt[Eco]:
        def change(eco: Eco) -> None:
            if not is_repeat(self.log, visible(eco, actor), actor):
                command(eco)

        return self.log.change_eco(eco_id, change)


def is_repeat(log: StrikeLog, eco: Eco, actor: Actor) -> bool:
    """Whether the actor's command has been done on this ECO before.

    Whoever stores at the same time makes the command load the ECO, and ask this, anew.
    """
    if actor.command_id is None:
        return False
    return any(
        getattr(event, "causation_id", None) == actor.command_id for event in log.events.get(eco.id)
    )


def visible(eco: Eco, actor: Actor) -> Eco:
    """Return `eco` if the actor's tenant is a side of it; else it does not exist for them."""
    if actor.tenant_id not in (eco.noc_id, eco.osp_id):
        raise NotFound("ECO")
    return eco


def _tenant_of(actor: Actor) -> UUID:
    if actor.tenant_id is None:
        raise NotFound("tenant")
    return actor.tenant_id


def _no_active_link() -> Rejected:
    message = "There is no active link with this contractor; a NOC admin can make one."
    return Rejected("NO_ACTIVE_LINK", message, ("ospId",))


def _checked(order: EcoOrder) -> dict[str, Any]:
    """Every check of section 3 that needs no database."""
    return {
        "location": _checked_location(order.location),
        "job_type": _checked_job_type(order.job_type),
        "description": checked_text(order.description, "description"),
        "client_reference": _checked_reference(order.client_reference, "clientReference"),
        "ticket": _checked_reference(order.ticket, "ticket"),
        "priority": order.priority,
        "affected_customers": _checked_customers(order.affected_customers),
    }


def _checked_location(value: Any) -> Location:
    return value if isinstance(value, Location) else parse_location(value)


def _checked_job_type(value: str) -> JobType:
    try:
        return JobType(value)
    except ValueError:
        known = ", ".join(JobType)
        message = f"{value!r} is not a job type; use one of {known}."
        raise Rejected("UNKNOWN_JOB_TYPE", message, ("jobType",)) from None


def _checked_reference(value: str | None, name: str) -> str | None:
    if value is None:
        return None
    value = value.strip()
    if not value or len(value) > MAX_REFERENCE or not is_storable(value):
        message = f"Use 1 to {MAX_REFERENCE} ordinary characters, or leave it out."
        raise Rejected("REFERENCE_INVALID", message, (name,))
    return value


def _checked_customers(value: int | None) -> int | None:
    if value is not None and value < 0:
        message = "The number of affected customers cannot be negative."
        raise Rejected("AFFECTED_CUSTOMERS_INVALID", message, ("affectedCustomers",))
    return value
