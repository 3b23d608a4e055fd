"""What one of each kind of work takes, each with the measurement that it is from.

The one place for these figures: take them again with the command named, put them in here, and the
table of docs/sizing.md changes with them (its test says so).
"""

from __future__ import annotations

from dataclasses import dataclass

NODES = "tox -e nodes"
POLLING = "tox -e polling"
RINGING = "tox -e ringing"
SUBSCRIPTIONS = "tox -e subscriptions"
BOARD = "tox -e board"
LISTS = "tox -e lists"
COMMANDS = "tox -e commands"
LATENCY = "tox -e latency"
LOAD = "strike load --ecos 3000"
COUNTED = "counted"


@dataclass(frozen=True)
class Figure:
    """`what` it is of; `measured`: the command that measures it, or how else it is known."""

    value: float
    unit: str
    what: str
    measured: str


def _ms(value: float, what: str, measured: str) -> Figure:
    return Figure(value, "ms of CPU", what, measured)


# tox -e nodes -- --seconds 6 --askers 8, with a replica; means of one, two and three nodes behind
# HAProxy, nothing else on the machine.
READ_API = _ms(2.8, "a read over GraphQL, of a page of 50 or one ECO whole: API node", NODES)
READ_BALANCER = _ms(0.13, "the same: balancer", NODES)
READ_PRIMARY = _ms(0.12, "the same: who asks, from the primary", NODES)
READ_REPLICA = _ms(0.41, "the same: the rows, from the replica", NODES)
CREATE_API = _ms(41.0, "a createECO, and the webhooks of its call: API node", NODES)
CREATE_BALANCER = _ms(1.4, "the same: balancer", NODES)
CREATE_PRIMARY = _ms(36.0, "the same, until its run has ended: primary", NODES)
CREATE_REPLICA = _ms(4.3, "the same: replica, which applies it", NODES)
CREATE_FOLLOWERS = _ms(33.0, "the same, until its run has ended: followers", NODES)
CREATE_WORKER = _ms(8.7, "the same, until its run has ended: the worker that rings", NODES)

POLL_WORKER = _ms(2.9, "a poll of field tasks: worker", POLLING)
POLL_PRIMARY = _ms(1.6, "the same: primary (the rest of the machine, the mock included)", POLLING)
RING_WORKER = _ms(5.3, "a person rung in vain, and the next one: worker", RINGING)
RING_PRIMARY = _ms(6.7, "the same: primary (all that was left of two cores: at most)", RINGING)
DELIVERY_API = _ms(0.319, "a change delivered to a subscription: API node", SUBSCRIPTIONS)
LOOK_API = _ms(28.0, "a look of an open board at what has changed: API node", BOARD)
LOOK_PRIMARY = _ms(4.0, "the same: primary, four statements as those of lists", LISTS)

LOOKS = Figure(0.5, "a second", "looks of one board at the most", BOARD)
LOG_BYTES = Figure(9_900, "bytes", "the log of one ECO, indexes included", LOAD)
ROWS_BYTES = Figure(19_300, "bytes", "its rows in all read models, indexes included", LOAD)
EVENTS = Figure(16, "events", "of one ECO, from its creation to its end", LOAD)
EVENTS_OF_RUN = Figure(9, "events", "of these until somebody has accepted", COUNTED)
POLL_SECONDS = Figure(30, "s", "between two polls of one ECO (default)", COUNTED)

# What does not grow by adding machines.
MOST_CREATES = Figure(3_406, "a second", "createECOs of two processes: one order", COMMANDS)
MOST_EVENTS = Figure(
    2_000, "events/s", "followed live in one process, rows seen within 11 to 17 ms", LATENCY
)
CONNECTIONS_API = Figure(37, "connections", "of an API process to the primary, at most", COUNTED)
CONNECTIONS_OTHER = Figure(35, "connections", "of a follower or worker process, at most", COUNTED)

# What we take for granted of a machine, and leave free.
USED = 0.5
"""Share of a core that is planned for; the rest is for a node that is lost, and a bad minute."""

PRIMARY_CORES = 32
"""Of a large ordinary database server."""

PRIMARY_CONNECTIONS = 1_000
"""More are a matter of memory, or of a pooler in session mode."""
