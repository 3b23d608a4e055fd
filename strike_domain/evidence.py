"""The evidence bundle of one ECO: its files, made from what the log holds. No I/O.

docs/evidence.md says what is in it, and `evidence_check` what it proves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from strike_domain.actors import Side
from strike_domain.evidence_chain import Chain, Record, digest, happened_of, masked, record_of
from strike_domain.evidence_parts import calls_of, derive, eco_of, pretty
from strike_domain.evidence_readme import README
from strike_domain.log import StrikeLog

FORMAT, FORMAT_VERSION = "osprey-strike-evidence", 1

MANIFEST, EVENTS, CALLS = "manifest.json", "events.jsonl", "calls.json"

NAMES = (
    MANIFEST,
    EVENTS,
    CALLS,
    "timeline.txt",
    "response_times.json",
    "map.svg",
    "README.txt",
)
"""The files of a bundle, in their order."""

STATED = (
    "format",
    "format_version",
    "eco",
    "job_number",
    "noc",
    "osp",
    "exported_at",
    "exported_by",
    "exported_for",
    "phone_numbers",
    "strike_version",
    "log_position",
    "events",
    "head",
    "parts",
    "seal",
)
"""What a manifest states, in its order."""

Parts = Mapping[str, bytes]


@dataclass(frozen=True)
class Export:
    """Who exports what, when and for whom. Only the OSP's own export has full phone numbers.

    `companies` are the names of NOC and OSP by their ids; `version` is Strike's.
    """

    at: datetime
    by: str
    side: Side
    companies: Mapping[UUID, str]
    version: str


@dataclass(frozen=True)
class Bundle:
    """The files by name, in their order. `head` is the end of the chain: keep it elsewhere."""

    parts: Parts
    eco_id: UUID
    job_number: str
    events: int
    head: str

    @property
    def file_name(self) -> str:
        """What it is called if nobody says otherwise."""
        number = "".join(one if one.isalnum() or one == "-" else "_" for one in self.job_number)
        return f"evidence-{number}.zip"


def records_of(log: StrikeLog, eco_id: UUID) -> list[Record]:
    """What the log holds of an ECO and its pager runs, in order; empty if there is no such ECO."""
    stored = log.records([eco_id]).get(eco_id, [])
    return [record_of(one.id, one, log.state_of(one)) for one in stored]


def build(records: Sequence[Record], position: int, export: Export) -> Bundle:
    """The bundle of these records, which are all that the log held of the ECO at `position`."""
    chain = Chain.of(records)
    shown = [happened_of(one) for one in masked(records)]
    eco = eco_of(shown)
    parts = {EVENTS: chain.text, **derive(shown), "README.txt": README.encode()}
    parts[CALLS] = calls_seen_by(export.side, records)
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "eco": str(eco.id),
        "job_number": eco.job_number,
        "noc": _company(eco.noc_id, export),
        "osp": _company(eco.osp_id, export),
        "exported_at": export.at.isoformat(),
        "exported_by": export.by,
        "exported_for": export.side,
        "phone_numbers": "full" if export.side is Side.OSP else "last four digits",
        "strike_version": export.version,
        "log_position": position,
        "events": len(records),
        "head": chain.head,
        "parts": {name: digest(parts[name]) for name in NAMES if name != MANIFEST},
    }
    parts[MANIFEST] = sealed(manifest)
    ordered = {name: parts[name] for name in NAMES}
    return Bundle(ordered, eco.id, eco.job_number, len(records), chain.head)


def calls_seen_by(side: Side, records: Iterable[Record]) -> bytes:
    """calls.json as a side may see it: numbers in full for the OSP, whose people they are."""
    seen = records if side is Side.OSP else masked(records)
    return pretty(calls_of([happened_of(one) for one in seen]))


def _company(tenant_id: UUID, export: Export) -> dict[str, str]:
    return {"id": str(tenant_id), "name": export.companies.get(tenant_id, "")}


SEAL = '  "seal": '
"""How the last line but one of a manifest begins: the SHA-256 of the file without that line."""


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """The manifest as its file, with its own hash."""
    return _manifest(manifest, digest(unsealed(_manifest(manifest, ""))))


def unsealed(manifest: bytes) -> bytes:
    """The file without the line of its seal."""
    lines = manifest.decode().split("\n")
    return "\n".join(line for line in lines if not line.startswith(SEAL)).encode()


def _manifest(manifest: Mapping[str, Any], seal: str) -> bytes:
    text = json.dumps({**manifest, "seal": seal}, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()
