"""What a person who is rung gets to hear, and to read. Words only; how they are spoken is an
adapter's."""

from __future__ import annotations

from dataclasses import dataclass

from strike_domain.contacts import Contact, DeclineReason, Language
from strike_domain.pager_run import Briefing, RunPlan

CHARACTERS_PER_SECOND = 15
"""About how fast a synthetic voice speaks; decides how much of the time for a key is left."""

MIN_KEY_SECONDS = 5

MAX_SPOKEN = 120
"""How many characters of a description are read out: who waits too long for the keys hangs up."""

MAX_NAME = 40
"""How many characters of a name are read out."""


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
        "point": "At {latitude} degrees {north}, {longitude} degrees {east}",
        "line": "{length} of cable, from {latitude} degrees {north}, {longitude} degrees {east}",
        "north": "north",
        "south": "south",
        "east": "east",
        "west": "west",
        "metres": "{number} metres",
        "kilometres": "{number} kilometres",
        "keys": "To accept, press 1. To decline, press 2.{more} To hear this again, press 9.",
        "key_cannot": " If you cannot come, press {key}.",
        "key_too_far": " If you need more than {time}, press {key}.",
        "hour": "an hour",
        "minutes": "{number} minutes",
        "accepted": "Thank you, {name}. Job number {spelt} is yours. Goodbye.",
        "declined": "You declined. The next person will be called. Goodbye.",
        "declined_last": "You declined. There is nobody else on the list; the operations centre "
        "is told. Goodbye.",
        "cannot": "You said that you cannot come. The next person will be called. Goodbye.",
        "cannot_last": "You said that you cannot come. There is nobody else on the list; the "
        "operations centre is told. Goodbye.",
        "too_far": "You said that you need more than {time}. Somebody nearer is looked for. Do not "
        "set off unless you are called again. Goodbye.",
        "too_far_last": "You said that you need more than {time}. There is nobody else on the "
        "list; the operations centre is told. Do not set off unless you are called again. Goodbye.",
        "taken": "{other} already has this job. You are not needed. Goodbye.",
        "over": "This callout is no longer needed. Goodbye.",
        "silence": "No key was pressed. Goodbye.",
        "wrong_key": "That key has no meaning here.",
        "text": "Osprey Strike: emergency callout, job {number}. {description}. Place: {place}. "
        "Accept or decline: {link}",
    },
    Language.SPANISH: {
        "greeting": "Esto es Osprey Strike con un aviso de emergencia para {name}.",
        "job": "Número de trabajo {spelt}. {place}. {description}",
        "point": "A {latitude} grados {north}, {longitude} grados {east}",
        "line": "{length} de cable, desde {latitude} grados {north}, {longitude} grados {east}",
        "north": "norte",
        "south": "sur",
        "east": "este",
        "west": "oeste",
        "metres": "{number} metros",
        "kilometres": "{number} kilómetros",
        "keys": "Para aceptar, pulse 1. Para rechazar, pulse 2.{more} Para oírlo otra vez, "
        "pulse 9.",
        "key_cannot": " Si no puede venir, pulse {key}.",
        "key_too_far": " Si necesita más de {time}, pulse {key}.",
        "hour": "una hora",
        "minutes": "{number} minutos",
        "accepted": "Gracias, {name}. El trabajo número {spelt} es suyo. Adiós.",
        "declined": "Usted lo ha rechazado. Llamaremos a la siguiente persona. Adiós.",
        "declined_last": "Usted lo ha rechazado. No hay nadie más en la lista; avisamos a la "
        "central. Adiós.",
        "cannot": "Ha dicho que no puede venir. Llamaremos a la siguiente persona. Adiós.",
        "cannot_last": "Ha dicho que no puede venir. No hay nadie más en la lista; avisamos a la "
        "central. Adiós.",
        "too_far": "Ha dicho que necesita más de {time}. Buscamos a alguien más cerca. No salga "
        "si no volvemos a llamarle. Adiós.",
        "too_far_last": "Ha dicho que necesita más de {time}. No hay nadie más en la lista; "
        "avisamos a la central. No salga si no volvemos a llamarle. Adiós.",
        "taken": "{other} ya tiene este trabajo. No le necesitamos. Adiós.",
        "over": "Este aviso ya no hace falta. Adiós.",
        "silence": "No se ha pulsado ninguna tecla. Adiós.",
        "wrong_key": "Esa tecla no sirve aquí.",
        "text": "Osprey Strike: aviso de emergencia, trabajo {number}. {description}. "
        "Lugar: {place}. Aceptar o rechazar: {link}",
    },
}

_DIGITS: dict[Language, tuple[str, ...]] = {
    Language.ENGLISH: tuple(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    ),
    Language.SPANISH: tuple(
        ["cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"]
    ),
}

