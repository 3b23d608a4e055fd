"""Errors as one sentence for the person at the command line."""

from __future__ import annotations

import os
import traceback

import psycopg
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from strike_adapters.embedded import EmbeddedPostgresError
from strike_app.demo.children import ChildFailed
from strike_domain.errors import StrikeError
from strike_mock.errors import MockError


def sentence(error: Exception) -> str:
    """What went wrong and, where we know it, what to do. `STRIKE_DEBUG=1` adds the traceback."""
    if os.environ.get("STRIKE_DEBUG"):
        return "".join(traceback.format_exception(error))
    match error:
        case StrikeError():
            where = f" at {'.'.join(map(str, error.path))}" if error.path else ""
            return f"{error.message} ({error.code}{where})"
        case EmbeddedPostgresError() | MockError() | ChildFailed():
            return str(error)
        case ValidationError():
            return "; ".join(_setting(one) for one in error.errors(include_input=False))
        case psycopg.OperationalError():
            return f"The database cannot be reached: {str(error).strip()} (see strike doctor)"
        case _:
            return f"{type(error).__name__}: {error} (STRIKE_DEBUG=1 shows where)"


def _setting(error: ErrorDetails) -> str:
    name = "_".join(str(part) for part in error["loc"]).upper()
    return f"STRIKE_{name}: {error['msg']}"
