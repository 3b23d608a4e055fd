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
from hypothesis import given
from hypothesis import strategies as st

from strike_adapters.secrets import (
    FileKey,
    SecretBox,
    SecretError,
    create_key,
    key_id_of,
    load_key,
    load_or_create_key,
)

KEY = bytes(range(32))
TENANT = UUID("00000000-0000-0000-0000-00000000000a")
PURPOSE = "render.client_secret"
SECRET = "correct horse ü"
SEALED_BEFORE_KEYS_DIFFERED = bytes.fromhex(
    "016c06712826ad15faa951d3300df664232ac9a6ceae02acf6f1fb3279a5911d273179588b4b07a80f8056f42009"
    "b80635996f62515efb493b67cd6f6a147d1ee67ce26e4835ef48c23b759d195edea08a67a981db9f5692aa90368f"
    "b2e7897a82d2d6681f496d64b226c711221d4db388"
)


class LongKey(FileKey):
    """Like a key of a service: what it wraps has a length of its own."""

    def __init__(self, key: bytes, longer: int = 100) -> None:
        super().__init__(key)
        self._padding = bytes(longer)

    def wrap(self, data_key: bytes, bound: bytes) -> bytes:
        return super().wrap(data_key, bound) + self._padding

    def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        return super().unwrap(wrapped.removesuffix(self._padding), bound)


LONG_KEY = LongKey(bytes(range(1, 33)))
BOX = SecretBox(LONG_KEY, previous=[KEY])
SEALED = {1: SecretBox(KEY).seal(TENANT, PURPOSE, SECRET), 2: BOX.seal(TENANT, PURPOSE, SECRET)}


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


# The stored forms --------------------------------------------------------------------------


def test_a_secret_of_an_earlier_release_opens() -> None:
    opened = SecretBox(KEY).open(TENANT, PURPOSE, SEALED_BEFORE_KEYS_DIFFERED)
    assert opened.get_secret_value() == SECRET


def test_the_length_of_the_wrapped_key_decides_the_form() -> None:
    assert SEALED[1][0] == 1 and len(SEALED[1]) == 9 + 60 + 28 + len(SECRET.encode())
    assert SEALED[2][0] == 2 and int.from_bytes(SEALED[2][9:11], "big") == 160
    assert len(SEALED[2]) == 11 + 160 + 28 + len(SECRET.encode())


@pytest.mark.parametrize("longer", [1, 195, 196, 65_535 - 60])
def test_wrapped_keys_of_every_length_are_found_again(longer: int) -> None:
    box = SecretBox(LongKey(KEY, longer))
    opened = box.open(TENANT, PURPOSE, box.seal(TENANT, PURPOSE, SECRET))
    assert opened.get_secret_value() == SECRET


def test_a_secret_moves_between_the_forms_without_being_decrypted() -> None:
    moved = BOX.rewrap(TENANT, PURPOSE, SEALED[1])
    back = SecretBox(KEY, previous=[LONG_KEY]).rewrap(TENANT, PURPOSE, moved)
    assert [SEALED[1][0], moved[0], back[0]] == [1, 2, 1]
    assert SEALED[1][69:] == moved[11 + 160 :] == back[69:]
    for stored, key in ((moved, LONG_KEY), (back, FileKey(KEY))):
        opened = SecretBox(key).open(TENANT, PURPOSE, stored)
        assert opened.get_secret_value() == SECRET


def test_a_secret_whose_own_part_is_damaged_moves_and_still_does_not_open() -> None:
    moved = BOX.rewrap(TENANT, PURPOSE, SEALED[1][:-1] + bytes([SEALED[1][-1] ^ 1]))
    assert_closed(lambda: BOX.open(TENANT, PURPOSE, moved))


def test_a_secret_of_another_tenant_or_purpose_cannot_be_moved() -> None:
    for stored in SEALED.values():
        assert_closed(partial(BOX.rewrap, uuid4(), PURPOSE, stored))
        assert_closed(partial(BOX.rewrap, TENANT, "twilio.auth_token", stored))


