"""Secrets move from key to key while everything else goes on, and none is lost on the way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from uuid import UUID

import pytest

from strike_adapters.postgres.accounts import TWILIO_TOKEN, PostgresAccounts
from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.pools import Pool
from strike_adapters.postgres.vault import Step, closed, rewrap_all, sealed
from strike_adapters.render import RememberedInstances
from strike_adapters.secrets import FileKey, SecretBox, SecretError
from strike_domain import FieldTerms
from tests.integration.stored import eventually, execute, rows
from tests.integration.vaults import NOCS, OSPS, account, assert_all_open, filled

OLD, NEW = FileKey(bytes(range(32))), FileKey(bytes(range(1, 33)))
ROTATING = SecretBox(NEW, previous=[OLD])
ALL = len(NOCS) + len(OSPS)

WAITING = """
SELECT FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query ~ 'UPDATE twilio_accounts'
"""


class Silent:
    """A key whose service does not answer."""

    def __init__(self, key: FileKey) -> None:
        self.id = key.id
        self.asked = 0

    def wrap(self, data_key: bytes, bound: bytes) -> bytes:
        self.asked += 1
        raise SecretError("KEY_UNAVAILABLE", "It does not answer.")

    def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        return self.wrap(wrapped, bound)


class Watched:
    """A key that says when it is used."""

    def __init__(self, key: FileKey, used: Callable[[], None]) -> None:
        self.id = key.id
        self._key = key
        self._used = used

    def wrap(self, data_key: bytes, bound: bytes) -> bytes:
        return self._key.wrap(data_key, bound)

    def unwrap(self, wrapped: bytes, bound: bytes) -> bytes:
        self._used()
        return self._key.unwrap(wrapped, bound)


def counts(pool: Pool) -> list[tuple[str, bytes | None, int]]:
    return [(one.kind.table, one.key_id, one.count) for one in sealed(pool)]


def test_secrets_are_counted_by_kind_and_key(database_url: str) -> None:
    with filled(database_url, SecretBox(OLD)) as pool:
        PostgresAccounts(pool, SecretBox(NEW)).save_twilio(NOCS[0], account(NOCS[0]))
        execute(
            database_url,
            "UPDATE render_instances SET client_secret = 'plain' WHERE osp_id = %s",
            OSPS[0],
        )
        assert counts(pool) == [
            ("render_instances", None, 1),
            ("render_instances", OLD.id, len(OSPS) - 1),
            *sorted([("twilio_accounts", NEW.id, 1), ("twilio_accounts", OLD.id, len(NOCS) - 1)]),
        ]


def test_all_secrets_move_while_others_go_on_reading_them(database_url: str) -> None:
    stop, trouble = threading.Event(), list[BaseException]()

    def read(box: SecretBox) -> None:
        try:
            while not stop.is_set():
                assert_all_open(pool, box)
        except BaseException as error:
            trouble.append(error)

    with filled(database_url, SecretBox(OLD)) as pool:
        # Processes that were restarted already, and those that were not.
        boxes = (ROTATING, SecretBox(OLD, previous=[NEW]))
        readers = [threading.Thread(target=read, args=(box,)) for box in boxes]
        for reader in readers:
            reader.start()
        steps = list[Step]()
        rotation = rewrap_all(pool, ROTATING, steps.append)
        stop.set()
        for reader in readers:
            reader.join()
        assert trouble == []
        assert (rotation.moved, rotation.closed) == (ALL, ())
        assert steps == [Step(done, ALL) for done in range(1, ALL + 1)]
        assert_all_open(pool, SecretBox(NEW))
        assert {key_id for _, key_id, _ in counts(pool)} == {NEW.id}
        assert rewrap_all(pool, ROTATING).moved == 0


def test_a_rotation_that_died_is_begun_again_where_it_was(database_url: str) -> None:
    def die(step: Step) -> None:
        if step.done == 3:
            raise KeyboardInterrupt

    with filled(database_url, SecretBox(OLD)) as pool:
        with pytest.raises(KeyboardInterrupt):
            rewrap_all(pool, ROTATING, die)
        assert sum(count for _, key_id, count in counts(pool) if key_id == NEW.id) == 3
        assert_all_open(pool, ROTATING)
        assert rewrap_all(pool, ROTATING).moved == ALL - 3
        assert_all_open(pool, SecretBox(NEW))


def test_a_secret_that_is_saved_while_its_row_is_moved_is_kept(database_url: str) -> None:
    """The save waits for the row, and comes after."""
    savers = list[threading.Thread]()

    def save_meanwhile() -> None:
        if savers:
            return
        accounts = PostgresAccounts(pool, SecretBox(OLD, previous=[NEW]))
        save = threading.Thread(
            target=accounts.save_twilio, args=(NOCS[0], account(NOCS[0], "fresh"))
        )
        savers.append(save)
        save.start()
        eventually(lambda: rows(database_url, WAITING))

    with filled(database_url, SecretBox(OLD)) as pool:
        box = SecretBox(NEW, previous=[Watched(OLD, save_meanwhile)])
        rewrap_all(pool, box)
        savers[0].join()
        kept = PostgresAccounts(pool, ROTATING).for_noc(NOCS[0])
        assert kept == account(NOCS[0], "fresh")
        # It was sealed with the old key by a process that was not restarted yet.
        assert rewrap_all(pool, ROTATING).moved == 1
        assert PostgresAccounts(pool, SecretBox(NEW)).for_noc(NOCS[0]) == kept


def test_secrets_that_are_saved_or_deleted_before_their_turn_are_left_alone(
    database_url: str,
) -> None:
    last, gone = NOCS[-1], NOCS[-2]

    def save(step: Step) -> None:
        if step.done == 1:
            PostgresAccounts(pool, SecretBox(NEW)).save_twilio(last, account(last, "fresh"))
            execute(database_url, "DELETE FROM twilio_accounts WHERE noc_id = %s", gone)

    with filled(database_url, SecretBox(OLD)) as pool:
        rotation = rewrap_all(pool, ROTATING, save)
        assert (rotation.moved, rotation.closed) == (ALL - 2, ())
        accounts = PostgresAccounts(pool, SecretBox(NEW))
        assert accounts.for_noc(last) == account(last, "fresh")
        assert accounts.for_noc(gone) is None


def test_a_secret_that_does_not_open_is_reported_and_left_and_the_others_go_on(
    database_url: str,
) -> None:
    with filled(database_url, SecretBox(OLD)) as pool:
        stranger = SecretBox(os.urandom(32)).seal(NOCS[0], TWILIO_TOKEN, "x")
        copied = SecretBox(OLD).seal(NOCS[0], TWILIO_TOKEN, "x")
        bad = {NOCS[0]: stranger, NOCS[1]: copied, NOCS[2]: b"plain", NOCS[3]: b""}
        for noc, stored in bad.items():
            statement = "UPDATE twilio_accounts SET auth_token = %s WHERE noc_id = %s"
            execute(database_url, statement, stored, noc)
        steps = list[Step]()
        rotation = rewrap_all(pool, ROTATING, steps.append)
        assert rotation.moved == ALL - len(bad)
        assert [one.tenant_id for one in rotation.closed] == list(bad)
        assert {one.error.code for one in rotation.closed} == {"SECRET_UNREADABLE"}
        assert [step.closed for step in steps if step.closed] == list(rotation.closed)
        kept = rows(database_url, "SELECT noc_id, auth_token FROM twilio_accounts ORDER BY 1")
        assert {row["noc_id"]: row["auth_token"] for row in kept[: len(bad)]} == bad
        found = list(closed(pool, ROTATING))
        assert [(one.tenant_id, one.error.code) for one in found] == [
            (noc, "SECRET_UNREADABLE") for noc in bad
        ]


def test_a_key_that_does_not_answer_is_asked_once_and_holds_up_nothing_else(
    database_url: str,
) -> None:
    third = FileKey(os.urandom(32))
    silent = Silent(third)
    with filled(database_url, SecretBox(OLD)) as pool:
        for noc in NOCS[:2]:
            PostgresAccounts(pool, SecretBox(third)).save_twilio(noc, account(noc))
        box = SecretBox(NEW, previous=[OLD, silent])
        assert [one.error.code for one in closed(pool, box)] == ["KEY_UNAVAILABLE"] * 2
        assert silent.asked == 1
        rotation = rewrap_all(pool, box)
        assert silent.asked == 2
        assert rotation.moved == ALL - 2
        assert [one.tenant_id for one in rotation.closed] == list(NOCS[:2])
        assert rewrap_all(pool, SecretBox(NEW, previous=[third])).moved == 2
        assert_all_open(pool, SecretBox(NEW))


def test_nothing_is_begun_while_the_new_key_does_not_answer(database_url: str) -> None:
    with filled(database_url, SecretBox(OLD)) as pool:
        with pytest.raises(SecretError, match="KEY_UNAVAILABLE"):
            rewrap_all(pool, SecretBox(Silent(NEW), previous=[OLD]))
        assert_all_open(pool, SecretBox(OLD))


def test_how_field_work_is_followed_is_known_also_while_the_key_does_not_answer(
    database_url: str,
) -> None:
    with filled(database_url, SecretBox(OLD)) as pool:
        accounts = PostgresAccounts(pool, SecretBox(Silent(OLD)))
        terms = PostgresDirectory(pool).field_terms
        assert RememberedInstances(accounts, terms=terms).field_terms(OSPS[0]) == terms(OSPS[0])
        with pytest.raises(SecretError, match="KEY_UNAVAILABLE"):
            RememberedInstances(accounts).field_terms(OSPS[0])
        nobody = RememberedInstances(accounts, terms=terms).field_terms(UUID(int=99))
        assert nobody == FieldTerms()
