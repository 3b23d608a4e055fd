"""Stand-ins for Twilio, Render Networks and the signing load balancer, over real HTTP."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strike_mock.clock import Clock, ScaledClock, SteppedClock, VirtualClock
    from strike_mock.errors import MockError
    from strike_mock.scenarios import Scenario
    from strike_mock.server import Mock, run_mock
    from strike_mock.settings import Account, MockSettings, Person, RenderClient

__all__ = [
    "Account",
    "Clock",
    "Mock",
    "MockError",
    "MockSettings",
    "Person",
    "RenderClient",
    "ScaledClock",
    "Scenario",
    "SteppedClock",
    "VirtualClock",
    "run_mock",
]

_HOMES = {
    "Account": "settings",
    "Clock": "clock",
    "Mock": "server",
    "MockError": "errors",
    "MockSettings": "settings",
    "Person": "settings",
    "RenderClient": "settings",
    "ScaledClock": "clock",
    "Scenario": "scenarios",
    "SteppedClock": "clock",
    "VirtualClock": "clock",
    "run_mock": "server",
}


def __getattr__(name: str) -> Any:
    # aiohttp takes 0.3 s to import: whoever only wants scenario names does not pay for it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
