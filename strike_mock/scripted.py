"""What a test puts at the other end of the line: a Strike that answers by script."""

from __future__ import annotations

from collections.abc import Callable

from strike_mock.courier import Letter, Reply
from strike_mock.errors import Undeliverable
from strike_mock.scenarios import Ending, Phone, Scenario


class ScriptedStrike:
    """A Courier with a scripted Strike at its end; every letter it got is in `letters`.

    `answer` maps a TwiML letter to a document. While `reachable` is False nothing arrives.
    """

    def __init__(self, answer: Callable[[Letter], str] = lambda letter: "<Response/>") -> None:
        self.letters: list[Letter] = []
        self.reachable = True
        self._answer = answer

    async def deliver(self, letter: Letter) -> Reply:
        """Return the scripted answer; raises Undeliverable while not `reachable`."""
        if not self.reachable:
            raise Undeliverable(f"{letter.url}: connection refused")
        self.letters.append(letter)
        if letter.kind == "status":
            return Reply(204, "")
        return Reply(200, self._answer(letter))

    def told(self, call_sid: str) -> list[str]:
        """Return the CallStatus of each status callback about a call, in the order received."""
        return [
            dict(letter.params)["CallStatus"]
            for letter in self.letters
            if letter.kind == "status" and letter.call_sid == call_sid
        ]


def everybody_by_hand() -> Scenario:
    """The scenario in which nobody does anything by themselves."""
    return Scenario(
        name="by-hand",
        title="Everybody by hand",
        story="Whoever is rung does what the test says.",
        phones=(Phone(number="*", by_hand=True),),
        ending=Ending(status="OPEN", paging="EXHAUSTED", render="TASKED"),
    )
