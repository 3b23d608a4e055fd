"""The network that chaos is made with does what its name says, and is well again afterwards."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.network import Network
from tests.integration.stored import eventually


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that says again what it hears; its port."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            while heard := connection.recv(1000):
                connection.sendall(heard)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


@pytest.fixture
def network(echo: int) -> Iterator[Network]:
    opened = Network()
    opened.to_port("echo", echo)
    yield opened
    opened.close()


def ask(connection: socket.socket, word: bytes = b"word") -> bytes:
    connection.sendall(word)
    return connection.recv(1000)


def is_broken(connection: socket.socket) -> bool:
    try:
        return ask(connection) == b""
    except OSError:
        return True


def connected(network: Network) -> socket.socket:
    return socket.create_connection(("127.0.0.1", network.links["echo"].port), timeout=5)


def test_what_is_well_passes_on(network: Network) -> None:
    with connected(network) as one:
        assert ask(one) == b"word"
        one.shutdown(socket.SHUT_WR)
        assert one.recv(10) == b""


def test_a_cut_breaks_connections_and_refuses_new_ones_until_it_is_over(network: Network) -> None:
    with connected(network) as one:
        assert ask(one) == b"word"
        thread = threading.Thread(target=network.afflict, args=("echo", "cut", 0.5))
        thread.start()
        eventually(lambda: is_broken(one))
        with connected(network) as other:
            assert is_broken(other)
        thread.join()
    with connected(network) as again:
        assert ask(again) == b"word"


def test_what_leads_elsewhere_breaks_connections_and_new_ones_come_there(
    network: Network, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as server, connected(network) as one:
        server.bind(str(tmp_path / "there"))
        server.listen()
        assert ask(one) == b"word"
        network.lead_to_socket("echo", str(tmp_path / "there"))
        eventually(lambda: is_broken(one))
        with connected(network) as other:
            arrived, _ = server.accept()
            with arrived:
                arrived.sendall(b"from there")
                assert other.recv(100) == b"from there"


@pytest.mark.parametrize(("how", "least"), [("stall", 0.3), ("slow", 0.3)])
def test_what_is_stalled_or_slow_comes_later(network: Network, how: str, least: float) -> None:
    with connected(network) as one:
        assert ask(one) == b"word"
        thread = threading.Thread(target=network.afflict, args=("echo", how, 0.5))
        thread.start()
        time.sleep(0.1)
        began = time.monotonic()
        assert ask(one, b"late") == b"late"
        assert time.monotonic() - began >= least - 0.05
        thread.join()
        began = time.monotonic()
        assert ask(one) == b"word"
        assert time.monotonic() - began < least
