"""Strike's time: the computer's, or a faster one that all processes of a demo share."""

from __future__ import annotations

from datetime import UTC, datetime


class ScaledClock:
    """Time that runs `speed` times as fast as real time since `epoch`; speed 1 is real time."""

    def __init__(self, speed: float = 1.0, epoch: datetime | None = None) -> None:
        self._speed = speed
        self._epoch = epoch or datetime.now(UTC)

    def now(self) -> datetime:
        """The present moment of this clock, in UTC."""
        wall = datetime.now(UTC)
        return wall if self._speed == 1.0 else self._epoch + (wall - self._epoch) * self._speed

    def seconds_until(self, moment: datetime) -> float:
        """Seconds of real time until `moment`; negative if it has passed."""
        return (moment - self.now()).total_seconds() / self._speed
