"""What the demo and its mock know each other by: the file that the mock is started with."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from strike_app.demo.seed import LOGINS, Outside


def new_credentials() -> Outside:
    """Of nobody but this demo; the mock's address is not known yet."""
    return Outside(
        mock_url="",
        account_sid="AC" + secrets.token_hex(16),
        auth_token=secrets.token_hex(16),
        render_client_id="strike-demo",
        render_client_secret=secrets.token_hex(16),
    )


def mock_settings(outside: Outside) -> dict[str, Any]:
    """What the mock is told of it, and who can log in."""
    return {
        "accounts": [{"sid": outside.account_sid, "token": outside.auth_token}],
        "render_clients": [
            {"id": outside.render_client_id, "secret": outside.render_client_secret}
        ],
        "people": [
            {"sub": one.email, "email": one.email, "name": one.name, "note": one.note}
            for one in LOGINS
        ],
    }


def write_settings(file: Path, settings: dict[str, Any]) -> None:
    """Write a new file that its owner alone can read. Raises `FileExistsError`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as writing:
        json.dump(settings, writing, indent=2)


def read_settings(file: Path, mock_url: str) -> Outside:
    """The first account and the first client in such a file; the mock is at `mock_url`."""
    settings = json.loads(file.read_text("utf-8"))
    account, client = settings["accounts"][0], settings["render_clients"][0]
    return Outside(mock_url, account["sid"], account["token"], client["id"], client["secret"])
