"""How pages of the repository become pages of the site."""

from __future__ import annotations

import pytest

from docs.pages import errors, events, examples
from docs.pages.dialect import for_site
from docs.pages.links import on_site
from strike_domain import events as known


@pytest.mark.parametrize(
    ("page", "written", "shown"),
    [
        ("a.md", "[x](b.md#c)", "[x](b.md#c)"),
        ("a.md", "[x](https://example.org/a.py)", "[x](https://example.org/a.py)"),
        ("a.md", "[x](#c)", "[x](#c)"),
        ("a.md", "![x](images/a.png)", "![x](images/a.png)"),
        ("a.md", "[1](../examples/01_first_callout.py)", "[1](tutorial/01_first_callout.md)"),
        ("decisions/a.md", "[s](../../strike_app/settings.py)", "[s](../reference/settings.md)"),
        ("a.md", "[all](decisions/)", "[all](decisions/index.md)"),
        ("a.md", "[the test](../tests/x.py)", "the test (`tests/x.py`)"),
    ],
)
def test_links_lead_to_what_shows_the_file(page: str, written: str, shown: str) -> None:
    assert on_site(written, page) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Two:\n- a\n- b\n  and more\n- c", "Two:\n\n- a\n- b\n  and more\n- c"),
        ("First:\n1. a", "First:\n\n1. a"),
        ("So:\n| a |\n|---|", "So:\n\n| a |\n|---|"),
        ("```text\nTwo:\n- a\n```", "```text\nTwo:\n- a\n```"),
        ("It is\n-1 there", "It is\n-1 there"),
        (r"| `a \| b` | c \| d |", r"| `a | b` | c \| d |"),
        ("```sh\n| `a \\| b`\n```", "```sh\n| `a \\| b`\n```"),
    ],
)
def test_what_the_site_reads_otherwise_is_written_for_it(written: str, shown: str) -> None:
    assert for_site(written) == shown


def test_every_event_is_in_the_catalogue_with_its_own_fields() -> None:
    page = events.page()
    for name in known.__all__:
        assert f"### {name}\n\n`{getattr(known, name).TOPIC}`" in page
    started = page.partition("### PagerRunStarted")[2].partition("### ")[0]
    assert "version 3" in started and "| `briefing` | [`Briefing`](#briefing) |" in started
    assert "originator_topic" not in page
    assert "One of `LOW`, `NORMAL`, `HIGH`, `CRITICAL`." in page


@pytest.fixture(scope="module")
def codes() -> list[str]:
    return errors.page().splitlines()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("NO_ACTIVE_LINK", "There is no active link with this contractor"),
        ("ONLY_ONE", "nobody else is rung"),  # The second text of that name in its function.
        ("INVALID_TRANSITION", "said case by case"),
        ("ROLE_MISSING", "This needs the role …; yours is …."),
    ],
)
def test_a_code_is_listed_with_what_is_said(codes: list[str], code: str, said: str) -> None:
    [row] = [one for one in codes if one.startswith(f"| `{code}` |")]
    assert said in row


def test_a_page_of_the_tutorial_is_the_whole_file() -> None:
    for example in examples.examples():
        page = examples.page(example)
        code = example.read_text("utf-8").split('"""', 2)[2]
        lines = [one for one in code.splitlines() if one.strip() and "-----" not in one]
        assert [one for one in lines if one not in page] == []
        for file in examples.beside(example):
            assert file.read_text("utf-8").strip() in page
    assert examples.beside(examples.examples()[13])
