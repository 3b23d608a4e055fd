"""The stream in NATS: opened, made if it is not there, never changed; what is its last message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, repeat

import nats
import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import Header, RetentionPolicy, StorageType, StreamConfig, StreamInfo
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from strike_adapters.jetstream.acks import Acknowledged, Answer, Outgoing
from strike_adapters.jetstream.messages import (
    EVENT_ID,
    POSITION,
    SIDE,
    SIDES,
    SUBJECTS,
    Message,
)
from strike_domain.actors import Side
from strike_domain.errors import Rejected, Unavailable

DUPLICATE_WINDOW = timedelta(hours=1)
"""How long the stream remembers message ids at least."""

DEFAULT_MAX_AGE = timedelta(days=30)

CONNECT_SECONDS = 3
ANSWER_SECONDS = 10.0
"""How long the stream may take to acknowledge a batch, or to answer a question."""

FOR_HEADERS = 1_024
"""Bytes of a message that are kept for its headers."""

logger = structlog.get_logger()


@dataclass(frozen=True)
class Target:
    """Where to publish. `url` may name several servers of one cluster, separated by commas."""

    url: str = field(repr=False)  # It may hold a password.
    stream: str = "STRIKE"
    max_age: timedelta | None = None
    """How long the stream keeps messages. None: 30 days in a new one, in another its own."""

    @property
    def servers(self) -> list[str]:
        return [part.strip() for part in self.url.split(",") if part.strip()]


@dataclass(frozen=True)
class Published:
    """The stream's last message, if it is one of ours."""

    position: int
    side: Side
    event_id: str

    @property
    def place(self) -> tuple[int, int]:
        return self.position, SIDES.index(self.side)


class Stream:
    """An open stream. After a lost connection it is of no use: open another."""

    def __init__(
        self,
        client: Client,
        jetstream: JetStreamContext,
        info: StreamInfo,
        acknowledged: Acknowledged,
    ) -> None:
        self._client = client
        self._jetstream = jetstream
        self._name = str(info.config.name)
        most = info.config.max_msg_size or -1
        self.most_bytes = min(client.max_payload, most if most > 0 else 2**31) - FOR_HEADERS
        self._acknowledged = acknowledged

    @property
    def is_lost(self) -> bool:
        return not self._client.is_connected

    async def last_sequence(self) -> int:
        """The sequence number of the newest message; 0 in a stream that never had one."""
        info = await self._jetstream.stream_info(self._name)
        return info.state.last_seq

    async def message_at(self, sequence: int) -> Published | None:
        """The message of that number; None if it is gone, or not one of ours."""
        try:
            found = await self._jetstream.get_msg(self._name, sequence)
        except NotFoundError:
            return None
        headers = found.headers or {}
        if POSITION not in headers:
            return None
        return Published(int(headers[POSITION]), Side(headers[SIDE].upper()), headers[EVENT_ID])

    async def send(self, messages: Sequence[Message], last: int, step: int = 1) -> list[Answer]:
        """Publish all of them, then wait: one answer for each.

        Each message names the number that the one before it must have, `step` more than the last
        one did: so none is stored unless all before it are, and none of a publisher whose turn is
        over. Step 0 is for messages that are expected to be there already, and take no number.
        """
        outgoing = [
            Outgoing(one.subject, one.body, self._headers(one, number))
            for number, one in zip(_numbers(last, step), messages, strict=False)
        ]
        return await self._acknowledged.send(outgoing, ANSWER_SECONDS)

    def _headers(self, message: Message, last: int) -> dict[str, str]:
        return {
            **message.headers,
            Header.EXPECTED_STREAM.value: self._name,
            Header.EXPECTED_LAST_SEQUENCE.value: str(last),
        }


def _numbers(first: int, step: int) -> Iterator[int]:
    return repeat(first) if step == 0 else count(first, step)


