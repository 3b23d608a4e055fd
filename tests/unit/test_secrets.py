"""Secrets at rest open for their own tenant and purpose only, and leave no trace in errors."""

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from strike_adapters.secrets import SecretBox, SecretError, load_or_create_key

KEY = bytes(range(32))
TENANT = UUID("00000000-0000-0000-0000-00000000000a")
PURPOSE = "render.client_secret"
SECRET = "correct horse ü"


def sealed() -> bytes:
    return SecretBox(KEY).seal(TENANT, PURPOSE, SECRET)


def assert_closed(open_it: Callable[[], object]) -> None:
    with pytest.raises(SecretError) as error:
        open_it()
    assert error.value.code == "SECRET_UNREADABLE"
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("secret", [SECRET, "", "x" * 100_000])
def test_a_sealed_secret_opens_again(secret: str) -> None:
    box = SecretBox(KEY)
    opened = box.open(TENANT, PURPOSE, box.seal(TENANT, PURPOSE, secret))
    assert opened.get_secret_value() == secret


def test_an_opened_secret_is_not_shown_by_accident() -> None:
    opened = SecretBox(KEY).open(TENANT, PURPOSE, sealed())
    assert SECRET not in f"{opened} {opened!r}"


def test_neither_secret_nor_key_is_in_what_is_stored() -> None:
    stored = sealed()
    assert SECRET.encode() not in stored and KEY not in stored


def test_the_same_secret_never_looks_the_same_twice() -> None:
    one, two = sealed(), sealed()
    start = 9  # behind version and key id
    assert one[start:21] != two[start:21]
    assert one[-len(SECRET) :] != two[-len(SECRET) :]


def test_a_wrong_key_opens_nothing_and_the_error_names_the_right_one() -> None:
    stored = sealed()
    with pytest.raises(SecretError, match=stored[1:9].hex()):
        SecretBox(bytes(32)).open(TENANT, PURPOSE, stored)


def test_another_tenant_or_purpose_opens_nothing() -> None:
    box, stored = SecretBox(KEY), sealed()
    assert_closed(lambda: box.open(uuid4(), PURPOSE, stored))
    assert_closed(lambda: box.open(TENANT, "twilio.auth_token", stored))
    assert_closed(lambda: box.open(TENANT, PURPOSE + "x", stored))


def test_a_change_of_any_byte_is_noticed() -> None:
    box, stored = SecretBox(KEY), sealed()
    for place in range(len(stored)):
        changed = bytearray(stored)
        changed[place] ^= 1
        assert_closed(partial(box.open, TENANT, PURPOSE, bytes(changed)))


def test_a_secret_that_was_cut_short_is_noticed() -> None:
    box, stored = SecretBox(KEY), sealed()
    for length in range(len(stored)):
        assert_closed(partial(box.open, TENANT, PURPOSE, stored[:length]))


def test_two_secrets_cannot_be_put_together() -> None:
    one, two = sealed(), sealed()
    assert_closed(lambda: SecretBox(KEY).open(TENANT, PURPOSE, one[:69] + two[69:]))


def test_a_previous_key_still_opens_and_the_present_one_seals() -> None:
    new_key = os.urandom(32)
    rotating = SecretBox(new_key, previous=[KEY])
    assert rotating.open(TENANT, PURPOSE, sealed()).get_secret_value() == SECRET
    fresh = rotating.seal(TENANT, PURPOSE, SECRET)
    assert SecretBox(new_key).open(TENANT, PURPOSE, fresh).get_secret_value() == SECRET


def test_a_rewrapped_secret_no_longer_needs_the_previous_key() -> None:
    new_key = os.urandom(32)
    moved = SecretBox(new_key, previous=[KEY]).rewrap(TENANT, PURPOSE, sealed())
    assert SecretBox(new_key).open(TENANT, PURPOSE, moved).get_secret_value() == SECRET
    assert_closed(lambda: SecretBox(KEY).open(TENANT, PURPOSE, moved))


def test_a_secret_that_is_not_text_is_refused_without_showing_it() -> None:
    with pytest.raises(SecretError, match="SECRET_NOT_TEXT") as error:
        SecretBox(KEY).seal(TENANT, PURPOSE, "half \ud800")
    assert error.value.__suppress_context__


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(SecretError, match="KEY_INVALID"):
        SecretBox(bytes(16))


# The key's file ----------------------------------------------------------------------------


def test_the_key_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    key = load_or_create_key(path)
    assert len(key) == 32 and load_or_create_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert base64.b64decode(path.read_text()) == key
    assert os.listdir(path.parent) == ["key"]


def test_two_files_hold_two_keys(tmp_path: Path) -> None:
    assert load_or_create_key(tmp_path / "a") != load_or_create_key(tmp_path / "b")


def test_processes_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    program = (
        "import sys; from strike_adapters.secrets import load_or_create_key as load; "
        "print('ready', flush=True); sys.stdin.read(1); print(load(sys.argv[1]).hex())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "key")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    keys = set()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    for process in started:
        keys.add(process.communicate(timeout=30)[0])
        assert process.returncode == 0
    assert len(keys) == 1 and os.listdir(tmp_path) == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(SecretError, match="chmod 600") as error:
        load_or_create_key(path)
    assert error.value.code == "KEY_EXPOSED"


@pytest.mark.parametrize(
    "content",
    [b"", b"not base64!", base64.b64encode(bytes(16)), bytes(32), base64.b64encode(bytes(33))],
)
def test_a_file_that_holds_no_key_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SecretError, match="KEY_INVALID"):
        load_or_create_key(path)
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "key"):
        with pytest.raises(SecretError, match="KEY_UNREADABLE"):
            load_or_create_key(path)
