"""Any process of Strike, and the database, die again and again while commands are given.

Everything acknowledged is in the log once, every view equals a fresh rebuild, nobody is rung twice.
The long form, `tox -e outages`, kills 100 times and restarts the database 20 times:
`STRIKE_OUTAGE_KILLS=100 STRIKE_OUTAGE_RESTARTS=20 pytest tests/faults -k outages`.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest
from rich.console import Console

from strike_adapters.postgres.followers import VIEWS
from tests.faults.outage_clients import Clients
from tests.faults.outage_ending import Ending, ending_of
from tests.faults.outage_faults import Fault, afflict, figures, schedule
from tests.faults.outage_world import World, outage_world

KILLS = int(os.environ.get("STRIKE_OUTAGE_KILLS", "4"))
RESTARTS = int(os.environ.get("STRIKE_OUTAGE_RESTARTS", "2"))
SEED = int(os.environ.get("STRIKE_OUTAGE_SEED", "7"))


@pytest.mark.slow
@pytest.mark.timeout(900 + 30 * (KILLS + RESTARTS))
def test_outages_under_load_lose_nothing_and_repeat_nothing(
    request: pytest.FixtureRequest,
) -> None:
    faults: list[Fault] = []
    with outage_world() as world:
        end = ending_of(world, lambda: faults.extend(_faults(world)))
        _print(request, faults, end)
        assert not end.problems, "\n".join(end.problems[:20])
        assert len(faults) == KILLS + RESTARTS
        assert {one.why for one in end.notes if one.by.startswith("server") and one.why}


def _faults(world: World) -> list[Fault]:
    notes = world.folder / "clients.notes"
    with Clients(world.servers, world.token, notes, SEED):
        faults = list(afflict(world, SEED, schedule(SEED, KILLS, RESTARTS)))
        world.wait_ready()
    world.stop("writer")
    return faults


def _print(request: pytest.FixtureRequest, faults: list[Fault], end: Ending) -> None:
    console = Console(file=request.config.get_terminal_writer()._file, width=100)
    console.print("", figures(faults, end.notes))
    done = [one for one in end.notes if one.what == "acknowledged"]
    seconds = max(one.at for one in done) - min(one.at for one in done)
    over_http = sum(one.by.startswith("server") for one in done)
    console.print(
        f"{len(done):,} commands acknowledged in {seconds:.0f} s, {over_http:,} of them over "
        f"GraphQL; {len(end.placed):,} calls; {len(VIEWS)} views."
    )
    for what in ("failed", "refused"):
        console.print(what, dict(Counter(one.why for one in end.notes if one.what == what)))
