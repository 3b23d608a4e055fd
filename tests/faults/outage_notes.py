"""What clients write down while everything around them dies: each command that they gave.

Before it is given, a command's own word is noted, and its answer afterwards. The word (a client
reference, a text) goes into the event, and no other command has it: by it the log is searched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Note(BaseModel):
    """One line of a client's file. Times are of `time.monotonic`, which all processes share."""

    model_config = ConfigDict(frozen=True)

    what: Literal["asked", "acknowledged", "refused", "failed", "seen"]
    word: str
    by: str
    """Which server, or which writer, was asked."""
    began: float
    at: float
    eco_id: UUID | None = None
    position: int | None = None
    why: str | None = None


class Notebook:
    """A client's file. What a write has given to the system survives the death of its process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(self._file, b"\n")  # Whoever had it before may have died in the middle of a line.

    def close(self) -> None:
        os.close(self._file)

    def ask(self, word: str, by: str) -> Asked:
        """Note that a command is about to be given."""
        asked = Asked(self, word, by)
        asked.note("asked")
        return asked

    def write(self, note: Note) -> None:
        os.write(self._file, (note.model_dump_json(exclude_none=True) + "\n").encode())


class Asked:
    """A command that was given; whoever gave it notes how it ended."""

    def __init__(self, book: Notebook, word: str, by: str) -> None:
        self._book, self._word, self._by = book, word, by
        self._began = time.monotonic()

    def acknowledged(self, eco_id: UUID, position: int) -> None:
        self.note("acknowledged", eco_id=eco_id, position=position)

    def seen(self, eco_id: UUID) -> None:
        self.note("seen", eco_id=eco_id)

    def refused(self, why: str) -> None:
        """By the domain: nothing was stored."""
        self.note("refused", why=why)

    def failed(self, why: str) -> None:
        """Nobody knows what became of it."""
        self.note("failed", why=why)

    def note(
        self,
        what: Literal["asked", "acknowledged", "refused", "failed", "seen"],
        eco_id: UUID | None = None,
        position: int | None = None,
        why: str | None = None,
    ) -> None:
        note = Note(
            what=what,
            word=self._word,
            by=self._by,
            began=self._began,
            at=time.monotonic(),
            eco_id=eco_id,
            position=position,
            why=why,
        )
        self._book.write(note)


def read(path: Path) -> Iterator[Note]:
    """The lines of a file, but those that their writer died in."""
    if path.exists():
        for line in path.read_bytes().splitlines():
            if line.endswith(b"}"):
                yield Note.model_validate_json(line)


def unanswered(notes: list[Note], prefix: str) -> set[str]:
    """Words with that beginning of which nobody has said what became of them."""
    settled = {one.word for one in notes if one.what in ("acknowledged", "refused")}
    return {one.word for one in notes if one.word.startswith(prefix)} - settled
