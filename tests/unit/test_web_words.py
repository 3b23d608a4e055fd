"""Every line of the console has its Spanish one, and none is left over."""

from __future__ import annotations

from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import strike_app.web.words as words
from strike_app.web.words import LANGUAGES, language_of, words_in

WEB = Path(words.__file__).parent.parent

METHODS = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
OPTIONS = {"**.html": {"trimmed": "true", "silent": "false"}}


def said() -> set[str]:
    """What templates and code say, in English."""
    found = extract_from_dir(
        WEB, METHODS, OPTIONS, keywords={"_": None, "N_": None, "ngettext": (1, 2)}
    )
    return {text if isinstance(text, str) else text[0] for _, _, text, *_ in found}


def told(language: str) -> dict[str, bool]:
    """What a language's file says, and whether it is translated."""
    with (WEB / "words" / f"{language}.po").open("rb") as file:
        catalog = read_po(file, locale=language)
    return {
        message.id if isinstance(message.id, str) else message.id[0]: all(
            message.string if isinstance(message.string, tuple | list) else [message.string]
        )
        for message in catalog
        if message.id and message.context is None
    }


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_every_line_is_translated_and_none_is_left_over(language: str) -> None:
    known = told(language)
    assert said() - known.keys() == set()
    assert known.keys() - said() == set()
    assert [text for text, is_translated in known.items() if not is_translated] == []


def test_the_browser_is_asked_for_the_language() -> None:
    assert language_of("es-MX,es;q=0.9,en;q=0.8") == "es"
    assert language_of("fr,en-US;q=0.5") == "en"
    assert language_of("") == "en"


def test_a_line_without_translation_stays_english() -> None:
    assert words_in("es").gettext("Nobody has said this") == "Nobody has said this"
