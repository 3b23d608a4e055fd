"""`strike secrets`: what is stored under which key, and the way to another key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.vault import (
    Closed,
    Rotation,
    Step,
    Stored,
    closed,
    rewrap_all,
    sealed,
)
from strike_adapters.secrets import FileKey, SecretBox, create_key
from strike_app.admin.desk import plain_table
from strike_app.bootstrap import open_database
from strike_app.keys import KeyRing, open_keys
from strike_app.settings import Settings

STEPS = """\
A rotation without downtime:
1. Add the new key to STRIKE_SECRETS_PREVIOUS_KEY_FILES of every process; restart them one by one.
2. Make it STRIKE_SECRETS_KEY_FILE, and put the old one into STRIKE_SECRETS_PREVIOUS_KEY_FILES;
   restart them one by one.
3. Run strike secrets rotate. When strike secrets status finds nothing under the old key, take it
   out of STRIKE_SECRETS_PREVIOUS_KEY_FILES, and keep it as long as backups that need it."""


def show_status(*, as_json: bool, console: Console | None = None) -> int:
    """Say what is under which key; 1 if anything is to be rotated, or does not open."""
    console = console or Console()
    with _opened() as (pool, keys):
        stored, failed = sealed(pool), list(closed(pool, keys.box))
    if as_json:
        _out(console, _status(keys, stored, failed))
    else:
        _print_status(keys, stored, failed, console)
    is_well = not failed and all(keys.is_present(one.key_id) for one in stored)
    return 0 if is_well else 1


def rotate(*, as_json: bool, console: Console | None = None) -> int:
    """Move everything to the present key; 1 if anything could not be, or came in meanwhile."""
    console = console or Console()
    with _opened() as (pool, keys):
        done = _rotated(pool, keys.box)
        left = sum(one.count for one in sealed(pool) if not keys.is_present(one.key_id))
    key_id = keys.present.key.id.hex()
    if as_json:
        failed = [_as_json(one) for one in done.closed]
        _out(console, {"key_id": key_id, "moved": done.moved, "left": left, "closed": failed})
    else:
        _print_rotation(done, left, key_id, console)
    return 1 if done.closed or left else 0


def new_key(file: Path, console: Console | None = None, *, as_json: bool = False) -> int:
    """Make a key in `file` and say how it is taken into use. Raises `SecretError` (KEY_EXISTS)."""
    key = FileKey(create_key(file))
    console = console or Console()
    if as_json:
        _out(console, {"file": str(file), "key": key.id.hex()})
        return 0
    _say(console, f"{file} holds the new key {key.id.hex()}. Keep a copy of it.")
    _say(console, STEPS)
    return 0


@contextmanager
def _opened() -> Iterator[tuple[Pool, KeyRing]]:
    """Unlike every other command also where a key is missing: this is to find out which."""
    settings = Settings()
    with (
        open_database(settings) as url,
        open_pool(url) as pool,
        open_keys(settings, pool, checked=False) as keys,
    ):
        yield pool, keys


def _rotated(pool: Pool, box: SecretBox) -> Rotation:
    columns = (TextColumn("Secrets"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars = Console(stderr=True)
    with Progress(*columns, console=bars, transient=True, disable=not bars.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(step: Step) -> None:
            bar.update(task, completed=step.done, total=step.of)

        return rewrap_all(pool, box, show)


def _status(keys: KeyRing, stored: Sequence[Stored], failed: Sequence[Closed]) -> dict[str, Any]:
    return {
        "present": {"key_id": keys.present.key.id.hex(), "place": keys.present.place},
        "previous": [{"key_id": one.key.id.hex(), "place": one.place} for one in keys.previous],
        "stored": [
            {
                "kind": one.kind.purpose,
                "key_id": one.key_id.hex() if one.key_id else None,
                "count": one.count,
                "is_present": keys.is_present(one.key_id),
                "place": keys.place(one.key_id),
            }
            for one in stored
        ],
        "closed": [_as_json(one) for one in failed],
    }


def _as_json(one: Closed) -> dict[str, str]:
    return {
        "kind": one.kind.purpose,
        "tenant_id": str(one.tenant_id),
        "code": one.error.code,
        "message": one.error.message,
    }


def _print_status(
    keys: KeyRing, stored: Sequence[Stored], failed: Sequence[Closed], console: Console
) -> None:
    present = keys.present
    _say(console, f"The present key is {present.key.id.hex()}: {present.place}.")
    if not stored:
        _say(console, "No secret is stored.")
        return
    table = plain_table("kind", "key id", ">secrets", "key")
    for one in stored:
        key_id = one.key_id.hex() if one.key_id else "-"
        table.add_row(one.kind.words, key_id, str(one.count), _key(keys, one.key_id))
    console.print(table)
    _print_closed(failed, console)
    if any(keys.place(one.key_id) and not keys.is_present(one.key_id) for one in stored):
        _say(console, "Not all is under the present key: run strike secrets rotate.")


def _key(keys: KeyRing, key_id: bytes | None) -> Text:
    if keys.is_present(key_id):
        return Text("the present one", "green")
    place = keys.place(key_id)
    return Text(f"a previous one, {place}", "yellow") if place else Text("not known", "bold red")


def _print_rotation(done: Rotation, left: int, key_id: str, console: Console) -> None:
    _say(console, f"Moved to key {key_id}: {done.moved}.")
    _print_closed(done.closed, console)
    if not left:
        _say(console, "Everything is under it.")
    elif left > len(done.closed):
        _say(
            console,
            f"Not under it: {left}. Some were saved meanwhile by a process that seals with "
            "another key: restart it, and rotate again.",
        )


def _print_closed(failed: Sequence[Closed], console: Console) -> None:
    for one in failed:
        who = f"{one.kind.words} of tenant {one.tenant_id}: "
        console.print(Text.assemble((who, "bold"), one.error.message), soft_wrap=True)


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _out(console: Console, found: dict[str, Any]) -> None:
    console.out(json.dumps(found, indent=2), highlight=False)
