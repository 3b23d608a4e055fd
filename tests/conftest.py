"""For every test: nothing that was logged may hold a secret that was used."""

from __future__ import annotations

from tests.leaks import pytest_configure

__all__ = ["pytest_configure"]
