"""docs/backup.md is done word for word, from a dump and a key to a Strike that goes on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from psycopg.conninfo import conninfo_to_dict

from strike_adapters.embedded import EmbeddedServer, embedded_postgres
from strike_adapters.embedded.programs import program
from strike_adapters.postgres.archive.closed import Archiving
from strike_app.bootstrap import Strike, open_strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_domain import Actor, EcoOrder, Role, Side
from tests.integration.stored import eventually, is_caught_up, rows

PAGE = (Path(__file__).parents[2] / "docs" / "backup.md").read_text("utf-8")
TAKE, *RESTORE = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)

OPERATOR = Actor(name="nina", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)
ORDER = EcoOrder(
    osp_id=CONTRACTORS[0].id,
    location={"type": "Point", "coordinates": [-105.27, 40.01]},
    job_type="FNOL",
    description="Cut",
)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[EmbeddedServer]:
    with embedded_postgres(tmp_path / "elsewhere") as server:
        yield server


def environment(home: Path, **more: str) -> dict[str, str]:
    """Of a machine on which nothing of Strike is set."""
    folders = (Path(sys.executable).parent, program("psql").parent, "/usr/bin", "/bin")
    known = {"PATH": ":".join(map(str, folders)), "HOME": str(home)}
    if "PYTHONPATH" in os.environ:
        known["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return {**known, **more}


def run(script: str, folder: Path, env: dict[str, str]) -> str:
    """What it prints. Whatever goes on in the background is ended with it."""
    command = ["bash", "-euo", "pipefail", "-c", script]
    out = folder / "printed.txt"
    with out.open("w") as printed:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=env,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(100)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert status == 0, out.read_text()
    return out.read_text()


def being_rung(strike: Strike) -> UUID:
    """An ECO for which somebody is being rung, as far as anybody knows."""
    eco_id = strike.callouts().create_eco(ORDER, OPERATOR).aggregate.id
    query = "SELECT 1 FROM pager_process_state WHERE eco_id = %s AND state = 'RUNNING'"
    eventually(lambda: rows(strike.url, query, eco_id))
    eventually(lambda: is_caught_up(strike.url))
    return eco_id


def archived(strike: Strike) -> UUID:
    """An ECO that is over, and whose events lie in the archive."""
    eco_id = strike.callouts().create_eco(ORDER, OPERATOR).aggregate.id
    strike.callouts().cancel_eco(eco_id, "It was nothing.", OPERATOR)
    eventually(lambda: is_caught_up(strike.url))
    now = strike.clock.now() + timedelta(hours=1)
    assert Archiving(strike.log, strike.pool).run(now, now, None, lambda _: None).callouts == 1
    return eco_id


def test_strike_goes_on_elsewhere_from_a_dump_and_a_key(
    strike: Strike, followers: None, empty: EmbeddedServer, tmp_path: Path
) -> None:
    over, eco_id = archived(strike), being_rung(strike)
    folder, home = tmp_path / "restored", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    key = strike.settings.secrets_key_file
    assert key is not None
    here = environment(
        home, STRIKE_DATABASE_URL=strike.url, STRIKE_SECRETS_KEY_FILE=str(key.resolve())
    )
    run(f"strike evidence export {over} over.zip\n{TAKE}", folder, here)
    behind = strike.callouts().create_eco(ORDER, OPERATOR).aggregate.id
    shutil.copyfile(key, folder / "secrets.key")

    host = str(conninfo_to_dict(empty.url())["host"])
    there = environment(home, PGHOST=host, PGUSER="postgres")
    runbook, look = "\n".join(RESTORE), "strike verify over.zip --against\nstrike archive status"
    printed, _, told = run(f"{runbook}\necho LOOK\n{look}", folder, there).partition("LOOK")

    assert re.search(r"^ *20\d\d-\d\d +1 ", told, re.MULTILINE), "One callout is archived."
    assert str(eco_id) in printed.rpartition("eco_id")[2], "Whoever is rung has to be looked at."
    url = f"postgresql://postgres@/strike?host={host}"
    settings = strike.settings.model_copy(
        update={"database_url": url, "secrets_key_file": folder / "secrets.key"}
    )
    with open_strike(settings) as restored:
        for known in (eco_id, over):
            assert restored.log.eco(known) == strike.log.eco(known)
        assert not restored.log.has(behind), "What happened after the backup is lost."
        assert restored.accounts.for_noc(NOC_ID) == strike.accounts.for_noc(NOC_ID)
    assert is_caught_up(url)


def test_without_its_key_the_runbook_stops_and_says_so(
    strike: Strike, empty: EmbeddedServer, tmp_path: Path
) -> None:
    folder, home = tmp_path / "restored", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    run(TAKE, folder, environment(home, STRIKE_DATABASE_URL=strike.url))
    (folder / "secrets.key").write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    host = str(conninfo_to_dict(empty.url())["host"])
    with pytest.raises(AssertionError, match="not known"):
        run("\n".join(RESTORE[:3]), folder, environment(home, PGHOST=host, PGUSER="postgres"))


def test_every_step_is_there() -> None:
    words = ["createdb", "pg_restore", "strike prepare", "strike secrets status", "strike follow"]
    assert all(any(word in block for block in RESTORE) for word in words)
    assert "pg_dump" in TAKE
