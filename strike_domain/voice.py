"""What a person who is rung gets to hear. Words only; how they are spoken is an adapter's."""

from __future__ import annotations

from dataclasses import dataclass

from strike_domain.contacts import Contact, Language
from strike_domain.pager_run import Briefing

CHARACTERS_PER_SECOND = 15
"""About how fast a synthetic voice speaks; decides how much of the time for a key is left."""

MIN_KEY_SECONDS = 5

MAX_SPOKEN = 200
"""How much of a description is read out: whoever waits too long for the keys is hung up on."""


@dataclass(frozen=True)
class Gather:
    """Wait for one key, for so many seconds after the last word."""

    timeout_seconds: int


@dataclass(frozen=True)
class Speech:
    """Sentences in one language; with `gather` a key is awaited, without it the call ends."""

    sentences: tuple[str, ...]
    language: Language
    gather: Gather | None = None


_TEXT: dict[Language, dict[str, str]] = {
    Language.ENGLISH: {
        "greeting": "This is Osprey Strike with an emergency callout for {name}.",
        "job": "Job number {spelt}. {place}. {description}",
        "keys": "To accept, press 1. To decline, press 2. To hear this again, press 9.",
        "accepted": "Thank you, {name}. Job number {spelt} is yours. Goodbye.",
        "declined": "You declined. The next person will be called. Goodbye.",
        "declined_last": "You declined. There is nobody else on the list; the operations centre "
        "is told. Goodbye.",
        "taken": "{other} already has this job. You are not needed. Goodbye.",
        "over": "This callout is no longer needed. Goodbye.",
        "silence": "No key was pressed. Goodbye.",
        "wrong_key": "That key has no meaning here.",
    },
    Language.SPANISH: {
        "greeting": "Esto es Osprey Strike con un aviso de emergencia para {name}.",
        "job": "Número de trabajo {spelt}. {place}. {description}",
        "keys": "Para aceptar, pulse 1. Para rechazar, pulse 2. Para oírlo otra vez, pulse 9.",
        "accepted": "Gracias, {name}. El trabajo número {spelt} es suyo. Adiós.",
        "declined": "Usted lo ha rechazado. Llamaremos a la siguiente persona. Adiós.",
        "declined_last": "Usted lo ha rechazado. No hay nadie más en la lista; avisamos a la "
        "central. Adiós.",
        "taken": "{other} ya tiene este trabajo. No le necesitamos. Adiós.",
        "over": "Este aviso ya no hace falta. Adiós.",
        "silence": "No se ha pulsado ninguna tecla. Adiós.",
        "wrong_key": "Esa tecla no sirve aquí.",
    },
}


class Voice:
    """Speaks to one contact about one callout."""

    def __init__(self, contact: Contact, briefing: Briefing, key_seconds: int) -> None:
        self._contact = contact
        self._briefing = briefing
        self._key_seconds = key_seconds

    def prompt(self, *, after_wrong_key: bool = False) -> Speech:
        """What it is about, and which key does what."""
        first = self._say("wrong_key") if after_wrong_key else self._say("greeting")
        sentences = (first, self._say("job"), self._say("keys"))
        return Speech(sentences, self._contact.language, Gather(self._silence(sentences)))

    def accepted(self) -> Speech:
        return self._farewell("accepted")

    def declined(self, *, is_last: bool) -> Speech:
        return self._farewell("declined_last" if is_last else "declined")

    def taken(self, other: str) -> Speech:
        return self._farewell("taken", other=other)

    def over(self) -> Speech:
        return self._farewell("over")

    def silence(self) -> Speech:
        return self._farewell("silence")

    def _farewell(self, key: str, **words: str) -> Speech:
        return Speech((self._say(key, **words),), self._contact.language)

    def _say(self, key: str, **words: str) -> str:
        briefing = self._briefing
        return _TEXT[self._contact.language][key].format(
            name=speakable(self._contact.name),
            spelt=spelt(briefing.job_number),
            place=speakable(briefing.place),
            description=speakable(briefing.description),
            **{key: speakable(word) for key, word in words.items()},
        )

    def _silence(self, sentences: tuple[str, ...]) -> int:
        spoken = sum(map(len, sentences)) // CHARACTERS_PER_SECOND
        return max(MIN_KEY_SECONDS, self._key_seconds - spoken)


def spelt(number: str) -> str:
    """`26-0042` as it is read aloud: digit by digit, with a pause at each dash."""
    return ", ".join(" ".join(part) for part in number.split("-"))


def speakable(text: str) -> str:
    """One line of what can be read aloud; a long text ends after `MAX_SPOKEN` characters."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    if len(line) <= MAX_SPOKEN:
        return line
    cut = line[:MAX_SPOKEN]
    return f"{cut.rpartition(' ')[0] or cut} …"
