"""Whatever is sent to the API: no 500, nothing of companies that one has nothing to do with.

STRIKE_FUZZ says how many requests; the long form is `tox -e fuzz`, which prints tables.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from pydantic import AnyHttpUrl
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from strike_adapters.postgres import eco_lists
from strike_app import server
from strike_app.bootstrap import open_strike
from strike_app.graphql import Context
from strike_app.settings import Settings
from strike_domain import callouts
from strike_mock.settings import DEFAULT_SIGNER
from tests.integration.fuzz_checks import all_arguments, all_fields, known_codes
from tests.integration.fuzz_harness import SCHEMA, Fuzz
from tests.integration.fuzz_requests import Sent
from tests.integration.stored import Running
from tests.integration.test_access_matrix import unfiltered

# Hypothesis takes what the server's threads draw by chance for a strategy's doing.
# graphql-core awaits nothing more of a selection of which something has failed already.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies"),
    pytest.mark.filterwarnings("ignore:.*_async_resolver:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .*_async_resolver:RuntimeWarning"),
]

REQUESTS = int(os.environ.get("STRIKE_FUZZ", "300"))

LONG = 1_000
"""From so many on they are other ones each time, and tables are printed."""

THOROUGH = 10_000
"""So many are expected to reach most of the schema."""


@pytest.fixture
def fuzz(database_url: str, tmp_path: Path) -> Iterator[Fuzz]:
    """The server with five companies, rates that let everything through, and every follower."""
    everything = Settings(
        database_url=database_url,
        secrets_key_file=tmp_path / "key",
        public_url=AnyHttpUrl("https://strike.example/in"),
        oidc_signer=DEFAULT_SIGNER,
        twilio_base_url=AnyHttpUrl("http://127.0.0.1:9"),
        wait_for_seconds=2,
        rate_per_user="1000000/minute",
        rate_per_tenant="1000000/minute",
    )
    with open_strike(everything) as strike, Running(*strike.followers()):
        opened = Fuzz(strike)
        yield opened
        opened.close()


def run(fuzz: Fuzz, requests: int, *, which: int = 0) -> None:
    """Send so many; the same ones each time, unless they are very many."""
    with Progress(console=Console(), disable=requests < LONG) as progress:
        task = progress.add_task("requests", total=requests)

        @settings(
            max_examples=requests,
            deadline=None,
            database=None,
            # What came before has changed the companies: nothing smaller would tell the same.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(fuzz.requests.strategy())
        def one(sent: Sent) -> None:
            fuzz.send(sent)
            progress.advance(task)

        (one if requests >= LONG else seed(which)(one))()
    fuzz.turn()


def test_no_request_finds_a_500_or_anything_foreign(fuzz: Fuzz) -> None:
    run(fuzz, REQUESTS)
    if REQUESTS >= LONG:
        _report(fuzz, Console(width=140))
    assert not fuzz.findings, "\n\n".join(map(str, fuzz.findings[:20]))
    done, refused = fuzz.reached.done.total(), fuzz.reached.refused.total()
    assert done > REQUESTS / 10 and refused > REQUESTS / 20, "Otherwise nothing is proved."
    if REQUESTS >= THOROUGH:
        assert len(_commands() & set(fuzz.reached.done)) > 0.8 * len(_commands())
        assert len(fuzz.reached.fields & all_fields(SCHEMA)) > 0.85 * len(all_fields(SCHEMA))


def _commands() -> set[str]:
    assert SCHEMA.mutation_type
    return set(SCHEMA.mutation_type.fields)


def _report(fuzz: Fuzz, console: Console) -> None:
    kinds = Table("kind", "requests", "first code of the answer, or its status")
    for kind in sorted({kind for kind, _ in fuzz.kinds}):
        found = Counter({code: n for (one, code), n in fuzz.kinds.items() if one == kind})
        said = ", ".join(f"{code} {n:,}" for code, n in found.most_common())
        kinds.add_row(kind, f"{found.total():,}", said)
    console.print(kinds)
    commands = Table("command", "done", "refused")
    for name in sorted(_commands()):
        done, refused = fuzz.reached.done[name], fuzz.reached.refused[name]
        commands.add_row(name, str(done), str(refused))
    console.print(commands)
    reached = Table("of the schema", "reached", "of", "not")
    for what, got, every in (
        ("fields answered", fuzz.reached.fields, all_fields(SCHEMA)),
        ("arguments taken", fuzz.reached.arguments, all_arguments(SCHEMA)),
        ("codes in the source", {(one,) for one in fuzz.reached.codes}, known_codes()),
    ):
        missing = ", ".join(sorted(".".join(one) for one in every - got))
        reached.add_row(what, str(len(got & every)), str(len(every)), missing)
    console.print(reached)
    told = ", ".join(f"{code} {n:,}" for code, n in fuzz.reached.codes.most_common())
    console.print(f"{len(fuzz.reached.codes)} codes: {told}")
    console.print(f"The slowest answer took {fuzz.slowest:.1f} s; {len(fuzz.findings)} findings.")


# The test can fail -------------------------------------------------------------------------


def _lists_are_those_of_everybody(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both walls: the filter, and whom the connection belongs to."""
    write: Callable[..., str] = eco_lists.ecos_statement
    bare: Any = lambda *wanted, **how: unfiltered(write(*wanted, **how))  # noqa: E731
    monkeypatch.setattr(eco_lists, "ecos_statement", bare)
    asking = fuzz.served.services.queries
    monkeypatch.setattr(asking, "_tenants", asking._pool)


def _everybody_may_change_every_eco(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callouts, "visible", lambda eco, actor: eco)


def _a_resolver_fails(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Context, "may", fail)


def _a_request_fails(fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(server, "asked_in", fail)


PLANTS = (
    (_a_resolver_fails, "INTERNAL"),
    (_a_request_fails, "status 500"),
    (_lists_are_those_of_everybody, "was shown"),
    (_everybody_may_change_every_eco, "stored for"),
)


def test_what_is_planted_is_found(fuzz: Fuzz) -> None:
    for plant, said in PLANTS:
        with pytest.MonkeyPatch.context() as monkeypatch:
            plant(fuzz, monkeypatch)
            # What the server's threads do meanwhile decides how soon a request meets it.
            rounds = iter(range(20))
            while not any(said in one.what for one in fuzz.findings):
                run(fuzz, 100, which=next(rounds))
        fuzz.findings.clear()
