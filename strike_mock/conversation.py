"""An answered call: TwiML obeyed verb by verb, until it hangs up or runs out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urljoin, urlsplit

from strike_mock.clock import Clock, first_of
from strike_mock.courier import Params
from strike_mock.errors import TwimlFault
from strike_mock.phones import Finger, Keypad, Keys
from strike_mock.scenarios import Timing
from strike_mock.twiml import Gather, Hangup, Pause, Play, Prompt, Redirect, Verb, parse

# Fetches the document at an absolute URL with extra parameters; raises TwimlFault.
Fetch = Callable[[str, str, Params], Awaitable[str]]

APPLICATION_ERROR = "We are sorry, an application error has occurred. Goodbye."
_MOST_DOCUMENTS = 100
_NOT_ABSOLUTE = 15004


class Conversation:
    """Reads TwiML to one callee. What was said is appended to `heard`, faults to `errors`."""

    def __init__(
        self,
        *,
        fetch: Fetch,
        keypad: Keypad,
        finger: Finger,
        clock: Clock,
        timing: Timing,
        heard: list[str],
        errors: list[str],
    ) -> None:
        self._fetch = fetch
        self._keypad = keypad
        self._finger = finger
        self._clock = clock
        self._timing = timing
        self._heard = heard
        self._errors = errors

    async def run(self, url: str | None, method: str, twiml: str | None) -> None:
        """Obey `twiml`, or else the document at `url`, and whatever that leads to.

        A fault is what the callee hears as "an application error has occurred", and the end.
        """
        try:
            await self._obey_all(url or "", method, twiml)
        except TwimlFault as fault:
            self._errors.append(f"{fault.code}: {fault}")
            await self._say(APPLICATION_ERROR)

    async def _obey_all(self, url: str, method: str, twiml: str | None) -> None:
        document = twiml if twiml is not None else await self._fetch(method, url, ())
        for _ in range(_MOST_DOCUMENTS):
            onward = await self._obey(document)
            if onward is None:
                return
            url = _absolute(url, onward.url)
            document = await self._fetch(onward.method, url, onward.params)
        raise TwimlFault(12100, f"more than {_MOST_DOCUMENTS} documents in one call")

    async def _obey(self, document: str) -> _Onward | None:
        for verb in parse(document):
            if isinstance(verb, Hangup):
                return None
            onward = await self._do(verb)
            if onward is not None:
                return onward
        return None

    async def _do(self, verb: Verb) -> _Onward | None:
        if isinstance(verb, Redirect):
            return _Onward(verb.method, verb.url)
        if isinstance(verb, Gather):
            return await self._gather(verb)
        if isinstance(verb, Prompt):
            await self._utter(verb)
        return None

    async def _gather(self, gather: Gather) -> _Onward | None:
        keys = Keys(gather.num_digits, gather.finish_on_key)
        with self._keypad.listening(keys):
            self._finger.asked()
            await self._collect(gather, keys)
        if not keys.digits and not gather.action_on_empty_result:
            return None
        params = (
            ("Digits", keys.digits),
            ("FinishedOnKey", keys.finished_on),
            ("msg", "Gather End"),
        )
        return _Onward(gather.method, gather.action, params)

    async def _collect(self, gather: Gather, keys: Keys) -> None:
        """A key cuts the prompts short; the time-out starts when they are over."""
        goes_on = await first_of(_key(keys), self._prompt_then_wait(gather))
        while goes_on and not keys.is_complete:
            self._finger.asked()
            goes_on = await first_of(_key(keys), self._silence(gather.timeout))

    async def _prompt_then_wait(self, gather: Gather) -> bool:
        for prompt in gather.prompts:
            await self._utter(prompt)
        return await self._silence(gather.timeout)

    async def _silence(self, seconds: float) -> bool:
        await self._clock.sleep(seconds)
        return False

    async def _utter(self, verb: Prompt) -> None:
        if isinstance(verb, Pause):
            await self._clock.sleep(verb.seconds)
            return
        for _ in range(verb.times):
            if isinstance(verb, Play):
                await self._play(verb.url)
            else:
                await self._say(verb.text)

    async def _say(self, text: str) -> None:
        self._heard.append(text)
        await self._clock.sleep(len(text.split()) / self._timing.words_per_second)

    async def _play(self, url: str) -> None:
        self._heard.append(f"(a recording: {url})")
        await self._clock.sleep(self._timing.play_seconds)


def _absolute(base: str, url: str) -> str:
    joined = urljoin(base, url)
    if not urlsplit(joined).scheme:
        raise TwimlFault(_NOT_ABSOLUTE, f"TwiML that has no URL needs absolute ones, not {url!r}")
    return joined


async def _key(keys: Keys) -> bool:
    await keys.pressed()
    return True


class _Onward:
    """The document to go on with."""

    def __init__(self, method: str, url: str, params: Params = ()) -> None:
        self.method = method
        self.url = url
        self.params = params
