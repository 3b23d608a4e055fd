"""Threads that send texts, beside those that ring: a slow provider of texts holds up no call."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import structlog

TEXT_THREADS = 4
"""How many texts one process sends at once. What waits for too long is not sent any more."""

logger = structlog.get_logger()


class TextThreads:
    """Does what it is given, in turn; runs as the workers beside it do."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(TEXT_THREADS, thread_name_prefix="texts")

    def submit(self, work: Callable[[], None]) -> None:
        """Have it done soon. While this process stops it is left to another one."""
        context = contextvars.copy_context()
        with suppress(RuntimeError):
            self._executor.submit(context.run, _done, work)

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; what is under way then is finished, what waits is not begun."""
        stop.wait()
        self._executor.shutdown(cancel_futures=True)


def _done(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        logger.exception("a text was not sent, or what became of it was not stored")
