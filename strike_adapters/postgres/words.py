"""Words by which people look for an ECO, told the same way when it is stored and when it is asked.

Each stored word begins with the last digits of the tenant's id: so one index holds the words of
all companies, and a question reads only the part of its own, also where a word is only begun.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from uuid import UUID

MOST_WORDS = 700
"""So many of a text are kept: a description of the greatest length has hardly more."""

MOST_ASKED = 10
"""So many words of a question count."""

LONGEST = 40
"""Characters of a word that count."""

_WORD = re.compile(r"[^\W_]+")


def words_of(*texts: str | None) -> list[str]:
    """The words of some texts, each once, in small letters and without accents.

    What has a hyphen or a point in it, as job numbers have, is one word for each part: `26-0042`
    is found by `26-0042` and by `0042`.
    """
    found: dict[str, None] = {}
    for text in texts:
        bare = unicodedata.normalize("NFKD", text or "")
        bare = "".join(one for one in bare if not unicodedata.combining(one)).casefold()
        found.update(dict.fromkeys(word[:LONGEST] for word in _WORD.findall(bare)))
    return list(found)


def stored_words(tenants: Iterable[UUID], *texts: str | None) -> str:
    """The words of some texts for each of the tenants, as a `tsvector` is written."""
    words = words_of(*texts)[:MOST_WORDS]
    return " ".join(sorted(f"{_mark(one)}{word}" for one in set(tenants) for word in words))


def asked_words(tenant_id: UUID, text: str) -> str | None:
    """A question for ECOs of the tenant that have all these words, as a `tsquery` is written.

    Each may be the beginning of a longer one. None if there is no word in the text.
    """
    words = words_of(text)[:MOST_ASKED]
    return " & ".join(f"{_mark(tenant_id)}{word}:*" for word in words) or None


def _mark(tenant_id: UUID) -> str:
    # Ids made one after the other begin alike. Two that also end alike share their part of the
    # index, and no rows: those have the whole id beside it.
    return tenant_id.hex[-8:]