@asynccontextmanager
async def open_stream(target: Target) -> AsyncIterator[Stream]:
    """Connect, and open the stream or make it.

    Raises `Unavailable` (NATS_UNREACHABLE, JETSTREAM_OFF) and `Rejected` (STREAM_DIFFERS: it is
    there, but not as it has to be).
    """
    opened: list[Acknowledged] = []

    async def lost() -> None:
        for one in opened:
            one.lost()

    client = await _connected(target, lost)
    try:
        jetstream = client.jetstream(timeout=ANSWER_SECONDS)
        info = await _found_or_made(jetstream, target)
        _check(info.config, target)
        opened.append(Acknowledged(client))
        await opened[0].begin()
        yield Stream(client, jetstream, info, opened[0])
    finally:
        await client.close()


async def _connected(target: Target, lost: Callable[[], Awaitable[None]]) -> Client:
    reason = "nobody answers there"

    async def on_error(error: Exception) -> None:
        nonlocal reason
        reason = str(error).removeprefix("nats: ") or type(error).__name__
        logger.debug("nats", error=reason)

    try:
        return await nats.connect(
            target.servers,
            name="strike publish",
            connect_timeout=CONNECT_SECONDS,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            disconnected_cb=lost,
            error_cb=on_error,
        )
    except (nats.errors.Error, OSError, ValueError, TimeoutError) as error:
        message = (
            f"The NATS server cannot be reached: {reason}. Check STRIKE_NATS_URL, and that the "
            "server runs."
        )
        raise Unavailable(message, "NATS_UNREACHABLE") from error


async def _found_or_made(jetstream: JetStreamContext, target: Target) -> StreamInfo:
    try:
        return await jetstream.stream_info(target.stream)
    except NotFoundError:
        pass
    except (ServiceUnavailableError, nats.errors.NoRespondersError) as error:
        raise _off() from error
    try:
        info = await jetstream.add_stream(_wanted(target))
    except ServiceUnavailableError as error:
        raise _off() from error
    except APIError as error:
        message = f"The stream {target.stream} cannot be made: {error.description}."
        raise Rejected("STREAM_DIFFERS", message) from error
    logger.info("stream made", stream=target.stream)
    return info


def _off() -> Unavailable:
    message = "The NATS server has no JetStream: start it with it (nats-server -js)."
    return Unavailable(message, "JETSTREAM_OFF")


def _wanted(target: Target) -> StreamConfig:
    return StreamConfig(
        name=target.stream,
        description="Osprey Strike's notification log",
        subjects=[SUBJECTS],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        duplicate_window=DUPLICATE_WINDOW.total_seconds(),
        max_age=(target.max_age or DEFAULT_MAX_AGE).total_seconds(),
    )


def _check(found: StreamConfig, target: Target) -> None:
    """Raises `Rejected` if the stream could lose, repeat or hide what is published."""
    wrong = []
    if found.subjects != [SUBJECTS]:
        wrong.append(f"its subjects must be {SUBJECTS} alone")
    if found.storage != StorageType.FILE:
        wrong.append("it must be kept in files")
    if found.retention != RetentionPolicy.LIMITS:
        wrong.append("its retention must be by limits")
    if (found.duplicate_window or 0) < DUPLICATE_WINDOW.total_seconds():
        wrong.append("its duplicate window must be an hour or more")
    if found.no_ack or found.mirror or found.sources or found.sealed:
        wrong.append("it must acknowledge, and be neither a mirror, nor have sources, nor sealed")
    age = timedelta(seconds=found.max_age or 0)
    if target.max_age is not None and age != target.max_age:
        wrong.append(f"it keeps messages for {age}, and STRIKE_NATS_MAX_AGE_DAYS says otherwise")
    if wrong:
        raise Rejected(
            "STREAM_DIFFERS",
            f"The stream {target.stream} is not as it has to be, and is left as it is: "
            f"{'; '.join(wrong)}.",
        )
