"""Customers without light, by contractor: a read model of your own, of which Strike knows nothing.

A projection takes in the log event by event. What it makes of an event and how far it has come are
one transaction, so it can be stopped at any moment, and made anew from the first event. Run it with
`python examples/11_a_projection_of_your_own.py`.
"""

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.store import store_env
from strike_domain import (
    Actor,
    Callouts,
    EcoOrder,
    Link,
    LinkStatus,
    MemoryDirectory,
    Role,
    Side,
    StrikeLog,
    SystemClock,
)
from strike_domain.events import EcoCancelled, EcoCompleted, EcoCreated, EcoReactivated

# The projection ---------------------------------------------------------------------------------

TABLE = """
CREATE TABLE IF NOT EXISTS dark_customers (
    eco_id uuid PRIMARY KEY, osp_id uuid NOT NULL, customers int NOT NULL, is_dark boolean NOT NULL
)
"""
CUT = "INSERT INTO dark_customers VALUES (%s, %s, %s, true)"
LIGHT = "UPDATE dark_customers SET is_dark = %s WHERE eco_id = %s"
SUMS = "SELECT osp_id, sum(customers) FROM dark_customers WHERE is_dark GROUP BY osp_id"


class DarkCustomers(PostgresTrackingRecorder):
    """The table, and how far it is."""

    def __init__(self, datastore: PostgresDatastore, **names: Any) -> None:
        super().__init__(datastore, **names)
        self.sql_create_statements.append(SQL(TABLE).format())

    def record(self, tracking: Tracking, statement: str, *values: object) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(statement.encode(), values)

    def by_contractor(self) -> dict[UUID, int]:
        with self.datastore.get_connection() as connection:
            return {row["osp_id"]: row["sum"] for row in connection.execute(SUMS.encode())}


class CustomersWithoutLight(Projection[DarkCustomers]):
    name = "customers_without_light"

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Everything else says nothing about light; that it has been seen is kept all the same."""
        self.view.insert_tracking(tracking)

    @process_event.register
    def _(self, event: EcoCreated, tracking: Tracking) -> None:
        customers = event.affected_customers or 0
        self.view.record(tracking, CUT, event.originator_id, event.osp_id, customers)

    @process_event.register(EcoCompleted)
    @process_event.register(EcoCancelled)
    def _(self, event: EcoCompleted | EcoCancelled, tracking: Tracking) -> None:
        self.view.record(tracking, LIGHT, False, event.originator_id)

    @process_event.register
    def _(self, event: EcoReactivated, tracking: Tracking) -> None:
        self.view.record(tracking, LIGHT, True, event.originator_id)


# A night ----------------------------------------------------------------------------------------

noc, splicers, diggers = uuid4(), uuid4(), uuid4()
names = {splicers: "Splice & Sons", diggers: "Dig & Daughters"}
nina = Actor(name="nina", tenant_id=noc, side=Side.NOC, role=Role.OPERATOR)
directory = MemoryDirectory()
for osp in names:
    directory.add(Link(noc_id=noc, osp_id=osp, status=LinkStatus.ACTIVE))


def cut(osp: UUID, customers: int) -> EcoOrder:
    place = {"type": "Point", "coordinates": [-105.27, 40.01]}
    return EcoOrder(
        osp_id=osp,
        location=place,
        job_type="FNOL",
        description="No light.",
        affected_customers=customers,
    )


def show(when: str, found: dict[UUID, int]) -> None:
    told = ", ".join(sorted(f"{names[osp]} {customers}" for osp, customers in found.items()))
    print(f"{when}: {told or 'nobody'}")


def runner(url: str) -> ProjectionRunner[StrikeLog, DarkCustomers]:
    """The library's, with a thread of its own; in production a process of its own."""
    return ProjectionRunner(
        application_class=StrikeLog,
        projection_class=CustomersWithoutLight,
        view_class=DarkCustomers,
        env=store_env(url, creates_tables=True),
    )


with tempfile.TemporaryDirectory() as folder, embedded_postgres(Path(folder)) as server:
    server.ensure_database("example")
    url = server.url("example")
    prepare(url)
    with runner(url) as first:
        callouts = Callouts(first.app, directory, SystemClock())
        eco_id = callouts.create_eco(cut(splicers, 1200), nina).aggregate.id
        newest = callouts.create_eco(cut(splicers, 80), nina)
        first.wait(newest.position)
        show("Two cuts", first.view.by_contractor())

    with StrikeLog(store_env(url)) as log:  # The projection is stopped; Strike goes on.
        callouts = Callouts(log, directory, SystemClock())
        callouts.create_eco(cut(diggers, 300), nina)
        newest = callouts.cancel_eco(eco_id, "It was a loose plug.", nina)
    with runner(url) as again:
        again.wait(newest.position)
        show("It goes on where it stood", again.view.by_contractor())
        with again.view.datastore.transaction(commit=True) as cursor:
            cursor.execute("TRUNCATE dark_customers, customers_without_light_tracking")
    with runner(url) as anew:
        anew.wait(newest.position)
        show("Made anew from the first event", anew.view.by_contractor())
