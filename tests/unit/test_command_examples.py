"""The command line teaches: every command has an example, and each is one that it takes."""

from __future__ import annotations

import pytest

from docs.pages.commands import Command, every_command
from tests.unit.typed_commands import Mistyped, check, commands_in, options_of

COMMANDS = list(every_command())
RUN = [one for one in COMMANDS if not one.is_group]
NEVER_END = {f"strike {name}" for name in ("follow", "mcp", "mock", "publish", "serve", "work")}
EXIT_STATUS_SAYS_ALL = {f"strike {name}" for name in ("load", "prepare", "seed")}
DANGEROUS = ("secret", "token", "password")


def words_of(command: Command) -> list[str]:
    return next(iter(commands_in(command.example)), [])


def test_there_are_commands() -> None:
    assert len(RUN) > 45
    assert {"strike demo", "strike lists check", "strike export"} <= {one.path for one in RUN}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.path)
def test_a_command_says_what_it_does(command: Command) -> None:
    assert command.told
    without = [one for one in command.parsed.params if not getattr(one, "help", "")]
    assert without == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: one.path)
def test_a_command_is_told_in_one_line_of_a_narrow_terminal(command: Command) -> None:
    """In the list of its group; longer sentences end in dots there."""
    told = command.told.split("\n\n")[0].partition(". ")[0]
    assert len(told) <= 66, told


@pytest.mark.parametrize("command", RUN, ids=lambda one: one.path)
def test_a_command_has_an_example_that_it_takes(command: Command) -> None:
    assert command.path in command.example
    check(words_of(command))


def test_whatever_answers_can_answer_a_program() -> None:
    silent = {one.path for one in RUN if "--json" not in options_of(one.parsed)}
    assert silent == NEVER_END | EXIT_STATUS_SAYS_ALL | {
        "strike schema"
    }  # A schema is for programs as it is.


def test_examples_are_told_apart_from_what_would_be_refused() -> None:
    for wrong in (
        "strike list-check",
        "strike lists chek",
        "strike lists check --mapp x.svg",
        "strike jobs raise Osp --year soon --last 3",
        "strike link propose Bluestem",
        "strike mock --nope",
        "strike --nope",
        "STRIKE_PUBLIC=x strike serve",
        "export STRIKE_NOPE=1",
    ):
        [words] = commands_in(wrong)
        with pytest.raises(Mistyped):
            check(words)


def test_no_option_takes_a_secret() -> None:
    """Every user of the machine could read it there."""
    taken = {name for one in COMMANDS for name in options_of(one.parsed)}
    options = {name for name in taken if name.startswith("-")}
    named = {name for name in options if any(word in name for word in DANGEROUS)}
    assert named == {"--token-file", "--secret-file"}
