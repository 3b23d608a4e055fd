"""`strike evidence` and `strike verify`: what happened, for somebody who has to be convinced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.text import Text

from strike_adapters.postgres.overview import all_tenants
from strike_adapters.postgres.store import store_env
from strike_app.admin.desk import at_work, counted, print_json, system_admin, tell
from strike_app.bootstrap import Strike, open_database
from strike_app.evidence import collect, pack, read_bundle
from strike_app.evidence import verify as verify_bytes
from strike_app.settings import Settings
from strike_domain.actors import Side
from strike_domain.errors import Rejected
from strike_domain.evidence_check import Verdict
from strike_domain.log import StrikeLog

ECOS_NAMED = """
SELECT v.eco_id, v.job_number, t.name AS osp FROM eco_views v JOIN tenants t ON t.id = v.osp_id
WHERE v.job_number = %s OR v.eco_id::text = %s ORDER BY v.created_at DESC
"""


def export(wanted: str, file: Path | None, side: str, *, as_json: bool) -> None:
    """Write the bundle of an ECO, and tell the head of its chain."""
    with at_work() as strike:
        bundle = collect(
            strike.log,
            eco_id_of(strike, wanted),
            at=strike.clock.now(),
            by=system_admin().name,
            side=Side(side),
            companies={one.id: one.name for one in all_tenants(strike.pool)},
        )
    target = file or Path(bundle.file_name)
    _write(target, pack(bundle.parts))
    told = {"file": str(target), "eco": str(bundle.eco_id), "job_number": bundle.job_number}
    said = (
        f"{target} holds {counted(bundle.events, 'event')} of {bundle.job_number}. "
        f"The head of the chain, to be kept elsewhere: {bundle.head}"
    )
    tell(said, {**told, "events": bundle.events, "head": bundle.head}, as_json=as_json)


def eco_id_of(strike: Strike, wanted: str) -> UUID:
    """Of its id, or of a job number that only one contractor has. Raises `Rejected`."""
    try:
        return UUID(wanted)
    except ValueError:
        pass
    with strike.pool.connection() as connection:
        found = connection.execute(ECOS_NAMED, (wanted, wanted)).fetchall()
    if len(found) == 1:
        return UUID(str(found[0]["eco_id"]))
    many = "; ".join(f"{one['eco_id']} of {one['osp']}" for one in found)
    message = f"No ECO is called {wanted!r}; give its id, or its job number, as 26-0042."
    if found:
        message = f"Several have that number; give the id: {many}."
    raise Rejected("UNKNOWN_ECO", message, ("eco",))


def _write(file: Path, data: bytes) -> None:
    """Never over another file: that may be evidence, too."""
    try:
        with file.open("xb") as opened:
            opened.write(data)
    except FileExistsError:
        raise Rejected("FILE_EXISTS", f"{file} is there already.", ("file",)) from None
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}."
        raise Rejected("FILE_NOT_WRITTEN", message, ("file",)) from error


def verify(file: Path, *, against: bool, as_json: bool) -> int:
    """Say what a bundle proves; the exit status is 1 if it does not hold."""
    data = read_bundle(file)
    if against:
        with _log() as log:
            verdict = verify_bytes(data, log)
    else:
        verdict = verify_bytes(data)
    if as_json:
        print_json({**vars(verdict), "holds": verdict.holds})
    else:
        _show(verdict, Console())
    return 0 if verdict.holds else 1


@contextmanager
def _log() -> Iterator[StrikeLog]:
    """The log of the database that is set; it is read, and nothing in it prepared."""
    settings = Settings()
    if settings.database_url:
        with StrikeLog(store_env(settings.database_url)) as log:
            yield log
        return
    with open_database(settings) as url, StrikeLog(store_env(url)) as log:
        yield log


def _show(verdict: Verdict, console: Console) -> None:
    mark = Text("holds", "green") if verdict.holds else Text("does not hold", "bold red")
    about = f"{verdict.job_number}, {counted(verdict.events, 'event')}: " if verdict.eco else ""
    console.print(Text.assemble(about, mark), soft_wrap=True)
    for heading, lines, style in (
        ("Wrong", verdict.problems, "bold red"),
        ("Proven", verdict.proven, "green"),
        ("Not proven", verdict.not_proven, "yellow"),
    ):
        if lines:
            console.print(Text(f"{heading}:", style))
        for line in lines:
            console.print(Text(f"  {line}"), soft_wrap=True)
    if verdict.head:
        console.print(Text(f"Head of the chain: {verdict.head}"), soft_wrap=True)
