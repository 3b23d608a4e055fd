"""What is said reaches Twilio as TwiML, whatever characters it is made of."""

from xml.etree import ElementTree

from strike_adapters.twilio.twiml import render_twiml, render_wait
from strike_domain.contacts import Language
from strike_domain.voice import Gather, Speech

KEY_URL = "https://strike.example/twilio/key/1/2?try=1&more=2"


def parsed(document: str) -> ElementTree.Element:
    return ElementTree.fromstring(document)  # noqa: S314


def test_a_prompt_waits_for_one_key_and_tells_also_that_none_came() -> None:
    speech = Speech(("Cut fibre.", "Press 1."), Language.ENGLISH, Gather(12))
    (gather,) = parsed(render_twiml(speech, KEY_URL))
    assert gather.tag == "Gather"
    assert gather.attrib == {
        "numDigits": "1",
        "timeout": "12",
        "action": KEY_URL,
        "method": "POST",
        "actionOnEmptyResult": "true",
    }
    assert [(one.tag, one.text) for one in gather] == [("Say", "Cut fibre."), ("Say", "Press 1.")]


def test_a_farewell_hangs_up_after_the_last_word() -> None:
    response = parsed(render_twiml(Speech(("Thank you.", "Goodbye."), Language.ENGLISH), KEY_URL))
    assert [one.tag for one in response] == ["Say", "Say", "Hangup"]


def test_each_contact_is_spoken_to_in_their_language() -> None:
    speech = Speech(("Para aceptar, pulse 1.",), Language.SPANISH, Gather(5))
    (said,) = parsed(render_twiml(speech, KEY_URL)).iter("Say")
    assert said.attrib == {"language": "es-US"} and said.text == "Para aceptar, pulse 1."


def test_a_description_cannot_add_verbs_of_its_own() -> None:
    text = '5th & Main <Dial>+1900</Dial> <&> "quoted" ]]>'
    document = render_twiml(Speech((text,), Language.ENGLISH, Gather(5)), KEY_URL)
    assert [one.tag for one in parsed(document).iter()] == ["Response", "Gather", "Say"]
    assert next(parsed(document).iter("Say")).text == text


def test_accents_survive() -> None:
    text = "Número de trabajo, señor Peña – ¿sí?"
    assert (
        next(parsed(render_twiml(Speech((text,), Language.SPANISH), "")).iter("Say")).text == text
    )


def test_waiting_says_so_and_comes_back_with_the_key() -> None:
    url = "https://strike.example/twilio/key/1/2?Digits=1&retry=2"
    said, redirect = parsed(render_wait(url, Language.ENGLISH))
    assert said.tag == "Say" and said.text == "One moment, please."
    assert redirect.tag == "Redirect" and redirect.text == url
    assert redirect.attrib == {"method": "POST"}


def test_waiting_can_be_said_in_every_language() -> None:
    spoken = {next(parsed(render_wait("x", one)).iter("Say")).text for one in Language}
    assert len(spoken) == len(Language)