_POINT = {Language.ENGLISH: ".", Language.SPANISH: ","}


class Voice:
    """Speaks to one contact about one callout."""

    def __init__(self, contact: Contact, briefing: Briefing, plan: RunPlan) -> None:
        self._contact = contact
        self._briefing = briefing
        self._plan = plan

    def prompt(self, *, after_wrong_key: bool = False) -> Speech:
        """What it is about, and which key does what."""
        first = self._say("wrong_key") if after_wrong_key else self._say("greeting")
        sentences = (first, self._say("job"), self._say("keys", more=self._more_keys()))
        return Speech(sentences, self._contact.language, Gather(self._silence(sentences)))

    def accepted(self) -> Speech:
        return self._farewell("accepted")

    def declined(self, *, is_last: bool) -> Speech:
        return self._farewell("declined_last" if is_last else "declined")

    def cannot(self, *, is_last: bool) -> Speech:
        return self._farewell("cannot_last" if is_last else "cannot")

    def too_far(self, minutes: int, *, is_last: bool) -> Speech:
        """An offer to come later is noted, and is no order to set off."""
        return self._farewell("too_far_last" if is_last else "too_far", time=self._time(minutes))

    def taken(self, other: str) -> Speech:
        return self._farewell("taken", other=speakable(other, MAX_NAME))

    def over(self) -> Speech:
        return self._farewell("over")

    def silence(self) -> Speech:
        return self._farewell("silence")

    def _farewell(self, key: str, **words: str) -> Speech:
        return Speech((self._say(key, **words),), self._contact.language)

    def _say(self, what: str, **words: str) -> str:
        return self._text(
            what,
            name=speakable(self._contact.name, MAX_NAME),
            spelt=spelt(self._briefing.job_number, self._contact.language),
            place=self._place(),
            description=speakable(self._briefing.description),
            **words,
        )

    def _text(self, what: str, **words: str) -> str:
        return _TEXT[self._contact.language][what].format(**words)

    def _more_keys(self) -> str:
        keys = (
            self._text("key_cannot", key=one.key)
            if one.reason is DeclineReason.CANNOT
            else self._text("key_too_far", key=one.key, time=self._time(one.minutes or 0))
            for one in self._plan.decline_keys
        )
        return "".join(keys)

    def _time(self, minutes: int) -> str:
        return self._text("hour") if minutes == 60 else self._text("minutes", number=str(minutes))

    def _place(self) -> str:
        """Where it is, to a hundred metres: more digits than that nobody keeps in mind."""
        if self._briefing.position is None:
            return speakable(self._briefing.place)
        longitude, latitude = self._briefing.position
        return self._text(
            "line" if self._briefing.length_m else "point",
            length=self._length(self._briefing.length_m),
            latitude=self._number(abs(latitude), 3),
            north=self._text("south" if latitude < 0 else "north"),
            longitude=self._number(abs(longitude), 3),
            east=self._text("west" if longitude < 0 else "east"),
        )

    def _length(self, metres: float) -> str:
        if metres < 1_000:
            return self._text("metres", number=self._number(metres, 0))
        return self._text("kilometres", number=self._number(metres / 1_000, 1))

    def _number(self, value: float, decimals: int) -> str:
        text = f"{value:.{decimals}f}"
        if decimals:
            text = text.rstrip("0").rstrip(".")
        return text.replace(".", _POINT[self._contact.language])

    def _silence(self, sentences: tuple[str, ...]) -> int:
        spoken = sum(map(len, sentences)) // CHARACTERS_PER_SECOND
        return max(MIN_KEY_SECONDS, self._plan.key_seconds - spoken)


def text_of(contact: Contact, briefing: Briefing, link: str) -> str:
    """The text beside a call, in the contact's language. The place is latitude, longitude."""
    place = briefing.place
    if briefing.position is not None:
        longitude, latitude = briefing.position
        place = f"{latitude:.5f}, {longitude:.5f}"
    return _TEXT[contact.language]["text"].format(
        number=briefing.job_number,
        description=speakable(briefing.description).rstrip("."),
        place=speakable(place),
        link=link,
    )


def spelt(number: str, language: Language = Language.ENGLISH) -> str:
    """`26-0042` as it is read aloud, "two six, zero zero four two": a pause at each dash."""
    digits = _DIGITS[language]
    parts = (
        " ".join(digits[int(one)] if one in "0123456789" else one for one in part)
        for part in number.split("-")
    )
    return ", ".join(parts)


def speakable(text: str, limit: int = MAX_SPOKEN) -> str:
    """One line of what can be read aloud; a long text ends after `limit` characters."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    if len(line) <= limit:
        return line
    cut = line[:limit]
    return f"{cut.rpartition(' ')[0] or cut} …"
