"""How people name things on the command line, and how secrets come in."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import typer

from strike_app.admin.desk import admin_of, system_admin
from strike_app.admin.secret_input import read_secret
from strike_app.cli import app
from strike_app.tenants import choose_tenant
from strike_app.tokens import TOKEN_PREFIX, new_secret
from strike_domain.access import Action, require
from strike_domain.actors import Side
from strike_domain.errors import Forbidden, Rejected
from strike_domain.ports import Tenant


def tenant(number: int, name: str, side: Side = Side.OSP) -> Tenant:
    return Tenant(id=UUID(int=number), name=name, side=side)


NORTH, NORTHERN, EAST = tenant(1, "North"), tenant(2, "Northern Lights"), tenant(3, "East")
KNOWN = [NORTH, NORTHERN, EAST]


# Companies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("north", NORTH), ("light", NORTHERN), (str(EAST.id), EAST), (" EAST ", EAST)],
)
def test_a_company_is_found_by_name_part_of_it_or_id(wanted: str, found: Tenant) -> None:
    assert choose_tenant(KNOWN, wanted) == found


def unknown(wanted: str, known: list[Tenant], side: Side | None = None) -> Rejected:
    with pytest.raises(Rejected) as caught:
        choose_tenant(known, wanted, side)
    return caught.value


def test_a_name_that_fits_several_is_told_with_those_and_an_unknown_one_with_all() -> None:
    several = unknown("t", [NORTH, EAST, tenant(4, "Mine")], Side.OSP)
    assert several.code == "UNKNOWN_CONTRACTOR" and several.message.endswith(": North, East.")
    none = unknown("west", KNOWN, Side.NOC)
    assert none.code == "UNKNOWN_NOC" and none.message.endswith(": North, Northern Lights, East.")
    assert "strike tenant add" in unknown("west", []).message


def test_two_companies_of_one_name_are_told_apart_by_their_ids() -> None:
    twins = [tenant(1, "Twin"), tenant(2, "Twin", Side.NOC)]
    message = unknown("twin", twins).message
    assert f"OSP {UUID(int=1)}" in message and f"NOC {UUID(int=2)}" in message


# Who acts ------------------------------------------------------------------------------------


def test_the_person_at_the_command_line_acts_for_the_company_that_is_named() -> None:
    actor = admin_of(NORTH)
    assert actor.name.startswith("cli:") and actor.tenant_id == NORTH.id
    require(actor, Action.LISTS_EDIT)
    with pytest.raises(Forbidden):
        require(actor, Action.TENANT_ADD)


def test_only_a_tenant_is_added_as_the_system() -> None:
    assert system_admin().name == actor_name()
    require(system_admin(), Action.TENANT_ADD)


def actor_name() -> str:
    return admin_of(NORTH).name


def test_a_user_without_a_name_can_act_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise OSError("no such user")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert admin_of(NORTH).name == "cli:unknown"


# Secrets -------------------------------------------------------------------------------------


def test_a_secret_comes_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    found = read_secret("Token", file)
    assert found and found.get_secret_value() == "s3cret" and "s3cret" not in repr(found)
    file.write_text("\n")
    with pytest.raises(Rejected, match="SECRET_EMPTY"):
        read_secret("Token", file)
    with pytest.raises(Rejected, match="FILE_UNREADABLE"):
        read_secret("Token", tmp_path)


def test_without_a_file_standard_input_is_read_and_nothing_leaves_what_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("s3cret\n"))
    found = read_secret("Token", None)
    assert found and found.get_secret_value() == "s3cret"
    assert read_secret("Token", None) is None


def test_a_terminal_is_asked_without_showing_what_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def prompt(text: str, **options: object) -> str:
        asked.update(options, text=text)
        return " typed "

    terminal = StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    monkeypatch.setattr(typer, "prompt", prompt)
    found = read_secret("Token", None)
    assert found and found.get_secret_value() == "typed"
    assert asked["hide_input"] is True and asked["err"] is True


def test_a_new_token_is_long_and_can_be_recognised() -> None:
    one, other = new_secret().get_secret_value(), new_secret().get_secret_value()
    assert one != other and one.startswith(TOKEN_PREFIX) and len(one) == len(TOKEN_PREFIX) + 43


# Commands ------------------------------------------------------------------------------------


def commands(group: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command with what is typed for it; hidden ones are other names of the same."""
    if not hasattr(group, "commands"):
        yield " ".join(names), group
        return
    for name, command in group.commands.items():
        if not command.hidden:
            yield from commands(command, *names, name)


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_shows_an_example_of_itself() -> None:
    assert len(COMMANDS) > 40
    helps = {name: one.help.partition("Example:")[2] for name, one in COMMANDS.items()}
    assert [name for name, example in helps.items() if f"strike {name}" not in example] == []


def test_no_secret_is_an_argument() -> None:
    for name, command in COMMANDS.items():
        taken = {one.name for one in command.params}
        assert not taken & {"secret", "auth_token", "client_secret", "password"}, name
