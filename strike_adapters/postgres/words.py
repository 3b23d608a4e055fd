"""Words by which people look for an ECO, told the same way when it is stored and when it is asked.

Each stored word begins with the tenant's side and the last digits of its id: so one index holds the
words of all companies, and a question reads only the part of its own, also where a word is only
begun; and of the side that a tenant is not on, it finds at once that there is nothing.
"""

from __future__ import annotations

import re
import unicodedata
from uuid import UUID

from strike_domain.actors import Side

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


def stored_words(noc_id: UUID, osp_id: UUID, *texts: str | None) -> str:
    """The words of some texts for both sides, as a `tsvector` is written."""
    words = words_of(*texts)[:MOST_WORDS]
    marks = (_mark(Side.NOC, noc_id), _mark(Side.OSP, osp_id))
    return " ".join(f"{mark}{word}" for mark in marks for word in words)


def asked_words(side: Side, tenant_id: UUID, text: str) -> str | None:
    """A question for ECOs of the tenant, on that side, that have all these words, as a `tsquery`.

    Each may be the beginning of a longer one. None if there is no word in the text.
    """
    words = words_of(text)[:MOST_ASKED]
    return " & ".join(f"{_mark(side, tenant_id)}{word}:*" for word in words) or None


def _mark(side: Side, tenant_id: UUID) -> str:
    # Ids made one after the other begin alike. Two that also end alike share their part of the
    # index, and no rows: those have the whole id beside it.
    return f"{side[0].lower()}{tenant_id.hex[-8:]}"
