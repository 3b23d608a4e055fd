"""An account starts so many calls a second, and the others wait for their turn."""

from strike_mock.calls import Call, CallRequest, CallStatus
from strike_mock.scenarios import Timing
from strike_mock.settings import Account
from tests.unit.telephone_line import Line, status_of

OTHER = Account(sid="AC" + "b" * 32, token="another")


def started(line: Line, calls: list[Call]) -> list[float]:
    return [line.seconds(call, "initiated") for call in calls]


async def test_calls_start_one_a_second_in_the_order_they_were_made() -> None:
    line = Line()
    calls = [line.dial() for _ in range(3)]
    await line.clock.advance(1.5)
    assert [status_of(call) for call in calls] == [
        CallStatus.RINGING,
        CallStatus.INITIATED,
        CallStatus.QUEUED,
    ]
    await line.clock.advance(2)
    assert started(line, calls) == [0.2, 1.2, 2.2]


async def test_a_call_tells_how_long_it_will_wait_in_milliseconds() -> None:
    line = Line()
    first, second, third = [line.dial() for _ in range(3)]
    assert [call.queue_ms for call in (first, second, third)] == [0, 1000, 2000]
    await line.clock.advance(2.25)
    assert line.dial().queue_ms == 750
    assert third.as_story()["queue_ms"] == 2000


async def test_a_canceled_call_leaves_the_queue() -> None:
    line = Line()
    first, second, third = [line.dial() for _ in range(3)]
    await line.clock.advance(0.5)
    line.exchange.cancel(second)
    assert status_of(second) is CallStatus.CANCELED
    await line.clock.advance(5)
    assert started(line, [first, third]) == [0.2, 1.2]
    assert line.strike.told(second.sid) == ["canceled"]


async def test_a_call_canceled_before_anything_happened_holds_nobody_up() -> None:
    line = Line()
    first = line.dial()
    line.exchange.cancel(first)
    second = line.dial()
    await line.clock.advance(5)
    assert started(line, [second]) == [0.2]


async def test_each_account_has_a_queue_of_its_own() -> None:
    line = Line()
    first = line.dial()
    other = line.exchange.place(OTHER, CallRequest("+15550100001", "+15550100099", twiml="<R/>"))
    await line.clock.advance(5)
    assert started(line, [first, other]) == [0.2, 0.2]
    assert other.queue_ms == 0


async def test_an_account_may_be_allowed_more() -> None:
    line = Line(timing=Timing(calls_per_second=4))
    calls = [line.dial() for _ in range(3)]
    await line.clock.advance(5)
    assert started(line, calls) == [0.2, 0.45, 0.7]


async def test_the_answer_clock_starts_after_the_queue() -> None:
    line = Line()
    calls = [line.dial(timeout=10) for _ in range(5)]
    await line.clock.advance(60)
    rang = [line.seconds(call, "no-answer") - line.seconds(call, "ringing") for call in calls]
    assert rang == [15.0] * 5
