"""The evidence bundle as one file: always the same bytes for the same content."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from strike_domain.actors import Side
from strike_domain.errors import NotFound, Rejected
from strike_domain.evidence import Bundle, Export, Parts, build, records_of
from strike_domain.evidence_check import Log, Verdict, check
from strike_domain.log import StrikeLog

LARGEST = 200_000_000
"""Bytes of the largest file that is read as a bundle."""

_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip file knows; when it was exported stands in the manifest."""


def collect(
    log: StrikeLog,
    eco_id: UUID,
    *,
    at: datetime,
    by: str,
    side: Side,
    companies: Mapping[UUID, str],
) -> Bundle:
    """What the log holds of an ECO, as evidence for that side. Raises `NotFound`.

    `companies` are the names of its NOC and OSP by their ids.
    """
    position = log.position()
    records = [one for one in records_of(log, eco_id) if one["position"] <= position]
    if not records:
        raise NotFound("ECO")
    export = Export(at, by, side, companies, version("osprey-strike"))
    return build(records, position, export)


def pack(parts: Parts) -> bytes:
    """The files as one zip, in their order, uncompressed: what compresses differs by version."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            info = zipfile.ZipInfo(name, _MOMENT)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a bundle. Raises `Rejected` (BUNDLE_UNREADABLE, BUNDLE_CHANGED).

    A file that `pack` would not have written byte by byte was changed, if only around its content.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            stored = [one for one in archive.infolist() if one.compress_type == zipfile.ZIP_STORED]
            parts = {one.filename: archive.read(one) for one in stored}
    except Exception as error:
        # The library raises a dozen kinds of errors for what is no zip, or no longer one.
        message = f"It is no zip file that can be read: {error}."
        raise Rejected("BUNDLE_UNREADABLE", message) from error
    if pack(parts) != data:
        message = "It is not byte by byte as Strike writes it: something around its files differs."
        raise Rejected("BUNDLE_CHANGED", message)
    return parts


def read_bundle(file: Path) -> bytes:
    """Raises `Rejected` (BUNDLE_UNREADABLE) where there is no such file, or a far too large one."""
    try:
        if file.stat().st_size > LARGEST:
            raise Rejected("BUNDLE_UNREADABLE", "It is far too large for a bundle.")
        return file.read_bytes()
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}."
        raise Rejected("BUNDLE_UNREADABLE", message) from error


def verify(data: bytes, log: StrikeLog | None = None) -> Verdict:
    """What a bundle proves; with `log`, compared with what that holds."""
    try:
        parts = unpack(data)
    except Rejected as refused:
        return Verdict((refused.message,))
    alone = check(parts)
    if log is None or alone.eco is None or not alone.holds:
        return alone
    return check(parts, Log(records_of(log, UUID(alone.eco))))
