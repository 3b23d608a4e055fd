"""The one way out: every request the mock makes to Strike leaves through a Courier.

Faults on that edge (lost, late, doubled, shuffled, corrupted) are couriers around a courier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urldefrag, urlencode

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar
from yarl import URL

from strike_mock.errors import Undeliverable
from strike_mock.signing import signature
from strike_mock.tracing import NoTraces, Traces

Params = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Letter:
    """A request to Strike: for TwiML, or to tell a status, who answered, what became of a text.

    `call_sid` is the text's in that case. `token` signs it. `sealed` is the signature it was given
    before somebody changed it on the way.
    """

    kind: Literal["status", "twiml", "amd", "text"]
    call_sid: str
    method: str
    url: str
    params: Params
    token: str
    sealed: str | None = None

    def address(self) -> str:
        """Return the URL as requested: without fragment, and with the parameters if it is a GET."""
        url = urldefrag(self.url).url
        if self.method == "POST" or not self.params:
            return url
        return url + ("&" if "?" in url else "?") + urlencode(self.params)

    def signature(self) -> str:
        """Return the letter's X-Twilio-Signature."""
        if self.sealed is not None:
            return self.sealed
        posted = self.params if self.method == "POST" else ()
        return signature(self.token, self.address(), posted)


@dataclass(frozen=True)
class Reply:
    """Strike's HTTP answer."""

    status: int
    body: str


class Courier(Protocol):
    """Takes letters to Strike."""

    async def deliver(self, letter: Letter) -> Reply:
        """Return the answer; raises Undeliverable when there is none."""
        ...


class HttpCourier:
    """Delivers over HTTP.

    Waits `timeout` seconds for an answer, 15 as Twilio does: wall-clock seconds, because Strike's
    work does not get faster when the simulated time does.
    """

    def __init__(self, timeout: float = 15.0, traces: Traces | None = None) -> None:
        self._traces = traces or NoTraces()
        self._timeout = ClientTimeout(total=timeout)
        self._session: ClientSession | None = None

    async def deliver(self, letter: Letter) -> Reply:
        """Return the answer; raises Undeliverable when there is none."""
        session = self._open_session()
        try:
            with self._traces.tells(letter.call_sid, letter.kind) as headers:
                async with session.request(
                    letter.method,
                    # Strike checks the signature over this very spelling: no quoting anew.
                    URL(letter.address(), encoded=True),
                    data=dict(letter.params) if letter.method == "POST" else None,
                    headers={"X-Twilio-Signature": letter.signature(), **headers},
                    allow_redirects=False,
                ) as answer:
                    return Reply(answer.status, await answer.text())
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            raise Undeliverable(f"{letter.url}: {str(error) or type(error).__name__}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open_session(self) -> ClientSession:
        if self._session is None:
            headers = {"User-Agent": "TwilioProxy/1.1 (strike_mock)"}
            self._session = ClientSession(
                timeout=self._timeout, headers=headers, cookie_jar=DummyCookieJar()
            )
        return self._session
