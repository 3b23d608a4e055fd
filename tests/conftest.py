"""For every test: no secret in the log, and a way of logging that no test leaves to the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.leaks import pytest_configure

__all__ = ["pytest_configure"]


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """What a command sets for its process lasts longer than a test that calls it."""
    was_set, before = structlog.is_configured(), structlog.get_config()
    yield
    structlog.configure(**before) if was_set else structlog.reset_defaults()
