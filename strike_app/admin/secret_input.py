"""Secrets from people: never as an argument, where every user of the machine could read them."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from pydantic import SecretStr

from strike_domain.errors import Rejected


def read_secret(what: str, file: Path | None) -> SecretStr | None:
    """The content of the file; else what a terminal is asked for; else standard input.

    None if nothing was given there: the stored one stays. Raises `Rejected`: FILE_UNREADABLE,
    SECRET_EMPTY (of a file).
    """
    text = _asked(what) if file is None else _content(file)
    if text:
        return SecretStr(text)
    if file is not None:
        raise Rejected("SECRET_EMPTY", f"{file} is empty.", ("file",))
    return None


def _asked(what: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.read().strip()
    prompt = f"{what} (empty: as it is)"
    text: str = typer.prompt(prompt, default="", show_default=False, hide_input=True, err=True)
    return text.strip()


def _content(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise Rejected("FILE_UNREADABLE", f"{file} cannot be read: {why}.", ("file",)) from error
