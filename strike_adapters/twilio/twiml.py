"""What a person who is rung hears, as TwiML (https://www.twilio.com/docs/voice/twiml)."""

from __future__ import annotations

from typing import Any

from twilio.twiml.voice_response import VoiceResponse  # type: ignore[import-untyped]

from strike_domain.contacts import Language
from strike_domain.voice import Speech

_ONE_MOMENT: dict[Language, str] = {
    Language.ENGLISH: "One moment, please.",
    Language.SPANISH: "Un momento, por favor.",
}


def render_twiml(speech: Speech, key_url: str) -> str:
    """Return the document that speaks, and then waits for one key or hangs up.

    `key_url` is told the key; also that none came, in a POST without or with empty `Digits`. A key
    interrupts the speech, and the time for it begins after the last word.
    """
    response = VoiceResponse()
    if speech.gather is None:
        _say(response, speech)
        response.hangup()
        return str(response)
    gather = response.gather(
        num_digits=1,
        timeout=speech.gather.timeout_seconds,
        action=key_url,
        method="POST",
        action_on_empty_result=True,
    )
    _say(gather, speech)
    return str(response)


def render_wait(redirect_url: str, language: Language) -> str:
    """Return the document for when Strike needs longer than Twilio waits (15 s for an answer).

    `redirect_url` must carry the key pressed: Twilio does not send it again.
    """
    response = VoiceResponse()
    response.say(_ONE_MOMENT[language], language=language.value)
    response.redirect(redirect_url, method="POST")
    return str(response)


def _say(verb: Any, speech: Speech) -> None:
    for sentence in speech.sentences:
        verb.say(sentence, language=speech.language.value)
