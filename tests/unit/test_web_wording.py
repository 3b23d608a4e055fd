"""How ECOs look, by how they stand."""

from __future__ import annotations

import pytest

from strike_app.web.wording import is_alarm, tone_of


@pytest.mark.parametrize(
    ("status", "paging", "stale", "tone"),
    [
        ("OPEN", "NO_LIST", False, "bad"),
        ("OPEN", "RUNNING", False, "busy"),
        ("IN_PROGRESS", "ACCEPTED", True, "bad"),
        ("COMPLETED", "NO_LIST", False, "good"),
        ("COMPLETED", "EXHAUSTED", True, "good"),
        ("CLOSED", "EXHAUSTED", False, "calm"),
        ("CANCELLED", "CANCELLED", False, "calm"),
    ],
)
def test_a_repair_that_is_done_is_no_alarm(
    status: str, paging: str, stale: bool, tone: str
) -> None:
    eco = {"status": status, "pagingState": paging, "stale": stale}
    assert tone_of(eco) == tone
    assert is_alarm(eco) == (tone == "bad")
