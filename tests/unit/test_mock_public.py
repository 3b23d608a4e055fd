"""What strike_mock offers by name, and what it costs to ask."""

import subprocess
import sys
from pathlib import Path

import pytest

import strike_mock
from strike_mock import testing


def test_the_public_names_are_these_and_each_is_there() -> None:
    assert strike_mock.__all__ == [
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
    for name in strike_mock.__all__:
        assert getattr(strike_mock, name).__name__ == name


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Dashboard"):
        _ = strike_mock.Dashboard


def test_asking_for_scenario_names_loads_no_web_server() -> None:
    code = (
        "import sys; from strike_mock.scenarios import names; names();"
        "sys.exit('aiohttp' in sys.modules or 'strike_domain' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=20).returncode == 0


def test_the_test_language_is_public_under_these_names() -> None:
    assert testing.__all__ == [
        "REAL_SECONDS",
        "STEP_SECONDS",
        "WITHIN",
        "Courier",
        "ExpectedPhone",
        "Letter",
        "NightShift",
        "Reply",
        "ScriptedStrike",
        "everybody_by_hand",
    ]
    for name in testing.__all__:
        assert hasattr(testing, name)
    assert (Path(strike_mock.__file__).parent / "py.typed").is_file()
