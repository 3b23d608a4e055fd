"""Refusals reach the client with the domain's own code, message and path; nothing else does."""

from __future__ import annotations

import pytest
from graphql import GraphQLError

from strike_app.graphql import problems
from strike_app.graphql.problems import presentable, problem_of
from strike_domain import errors


@pytest.mark.parametrize(
    ("error", "member"),
    [
        (errors.Rejected("X", "x", ("location", "coordinates", 0)), problems.Rejected),
        (errors.InvalidTransition("It is closed."), problems.InvalidTransition),
        (errors.NotFound("ECO"), problems.NotFound),
        (errors.Forbidden("No.", "ROLE_MISSING"), problems.Forbidden),
        (errors.Conflict("Again."), problems.Conflict),
    ],
)
def test_every_refusal_has_its_member_with_the_domains_words(
    error: errors.StrikeError, member: type
) -> None:
    problem = problem_of(error)
    assert type(problem) is member
    assert (problem.code, problem.message) == (error.code, error.message)
    assert problem.path == [str(step) for step in error.path]


def test_a_path_goes_through_the_arguments_of_the_mutation() -> None:
    error = errors.Rejected("X", "x", ("location", "coordinates", 0))
    assert problem_of(error, ("input",)).path == ["input", "location", "coordinates", "0"]
    assert problem_of(errors.NotFound("ECO"), ("input",)).path == []


def test_an_outside_failure_is_no_refusal() -> None:
    with pytest.raises(errors.OutcomeUnknown):
        problem_of(errors.OutcomeUnknown("Who knows."))


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_refusal_is_found_however_deep_the_library_wraps_it(depth: int) -> None:
    cause: Exception = errors.WaitTimedOut(7, 5)
    for _ in range(depth):
        cause = GraphQLError("wrapped", original_error=cause)
    assert isinstance(cause, GraphQLError)
    told = presentable(cause, None)
    assert told.extensions == {"code": "WAIT_TIMED_OUT", "path": ["waitFor"]}
    assert told.message.startswith("Position 7")


@pytest.mark.parametrize(
    "error",
    [
        GraphQLError("secret", path=["eco"], original_error=RuntimeError("secret")),
        GraphQLError("secret", original_error=RuntimeError("secret")),
        GraphQLError("secret: an enum has no such value", path=["eco", "status"]),
        GraphQLError(
            "secret",
            path=["eco"],
            original_error=GraphQLError("secret", original_error=KeyError("secret")),
        ),
    ],
)
def test_what_nobody_foresaw_tells_a_stranger_nothing(
    error: GraphQLError, capsys: pytest.CaptureFixture[str]
) -> None:
    told = presentable(error, None)
    assert (told.extensions or {})["code"] == "INTERNAL"
    assert "secret" not in str(told.formatted)
    assert "resolver failed" in capsys.readouterr().out
