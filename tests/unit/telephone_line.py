"""One call to one phone on the virtual clock, with a scripted Strike at the other end."""

from datetime import datetime
from typing import Any

from strike_mock.calls import Call, CallRequest, CallStatus
from strike_mock.clock import VirtualClock
from strike_mock.courier import Letter
from strike_mock.exchange import Exchange
from strike_mock.ids import Ids
from strike_mock.scenarios import Ending, Phone, Scenario, Timing
from strike_mock.settings import Account
from strike_mock.stage import Stage
from strike_mock.testing import ScriptedStrike

ACCOUNT = Account(sid="AC" + "a" * 32, token="token")
BASE = "https://strike.example/twilio"
ASK = (
    '<Response><Gather numDigits="1" timeout="10" action="key?run=7" actionOnEmptyResult="true">'
    "<Say>Fibre cut. Press 1 to accept.</Say></Gather></Response>"
)
ALL_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})


def strike_that_asks(letter: Letter) -> str:
    """Ask for a key; say back what it did; ask once more after silence."""
    digits = dict(letter.params).get("Digits")
    if digits is None:
        return ASK
    if digits == "":
        return "<Response><Say>We heard nothing.</Say><Hangup/></Response>"
    return f"<Response><Say>You pressed {digits}.</Say><Hangup/><Say>never</Say></Response>"


class Line:
    """One call to one phone, and the clock that drives it."""

    def __init__(
        self, strike: ScriptedStrike | None = None, timing: Timing | None = None, **phone: Any
    ) -> None:
        scenario = Scenario(
            name="test",
            title="t",
            story="s",
            phones=(Phone(number="*", **phone),),
            timing=timing or Timing(),
            ending=Ending(status="OPEN", paging="EXHAUSTED", render="TASKED"),
        )
        self.strike = strike or ScriptedStrike(strike_that_asks)
        self.clock = VirtualClock()
        self.exchange = Exchange(self.clock, self.strike, Stage(scenario), Ids(seed=1))

    def dial(self, **request: Any) -> Call:
        asked: dict[str, Any] = {
            "to": "+15550100001",
            "from_": "+15550100099",
            "url": f"{BASE}/voice",
            "timeout": 30,
            "status_callback": f"{BASE}/status",
            "status_callback_events": ALL_EVENTS,
        }
        return self.exchange.place(ACCOUNT, CallRequest(**asked | request))

    def asked(self) -> list[Letter]:
        """Return the requests for TwiML so far."""
        return [letter for letter in self.strike.letters if letter.kind == "twiml"]

    def told(self) -> list[dict[str, str]]:
        """Return the parameters of the status callbacks so far."""
        return [dict(letter.params) for letter in self.strike.letters if letter.kind == "status"]

    def seconds(self, call: Call, moment: str) -> float:
        at: datetime = call.times[moment]
        return (at - call.created).total_seconds()


def status_of(call: Call) -> CallStatus:
    # A function, so that mypy does not take the status to stay what it was.
    return call.status
