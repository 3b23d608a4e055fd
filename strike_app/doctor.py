"""`strike doctor`: what is configured, reachable, and wrong, with the cure; a line each."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from uuid import UUID

import httpx
import psycopg
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strike_adapters.embedded import EmbeddedPostgresError
from strike_adapters.postgres.archive.runs import LastRun
from strike_adapters.postgres.archive.tables import NEWEST_POSITION
from strike_adapters.postgres.follower_states import FollowerStatus
from strike_adapters.postgres.vault import Closed, closed, sealed
from strike_adapters.secrets import SecretError
from strike_app.admin.desk import counted
from strike_app.archive_watch import ArchiveStatus, archive_status
from strike_app.bootstrap import Strike, open_strike
from strike_app.followers import followers_of
from strike_app.mistakes import sentence
from strike_app.safety import Danger, is_local, unsafe, unsafe_database
from strike_app.settings import Settings

REACH_SECONDS = 3.0

ENTER_AGAIN = "Enter it again; all the others are not concerned."

CURES = {
    "KEY_MISSING": "Put the file back where it was, from its backup, or name where it is now.",
    "KEY_UNKNOWN": "Give that key to this process: strike secrets status shows which it has.",
    "KEY_UNREADABLE": "Let the user of this process read the file, and nobody else.",
    "KEY_EXPOSED": "Run chmod 600 on it. If others may have read it, rotate to a new key.",
    "KEY_INVALID": "Put the file back from its backup; check STRIKE_SECRETS_KMS_KEY (an ARN).",
    "KEY_UNAVAILABLE": "Check network, AWS credentials and the key's policy. Enter nothing again.",
    "SECRET_UNREADABLE": ENTER_AGAIN,
}
"""What to do about a key or a secret, by the code of its error."""

MOST_AUDIT_AGE = 60.0
"""Seconds after which an audit is old."""

MOST_ARCHIVE_AGE = 30 * 86_400.0
"""Seconds without an archive run after which somebody who has used it is reminded."""

RUN_AGAIN = "Run `strike archive run` again: it goes on from there, and nothing is half moved."


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """One line. `cure` is empty where nothing is wrong."""

    what: str
    verdict: Verdict
    said: str
    cure: str = ""


def examine() -> list[Finding]:
    """Look at everything that can be looked at; never raises."""
    try:
        settings = Settings()
    except ValidationError as error:
        cure = "Correct or unset the variable."
        return [Finding("settings", Verdict.WRONG, sentence(error), cure)]
    found = [*_configured(settings)]
    try:
        with open_strike(settings) as strike:
            found += _opened(strike)
    except SecretError as error:
        found.append(_key_trouble(error))
    except (psycopg.Error, EmbeddedPostgresError) as error:
        cure = "Check STRIKE_DATABASE_URL, or unset it to use the embedded PostgreSQL."
        found.append(Finding("database", Verdict.WRONG, sentence(error), cure))
    return found


def _configured(settings: Settings) -> Iterator[Finding]:
    yield _public_url(settings)
    yield _identity(settings)
    if settings.clock_speed != 1.0:
        said = f"Time runs {settings.clock_speed:g} times too fast."
        cure = "Unset STRIKE_CLOCK_SPEED: it is for demos."
        yield Finding("clock", Verdict.WARNING, said, cure)
    else:
        yield Finding("clock", Verdict.OK, "The computer's own time.")
    yield from _dangers(settings, unsafe(settings))


def _dangers(settings: Settings, found: Iterator[Danger]) -> Iterator[Finding]:
    """What keeps a process from starting in production, and elsewhere should be known."""
    is_refused = settings.environment == "production"
    for one in found:
        if one.code in settings.risks:
            yield Finding(f"safety {one.code}", Verdict.OK, f"{one.said} Accepted.")
        else:
            verdict = Verdict.WRONG if is_refused else Verdict.WARNING
            yield Finding(f"safety {one.code}", verdict, one.said, one.cure)


def _public_url(settings: Settings) -> Finding:
    """Without an address that Twilio can reach, people are rung and hear an error."""
    what = "public callback URL"
    cure = "Set STRIKE_PUBLIC_URL to the https address at which Twilio reaches this server."
    if settings.public_url is None:
        return Finding(what, Verdict.WRONG, "STRIKE_PUBLIC_URL is not set.", cure)
    url = str(settings.public_url)
    if settings.twilio_base_url is None and (is_local(url) or not url.startswith("https://")):
        return Finding(what, Verdict.WRONG, f"Twilio cannot, or must not, call {url}.", cure)
    return _reaches(what, f"{url.rstrip('/')}/healthz", "Is `strike serve` running behind it?")


def _reaches(what: str, url: str, cure: str) -> Finding:
    try:
        response = httpx.get(url, timeout=REACH_SECONDS)
    except httpx.HTTPError as error:
        return Finding(what, Verdict.WRONG, f"{url} cannot be reached: {error}", cure)
    if response.status_code >= 400:
        said = f"{url} answers {response.status_code}."
        return Finding(what, Verdict.WRONG, said, cure)
    return Finding(what, Verdict.OK, f"{url} answers.")


def _identity(settings: Settings) -> Finding:
    what, team = "identity", settings.cloudflare_team
    if not settings.has_login:
        cure = (
            "Set STRIKE_OIDC_SIGNER to the ARN of your load balancer, or STRIKE_CLOUDFLARE_TEAM "
            "and STRIKE_CLOUDFLARE_AUDIENCE."
        )
        return Finding(what, Verdict.WRONG, "Nobody can log in: no signer is trusted.", cure)
    if settings.oidc_signer and not (settings.oidc_issuer and settings.oidc_client):
        cure = "Set STRIKE_OIDC_ISSUER and STRIKE_OIDC_CLIENT."
        said = "Any issuer and client behind the load balancer is accepted."
        return Finding(what, Verdict.WARNING, said, cure)
    signers = " and ".join(one for one in (settings.oidc_signer, team) if one)
    said = f"Signed by {signers}, from {settings.trusted_proxies}."
    return Finding(what, Verdict.OK, said)


def _opened(strike: Strike) -> Iterator[Finding]:
    with strike.pool.connection() as connection:
        version = connection.info.server_version // 10_000
        kind = "configured" if strike.settings.database_url else "embedded"
        yield Finding("database", Verdict.OK, f"PostgreSQL {version}, {kind}.")
    yield from _dangers(strike.settings, unsafe_database(strike.pool))
    yield from examine_replica(strike)
    yield from _followers(strike)
    yield from _overdue(strike)
    yield from _audit(strike)
    yield from examine_archive(strike)
    yield from _accounts(strike)
    yield from _secrets(strike)
    yield _twilio(strike.settings)


def examine_replica(strike: Strike) -> Iterator[Finding]:
    """Whether the replica, if one is set, is one, and how far it has got."""
    url, what = strike.settings.read_database_url, "replica"
    if not url:
        return
    cure = "Until then the database answers. Check STRIKE_READ_DATABASE_URL and the replica."
    try:
        with psycopg.connect(url, connect_timeout=int(REACH_SECONDS), autocommit=True) as replica:
            is_standby, there = replica.execute(REPLICA).fetchone() or (False, 0)
    except psycopg.Error as error:
        yield Finding(what, Verdict.WARNING, sentence(error), cure)
        return
    with strike.pool.connection() as connection:
        here = (connection.execute(NEWEST).fetchone() or {"newest": 0})["newest"]
    if not is_standby:
        said = "STRIKE_READ_DATABASE_URL is no streaming standby: it is not asked."
        yield Finding(what, Verdict.WRONG, said, "Name a hot standby of the database, or unset it.")
    elif there > here:
        said = f"It has {there - here} events more than the database: it is of another one."
        yield Finding(what, Verdict.WRONG, said, "Name a hot standby of the database, or unset it.")
    else:
        yield Finding(what, Verdict.OK, f"A standby, {here - there} events behind.")


NEWEST = f"SELECT {NEWEST_POSITION} AS newest"
REPLICA = f"SELECT pg_is_in_recovery(), ({NEWEST})"


def _followers(strike: Strike) -> Iterator[Finding]:
    for one in followers_of(strike):
        yield _follower(one)


def _follower(one: FollowerStatus) -> Finding:
    what = f"follower {one.name}"
    if one.failure:
        where = f" on {one.failure.topic}, position {one.failure.position}" * bool(
            one.failure.position
        )
        said = f"Fails{where}: {one.failure.error}"
        return Finding(what, Verdict.WRONG, said, "See `strike followers`.")
    if one.lag_events > 0:
        cure = "It is catching up." if one.process else "Run `strike follow`."
        return Finding(what, Verdict.WARNING, f"{one.lag_events} events behind.", cure)
    return Finding(what, Verdict.OK, "Up to date.")


def _overdue(strike: Strike) -> Iterator[Finding]:
    """A run whose deadline passed and that nobody works on is a page about to be lost."""
    with strike.pool.connection() as connection:
        row = connection.execute(
            "SELECT count(*) AS runs FROM pager_process_state WHERE deadline < %s "
            "AND (claimed_until IS NULL OR claimed_until < clock_timestamp())",
            (strike.clock.now(),),
        ).fetchone()
    overdue = row["runs"] if row else 0
    if overdue:
        said = f"{overdue} runs wait for a worker."
        yield Finding("workers", Verdict.WRONG, said, "Run `strike work`.")
    else:
        yield Finding("workers", Verdict.OK, "No run is overdue.")


def _audit(strike: Strike) -> Iterator[Finding]:
    """What the auditor says; and whether there is one."""
    with strike.pool.connection() as connection:
        audit = connection.execute(
            "SELECT at, extract(epoch FROM clock_timestamp() - max(at) OVER ()) AS seconds "
            "FROM audits ORDER BY at DESC LIMIT 1"
        ).fetchone()
        wrong = connection.execute(
            "SELECT code, said FROM audit_findings WHERE cleared_at IS NULL ORDER BY found_at"
        ).fetchall()
    if audit is None or audit["seconds"] > MOST_AUDIT_AGE:
        said = (
            "Nobody audits paging." if audit is None else f"Last at {audit['at']:%d %b %H:%M:%S}."
        )
        yield Finding("audit", Verdict.WARNING, said, "Run `strike work`: it brings an auditor.")
    for one in wrong:
        cure = "See the table audit_findings, and the log of `strike work`."
        yield Finding(f"audit {one['code']}", Verdict.WRONG, one["said"], cure)
    if audit is not None and not wrong:
        yield Finding("audit", Verdict.OK, "No page is in danger.")
    if strike.settings.heartbeat_url is None:
        cure = "Set STRIKE_HEARTBEAT_URL to a check of an outside monitor."
        said = "Nobody outside notices when paging stops."
        yield Finding("heartbeat", Verdict.WARNING, said, cure)


def examine_archive(strike: Strike) -> Iterator[Finding]:
    """How archive runs fare, if there ever was one, and who may not see what they have moved."""
    status = archive_status(strike)
    if status.last is None:
        return
    yield from _archive_run(status, status.last)
    if status.waiting.archived_ecos and status.unnamed:
        sessions = counted(len(status.unnamed), "session")
        said = f"{sessions} of the database without a name, since {status.unnamed[0].since:%d %b}."
        cure = "An older Strike takes what is archived for missing: end it. Else set PGAPPNAME."
        yield Finding("archive", Verdict.WARNING, said, cure)


def _archive_run(status: ArchiveStatus, last: LastRun) -> Iterator[Finding]:
    what, ready = "archive", counted(status.waiting.ready_ecos, "ECO")
    if last.is_going_on:
        said = f"{last.process} moves events since {last.began_at:%d %b %H:%M}."
        yield Finding(what, Verdict.OK, said)
    elif last.was_cut_off:
        said = f"The run of {last.began_at:%d %b %H:%M} by {last.process} has never ended."
        yield Finding(what, Verdict.WARNING, said, RUN_AGAIN)
    if last.error is not None:
        cure = "Until that is mended no run gets past it. Then run `strike archive run` again."
        yield Finding(
            what, Verdict.WRONG, f"The last run that ended has failed: {last.error}", cure
        )
    elif status.waiting.ready_ecos and (last.seconds_since_done or 0) > MOST_ARCHIVE_AGE:
        said = f"{ready} could be archived; no run since {last.done_at:%d %b %Y}."
        yield Finding(what, Verdict.WARNING, said, "Run `strike archive run`, best by a timer.")
    elif not (last.is_going_on or last.was_cut_off):
        archived = counted(status.waiting.archived_ecos, "ECO")
        yield Finding(what, Verdict.OK, f"{archived} archived, {ready} more could be.")


def _accounts(strike: Strike) -> Iterator[Finding]:
    with strike.pool.connection() as connection:
        nocs = connection.execute(
            "SELECT t.id, t.name FROM tenants t LEFT JOIN twilio_accounts a ON a.noc_id = t.id "
            "WHERE t.side = 'NOC' AND a.noc_id IS NULL"
        ).fetchall()
    for noc in nocs:
        said = f"{noc['name']} has no Twilio account: it can ring nobody."
        cure = f"strike twilio set {shlex.quote(noc['name'])} --sid AC… --from +1…"
        yield Finding("twilio account", Verdict.WRONG, said, cure)


def _secrets(strike: Strike) -> Iterator[Finding]:
    """Which key seals, whether it does, what is under which key, and what of it does not open."""
    present = strike.keys.present
    try:
        # Of a key in KMS it is a permission of its own.
        strike.keys.box.seal(UUID(int=0), "doctor", "")
    except SecretError as error:
        yield _key_trouble(error)
    else:
        said = f"Secrets are sealed with key {present.key.id.hex()}: {present.place}."
        yield Finding("secrets key", Verdict.OK, said)
    yield from _stored(strike)
    yield from map(_does_not_open, closed(strike.pool, strike.keys.box))


def _stored(strike: Strike) -> Iterator[Finding]:
    for one in sealed(strike.pool):
        key_id = one.key_id.hex() if one.key_id else "none"
        said = f"Under key {key_id}: {one.count}."
        if strike.keys.is_present(one.key_id):
            yield Finding(f"secrets, {one.kind.words}", Verdict.OK, said)
        else:
            cure = "Run `strike secrets rotate`."
            yield Finding(f"secrets, {one.kind.words}", Verdict.WARNING, said, cure)


def _does_not_open(one: Closed) -> Finding:
    said = f"Of tenant {one.tenant_id}: {one.error.message}"
    cure = CURES.get(one.error.code, ENTER_AGAIN)
    return Finding(f"secrets, {one.kind.words}", Verdict.WRONG, said, cure)


def _key_trouble(error: SecretError) -> Finding:
    return Finding("secrets key", Verdict.WRONG, sentence(error), CURES.get(error.code, ""))


def _twilio(settings: Settings) -> Finding:
    url = str(settings.twilio_base_url or "https://api.twilio.com")
    try:
        httpx.get(url, timeout=REACH_SECONDS)
    except httpx.HTTPError as error:
        cure = "Check the network and STRIKE_TWILIO_BASE_URL."
        return Finding("twilio", Verdict.WRONG, f"{url} cannot be reached: {error}", cure)
    return Finding("twilio", Verdict.OK, f"{url} answers.")


def show(findings: list[Finding], *, as_json: bool) -> int:
    """Print a line each and return the exit status: 1 if anything is wrong."""
    if as_json:
        Console().out(json.dumps([asdict(one) for one in findings], indent=2), highlight=False)
    else:
        Console().print(_table(findings))
    return 1 if any(one.verdict is Verdict.WRONG for one in findings) else 0


def _table(findings: list[Finding]) -> Table:
    marks = {
        Verdict.OK: Text("ok", "green"),
        Verdict.WARNING: Text("warning", "yellow"),
        Verdict.WRONG: Text("wrong", "bold red"),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    for one in findings:
        said = Text(one.said)
        if one.cure:
            said.append(f"\n{one.cure}", "bold")
        table.add_row(marks[one.verdict], one.what, said)
    return table
