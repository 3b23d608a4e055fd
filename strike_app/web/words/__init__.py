"""The console's words in the reader's language. The English ones stand in the templates.

`strike_app/web/words/es.po` is a plain gettext file; a test says which lines it lacks.
"""

from __future__ import annotations

from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.core import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

HERE = Path(__file__).parent

LANGUAGES = {"en": "English", "es": "Español"}


@cache
def words_in(language: str) -> NullTranslations:
    """The translations of a language of `LANGUAGES`; a missing line stays English."""
    if not _file(language).is_file():
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalogue(language))
    compiled.seek(0)
    return GNUTranslations(compiled)


@cache
def catalogue(language: str) -> Catalog:
    """The lines of a language; none where it has no file, as English."""
    if not (file := _file(language)).is_file():
        return Catalog()
    with file.open("rb") as source:
        return read_po(source, locale=language)


def _file(language: str) -> Path:
    return HERE / f"{language}.po"


def language_of(accepted: str) -> str:
    """The best of ours for an Accept-Language header; English where none is."""
    wanted = [part.split(";")[0].strip() for part in accepted.split(",")]
    return negotiate_locale(wanted, [*LANGUAGES], sep="-") or "en"
