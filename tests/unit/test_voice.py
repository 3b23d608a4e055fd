"""What is heard on the phone (specification, section 4)."""

from collections.abc import Callable
from string import Formatter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strike_domain import Contact, Language, PagerList
from strike_domain.contacts import DECLINE_KEYS, DeclineKey, DeclineReason
from strike_domain.pager_run import Briefing, RunPlan
from strike_domain.voice import (
    _TEXT,
    CHARACTERS_PER_SECOND,
    MAX_SPOKEN,
    MIN_KEY_SECONDS,
    Speech,
    Voice,
    speakable,
    spelt,
)
from tests.unit.given import ANA, CEM, LIST, OSP

KEY_SECONDS = 20


def voice(
    contact: Contact = ANA,
    description: str = "A cable is cut.",
    keys: tuple[DeclineKey, ...] = DECLINE_KEYS,
    **place: Any,
) -> Voice:
    briefing = Briefing(
        job_number="26-0042",
        job_type="FNOL",
        description=description,
        **{"place": "Near Boulder"} | place,
    )
    people = PagerList(id=LIST, osp_id=OSP, name="n", contacts=(contact,), decline_keys=keys)
    return Voice(contact, briefing, RunPlan.snapshot(people, key_seconds=KEY_SECONDS))


def test_the_prompt_says_what_it_is_about_and_which_key_does_what() -> None:
    speech = voice().prompt()
    text = " ".join(speech.sentences)
    for words in (
        "Ana",
        "two six, zero zero four two",
        "Near Boulder",
        "A cable is cut.",
        "press 1",
        "press 2",
    ):
        assert words in text
    assert speech.gather is not None


def test_a_wrong_key_is_told_so_before_the_prompt_comes_again() -> None:
    speech = voice().prompt(after_wrong_key=True)
    assert "no meaning" in speech.sentences[0]
    assert speech.gather is not None


FAREWELLS: dict[str, Callable[[Voice], Speech]] = {
    "accepted": Voice.accepted,
    "declined": lambda voice: voice.declined(is_last=False),
    "declined as the last": lambda voice: voice.declined(is_last=True),
    "cannot": lambda voice: voice.cannot(is_last=False),
    "cannot, as the last": lambda voice: voice.cannot(is_last=True),
    "too far": lambda voice: voice.too_far(60, is_last=False),
    "too far, as the last": lambda voice: voice.too_far(45, is_last=True),
    "over": Voice.over,
    "silence": Voice.silence,
}


@pytest.mark.parametrize("say", FAREWELLS.values(), ids=list(FAREWELLS))
@pytest.mark.parametrize("contact", [ANA, CEM], ids=["English", "Spanish"])
def test_a_farewell_asks_for_nothing_and_is_in_the_contact_s_language(
    say: Callable[[Voice], Speech], contact: Contact
) -> None:
    speech = say(voice(contact))
    assert speech.gather is None
    assert speech.language is contact.language
    assert len(speech.sentences) == 1 and speech.sentences[0]


def test_who_comes_too_late_hears_who_has_it() -> None:
    assert "Ben already has this job" in voice().taken("Ben").sentences[0]
    assert "Ben ya tiene este trabajo" in voice(CEM).taken("Ben").sentences[0]


def test_every_language_has_the_same_texts_with_the_same_blanks() -> None:
    def blanks(texts: dict[str, str]) -> dict[str, set[str | None]]:
        return {key: {b for _, b, *_ in Formatter().parse(t) if b} for key, t in texts.items()}

    assert set(_TEXT) == set(Language)
    assert all(blanks(texts) == blanks(_TEXT[Language.ENGLISH]) for texts in _TEXT.values())


def test_a_job_number_is_read_digit_by_digit() -> None:
    assert spelt("26-0042") == "two six, zero zero four two"
    assert spelt("26-0042", Language.SPANISH) == "dos seis, cero cero cuatro dos"
    assert spelt("B7") == "B seven"


POINT = {"position": (-105.2706, 40.015), "length_m": 0}


@pytest.mark.parametrize(
    ("contact", "place", "words"),
    [
        (ANA, POINT, "At 40.015 degrees north, 105.271 degrees west."),
        (CEM, POINT, "A 40,015 grados norte, 105,271 grados oeste."),
        (ANA, {"position": (151.2, -33.9)}, "At 33.9 degrees south, 151.2 degrees east."),
        (ANA, {**POINT, "length_m": 2_349}, "2.3 kilometres of cable, from 40.015 degrees"),
        (CEM, {**POINT, "length_m": 350.4}, "350 metros de cable, desde 40,015 grados norte"),
    ],
)
def test_the_place_is_read_in_words(contact: Contact, place: dict[str, Any], words: str) -> None:
    assert words in " ".join(voice(contact, **place).prompt().sentences)


def test_keys_with_a_reason_are_told_as_the_list_has_them() -> None:
    text = " ".join(voice().prompt().sentences)
    assert "If you cannot come, press 3. If you need more than an hour, press 4." in text
    own = (DeclineKey(key="7", reason=DeclineReason.TOO_FAR, minutes=45),)
    text = " ".join(voice(CEM, keys=own).prompt().sentences)
    assert "Si necesita más de 45 minutos, pulse 7." in text
    assert "pulse 3" not in text


def test_who_is_too_far_is_told_not_to_set_off() -> None:
    (sentence,) = voice().too_far(60, is_last=False).sentences
    assert "more than an hour" in sentence
    assert "Do not set off" in sentence


def test_braces_and_format_signs_in_a_description_are_just_read() -> None:
    assert "{name} {0} %s" in " ".join(voice(description="{name} {0} %s").prompt().sentences)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.text(min_size=1, max_size=4_000) | st.just("x" * 4_000) | st.just("word " * 800))
def test_a_prompt_is_over_and_its_key_awaited_before_the_call_is_given_up(description: str) -> None:
    """The run waits twice the key time from the answer; a prompt that takes longer is cut off."""
    longest: dict[str, Any] = {"position": (-179.999, -89.999), "length_m": 123_456}
    for contact in (ANA.model_copy(update={"name": "N" * 100}), CEM):
        speech = voice(contact, description, **longest).prompt()
        assert speech.gather is not None
        spoken = sum(map(len, speech.sentences)) / CHARACTERS_PER_SECOND
        assert MIN_KEY_SECONDS <= speech.gather.timeout_seconds <= KEY_SECONDS
        assert spoken + speech.gather.timeout_seconds <= 2 * KEY_SECONDS
        assert all(sentence.isprintable() for sentence in speech.sentences)


def test_a_long_description_ends_at_a_word() -> None:
    assert speakable("cable " * 100) == "cable " * (MAX_SPOKEN // 6) + "…"
    assert speakable("x" * 300) == "x" * MAX_SPOKEN + " …"


def test_what_cannot_be_read_aloud_is_left_out() -> None:
    assert speakable("Pole\x0b 7\r\nleft\x01 side\t ok") == "Pole 7 left side ok"
