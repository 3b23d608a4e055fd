"""A plugin of pytest: the run fails if anything that it logged holds a secret that it used.

Strike's own events are looked at before they are scrubbed: the scrubber is a net, no licence. What
libraries log, down to DEBUG, is looked at as the scrubber lets it through, and so is what child
processes wrote. One pass at the end; under xdist each worker looks through its own.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from structlog import BoundLoggerBase

from strike_adapters.secrets import SecretBox
from strike_app.demo.children import Child
from strike_app.scrubbing import scrubbed
from strike_app.settings import Settings
from strike_mock.identity import IdentitySigner
from strike_mock.server import Mock

SHORTEST = 8
WORDS = frozenset({"password", "passwords", "something", "plaintext", "the secret"})
"""Long enough, but ordinary words of the tests: they stand in settings that are no secret."""

_SIGNATURES = re.compile(r"[\w-]{80,}")
"""The last part of a token; looked for by one expression, since there are thousands."""


class Leaks:
    """What was logged, from where, and what must not be in it."""

    def __init__(self) -> None:
        self._own: dict[str, str] = {}
        self._foreign: dict[str, str] = {}
        self._secrets: dict[str, str] = {}
        self._signatures: set[str] = set()
        self.found: list[str] = []

    def log(self, text: str, source: str, *, is_own: bool) -> None:
        test = os.environ.get("PYTEST_CURRENT_TEST", "no test")
        (self._own if is_own else self._foreign).setdefault(text, f"{source}, in {test}")

    def secret(self, value: str, kind: str) -> None:
        """Remember a secret, unless it is too short to be told from a word."""
        if len(value) >= SHORTEST and value.lower() not in WORDS:
            self._secrets[value] = kind

    def token(self, token: str) -> None:
        """Remember a signed token by its signature."""
        signature = token.rpartition(".")[2].rstrip("=")
        if _SIGNATURES.fullmatch(signature):
            self._signatures.add(signature)

    def look(self) -> list[str]:
        """Where a secret was logged, without the secret itself."""
        findings = [*self._look_through(self._own, str)]
        findings += self._look_through(self._foreign, scrubbed)
        return [self._without_secrets(finding) for finding in findings]

    def _look_through(
        self, texts: dict[str, str], as_written: Callable[[str], str]
    ) -> Iterator[str]:
        everything = "\0".join(texts)
        suspects = {value: kind for value, kind in self._secrets.items() if value in everything}
        for signature in self._signatures.intersection(_SIGNATURES.findall(everything)):
            suspects[signature] = "a signed login"
        for value, kind in suspects.items():
            for text, source in texts.items():
                if value in text and value in as_written(text):
                    yield f"{kind} ({len(value)} characters) was logged by {source}"

    def _without_secrets(self, text: str) -> str:
        for value in (*self._secrets, *self._signatures):
            text = text.replace(value, "[secret]")
        return text


class LeaksPlugin:
    """The hooks: fail at the end of the session; a worker of xdist tells its controller."""

    def __init__(self, leaks: Leaks, config: pytest.Config) -> None:
        self._leaks, self._config = leaks, config

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self._leaks.found += self._leaks.look()
        if not self._leaks.found:
            return
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["leaks"] = self._leaks.found
        elif session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._leaks.found += getattr(node, "workeroutput", {}).get("leaks", [])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._leaks.found:
            terminalreporter.section("secrets in the log", red=True)
            for finding in sorted(set(self._leaks.found)):
                terminalreporter.line(finding)


def pytest_configure(config: pytest.Config) -> None:
    """Watch everything from now on, to the end of this process."""
    leaks = Leaks()
    _watch_logs(leaks)
    _watch_secrets(leaks)
    config.pluginmanager.register(LeaksPlugin(leaks, config), "strike-leaks")


class _Listener(logging.Handler):
    def __init__(self, leaks: Leaks) -> None:
        super().__init__(logging.DEBUG)
        self._leaks = leaks
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception as error:
            text = f"{record.msg} {record.args} {error}"
        self._leaks.log(text, f"the logger {record.name}", is_own=False)


def _watch_logs(leaks: Leaks) -> None:
    # Below structlog's processors: tests replace those.
    def event(self: Any, method: str, event: Any, facts: dict[str, Any]) -> None:
        text = f"{event} {self._context} {facts} {_exception_text(facts.get('exc_info'))}"
        leaks.log(text, f"the event {event!r}", is_own=True)

    _before(BoundLoggerBase, "_process_event", event)

    def closing(self: Child, *_: Any) -> None:
        if self.log.exists():
            text = self.log.read_text("utf-8", "replace")
            leaks.log(text, f"the process {self.name}", is_own=False)

    _before(Child, "_close", closing)
    logging.getLogger().addHandler(_Listener(leaks))
    logging.getLogger().setLevel(logging.DEBUG)


def _watch_secrets(leaks: Leaks) -> None:
    def sealing(_self: Any, _tenant: Any, purpose: str, plaintext: str) -> None:
        leaks.secret(plaintext, f"a sealed {purpose}")

    def mocking(_self: Any, settings: Any = None, *_: Any, **__: Any) -> None:
        for account in getattr(settings, "accounts", ()):
            leaks.secret(account.token, "an account's token")
        for client in getattr(settings, "render_clients", ()):
            leaks.secret(client.secret, "a client's secret")

    def setting(_self: Any, **values: Any) -> None:
        url = values.get("database_url") or os.environ.get("STRIKE_DATABASE_URL") or ""
        leaks.secret(unquote(urlsplit(url).password or ""), "a database's password")

    _before(SecretBox, "seal", sealing)
    _before(Mock, "__init__", mocking)
    _before(Settings, "__init__", setting)
    sign = IdentitySigner.sign

    @functools.wraps(sign)
    def signing(*args: Any, **named: Any) -> str:
        token = sign(*args, **named)
        leaks.token(token)
        return token

    IdentitySigner.sign = signing  # type: ignore[method-assign]


def _before(owner: type, name: str, look: Callable[..., None]) -> None:
    """Let `look` see the arguments of every call of a method."""
    real = getattr(owner, name)

    @functools.wraps(real)
    def watched(*args: Any, **named: Any) -> Any:
        look(*args, **named)
        return real(*args, **named)

    setattr(owner, name, watched)


def _exception_text(info: object) -> str:
    if isinstance(info, BaseException):
        return "".join(traceback.format_exception(info))
    if isinstance(info, tuple) and len(info) == 3:
        return "".join(traceback.format_exception(*info))
    return traceback.format_exc() if info and sys.exc_info()[0] else ""
