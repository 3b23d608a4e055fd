"""`strike seed`: the demo's companies in a database of one's own."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from strike_app.bootstrap import open_strike
from strike_app.demo.outside import mock_settings, new_credentials, read_settings, write_settings
from strike_app.demo.seed import CONTRACTORS, LOGINS, NEWCOMER, NOCS, seed
from strike_app.settings import Settings


def seed_companies(file: Path, mock_url: str, console: Console) -> None:
    """Store them with the credentials in the mock's `file`, which is made if it is missing.

    Seeding again changes nothing. Raises `SecretError` as `open_strike` does.
    """
    if not file.exists():
        write_settings(file, mock_settings(new_credentials()))
        console.print(f"New credentials for strike mock --settings {file}.", soft_wrap=True)
    with open_strike(Settings()) as strike:
        seed(strike.directory, strike.accounts, read_settings(file, mock_url))
    contractors = len((*CONTRACTORS, NEWCOMER))
    console.print(f"{len(NOCS)} NOCs, {contractors} contractors, {len(LOGINS)} people.")
