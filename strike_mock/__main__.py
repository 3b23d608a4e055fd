"""`python -m strike_mock`: the mock as a program."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strike_mock.errors import MockError
from strike_mock.scenarios import names

if TYPE_CHECKING:
    from strike_mock.server import Mock
    from strike_mock.settings import MockSettings

_FLAGS = (
    "host",
    "port",
    "gateway_port",
    "upstream",
    "scenario",
    "speed",
    "epoch",
    "seed",
    "paused",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mock until Ctrl-C, SIGTERM or the parent's end; return the exit status."""
    arguments = parser().parse_args(argv)
    try:
        settings = _settings(arguments)
        asyncio.run(_serve(settings, arguments.ready_file, arguments.exit_with_parent))
    except (MockError, OSError, ValueError) as error:
        sys.stderr.write(f"strike_mock: {error}\n")
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be given to the mock as a program, with a word of help each."""
    it = argparse.ArgumentParser(
        prog="python -m strike_mock",
        description="Stand-ins for Twilio, Render Networks and the signing load balancer. "
        "Watch and play the phones on the dashboard: /_mock/ on the port of Twilio and Render.",
    )
    add = it.add_argument
    add("--host", help="address to listen on (127.0.0.1)")
    add("--port", type=int, help="port of Twilio and Render (0: any free one)")
    add("--gateway-port", type=int, help="port of the login gateway (0: any free one)")
    add("--upstream", metavar="URL", help="the Strike server that the gateway forwards to")
    add("--scenario", help=f"one of: {', '.join(names())}")
    add("--speed", type=float, help="simulated seconds per real second (1)")
    add("--paused", action="store_true", default=None, help="stand still until told: see /_mock/")
    add(
        "--epoch", metavar="TIME", help="ISO 8601 time with offset at which both clocks agree (now)"
    )
    add("--seed", type=int, help="make ids repeatable (random)")
    add("--account", action="append", metavar="SID:TOKEN", help="Twilio account; repeatable")
    add("--render-client", action="append", metavar="ID:SECRET", help="Render client; repeatable")
    add("--people", type=Path, metavar="FILE", help="JSON list of {sub, email, name}")
    add("--signer", help="ARN in the signed header")
    add("--settings", type=Path, metavar="FILE", help="JSON object of MockSettings; flags win")
    add("--ready-file", type=Path, metavar="PATH", help="write the URLs there when ready, as JSON")
    add("--exit-with-parent", action="store_true", help="stop when standard input ends")
    return it


def _settings(arguments: argparse.Namespace) -> MockSettings:
    from strike_mock.settings import MockSettings

    given: dict[str, Any] = _json(arguments.settings) if arguments.settings else {}
    flags = {name: getattr(arguments, name) for name in (*_FLAGS, "signer")}
    given |= {name: value for name, value in flags.items() if value is not None}
    if arguments.account:
        given["accounts"] = [_pair(text, "sid", "token") for text in arguments.account]
    if arguments.render_client:
        given["render_clients"] = [_pair(text, "id", "secret") for text in arguments.render_client]
    if arguments.people:
        given["people"] = _json(arguments.people)
    return MockSettings.model_validate(given)


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _pair(text: str, first: str, second: str) -> dict[str, str]:
    left, _, right = text.partition(":")
    return {first: left, second: right}


async def _serve(settings: MockSettings, ready_file: Path | None, exit_with_parent: bool) -> None:
    from strike_mock.server import run_mock

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if exit_with_parent:
        _when_input_ends(lambda: loop.call_soon_threadsafe(stop.set))

    def announce(mock: Mock) -> None:
        if ready_file is not None:
            _write_atomically(ready_file, json.dumps(mock.ready()))
        sys.stdout.write(f"strike_mock: {mock.url} gateway {mock.gateway_url}\n")
        sys.stdout.flush()

    await run_mock(settings, on_ready=announce, until=stop)


def _when_input_ends(then: Callable[[], object]) -> None:
    """Call `then` at the end of standard input: when whoever holds its other end dies."""

    def read() -> None:
        # Not sys.stdin.buffer: its lock, held here, would abort the interpreter's shutdown.
        while os.read(0, 4096):
            pass
        # The loop may have ended before the parent did: then there is nothing left to stop.
        with contextlib.suppress(RuntimeError):
            then()

    threading.Thread(target=read, daemon=True, name="parent-watch").start()


def _write_atomically(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)


if __name__ == "__main__":
    sys.exit(main())
