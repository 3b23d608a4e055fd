"""Every error of the mock.

MockError
├── ScenarioError
│   ├── UnknownScenario
│   └── InvalidScenario
├── TwilioRefusal       answered to the caller in Twilio's error form
├── TwimlFault          heard by the callee as "an application error has occurred"
├── NotNow              a phone taken by hand cannot do that at this moment
└── Undeliverable       a request of ours reached nobody
"""


class MockError(Exception):
    """Root of the errors that strike_mock raises."""


class ScenarioError(MockError):
    """A scenario cannot be used."""


class UnknownScenario(ScenarioError):
    """No scenario has this name."""


class InvalidScenario(ScenarioError):
    """A scenario file is not what the schema asks for; the message lists every wrong field."""


class TwilioRefusal(MockError):
    """A REST request is refused: HTTP status, Twilio's error number, message.

    Numbers: https://www.twilio.com/docs/api/errors
    """

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class TwimlFault(MockError):
    """TwiML could not be fetched or obeyed: Twilio's error number and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class NotNow(MockError):
    """The call's state does not allow what somebody wants to do by hand; the message says why."""


class Undeliverable(MockError):
    """A callback or TwiML request got no HTTP answer at all: refused, reset or too slow."""