def test_the_second_form_notices_a_change_of_any_byte_and_every_cut() -> None:
    for place in range(len(SEALED[2])):
        changed = bytearray(SEALED[2])
        changed[place] ^= 1
        assert_closed(partial(BOX.open, TENANT, PURPOSE, bytes(changed)))
        assert_closed(partial(BOX.open, TENANT, PURPOSE, SEALED[2][:place]))


def test_the_first_form_does_not_open_when_it_is_written_as_the_second() -> None:
    written = b"\x02" + SEALED[1][1:9] + (60).to_bytes(2, "big") + SEALED[1][9:]
    assert_closed(lambda: SecretBox(KEY).open(TENANT, PURPOSE, written))


def test_a_data_key_of_a_wrong_length_is_unreadable() -> None:
    class Short(LongKey):
        def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
            return super().unwrap(wrapped, bound)[:31]

    box = SecretBox(Short(KEY))
    assert_closed(lambda: box.open(TENANT, PURPOSE, box.seal(TENANT, PURPOSE, SECRET)))


starts = st.sampled_from(
    [b"", b"\x01", b"\x02", *(stored[:9] for stored in SEALED.values()), SEALED[2][:11]]
)


@given(starts, st.binary(max_size=400))
def test_garbage_is_unreadable_and_nothing_worse(start: bytes, rest: bytes) -> None:
    assert_closed(lambda: BOX.open(TENANT, PURPOSE, start + rest))
    assert_closed(lambda: BOX.rewrap(TENANT, PURPOSE, start + rest))
    assert key_id_of(start + rest) in (None, (start + rest)[1:9])


@given(st.sampled_from([1, 2]), st.data())
def test_a_piece_of_a_secret_is_unreadable_and_nothing_worse(
    form: int, data: st.DataObject
) -> None:
    whole = SEALED[form]
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    piece = whole[begin:end]
    if piece != whole:
        assert_closed(lambda: BOX.open(TENANT, PURPOSE, piece))


def test_a_box_tells_which_key_seals_and_which_secrets_it_knows() -> None:
    assert BOX.key_id == LONG_KEY.id == key_id_of(SEALED[2])
    assert SecretBox(KEY).key_id == FileKey(KEY).id == key_id_of(SEALED[1])
    assert BOX.knows(SEALED[1]) and BOX.knows(SEALED[2])
    assert SecretBox(KEY).knows(SEALED[1]) and not SecretBox(KEY).knows(SEALED[2])


@pytest.mark.parametrize("stored", [b"", b"\x01", SEALED[1][:9], SEALED[2][:11], b"\x03" * 200])
def test_what_is_no_sealed_secret_has_no_key(stored: bytes) -> None:
    assert key_id_of(stored) is None and not BOX.knows(stored)


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


def test_a_new_key_is_loaded_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    key = create_key(path)
    assert key == load_key(path) == load_or_create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and os.listdir(path.parent) == ["key"]


def test_a_missing_key_is_not_made_and_the_error_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="STRIKE_SECRETS_KEY_FILE.* entered anew") as error:
        load_key(tmp_path / "new" / "key")
    assert error.value.code == "KEY_MISSING" and os.listdir(tmp_path) == []


def test_a_new_key_never_replaces_one(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = create_key(path)
    with pytest.raises(SecretError, match="KEY_EXISTS"):
        create_key(path)
    assert load_key(path) == key and os.listdir(tmp_path) == ["key"]


def test_a_new_key_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretError, match="KEY_EXISTS"):
        create_key(tmp_path / "key")
    assert os.listdir(tmp_path) == ["key"]


def test_loading_and_making_name_a_path_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for use, path in ((load_key, tmp_path), (load_key, tmp_path / "file" / "key")):
        with pytest.raises(SecretError, match="KEY_UNREADABLE"):
            use(path)
    with pytest.raises(SecretError, match="KEY_UNREADABLE"):
        create_key(tmp_path / "file" / "key")


def test_a_loaded_key_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_key(path)
    path.chmod(0o644)
    with pytest.raises(SecretError, match="KEY_EXPOSED"):
        load_key(path)
