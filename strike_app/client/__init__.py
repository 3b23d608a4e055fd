"""Strike for other services: every callout command, question and change feed, typed.

    async with StrikeClient("https://strike.example/graphql", token) as strike:
        made = await strike.create_eco(
            osp_id=contractor, location=point(-105.27, 40.01), job_type="FNOL", description="Cut"
        )
        async for change in strike.changes(Change, after=made.position):
            print(change.line)

A class says what is asked for: one of your own with five fields asks for those five. More in
docs/client.md.
"""

from strike_app.client.client import StrikeClient, point
from strike_app.client.connection import Patience
from strike_app.client.errors import Refused, StreamEnded, StrikeError, Unreachable
from strike_app.client.models import (
    Alert,
    Answer,
    Box,
    Call,
    Change,
    Changed,
    Company,
    Contractor,
    Counts,
    Draft,
    Eco,
    EcoFilter,
    EcoWithHistory,
    Entry,
    Evidence,
    GeoJson,
    Me,
    Membership,
    PagerRun,
    Period,
    Place,
    Readiness,
    ReadinessProblem,
    WouldBeRung,
)

__all__ = [
    "Alert",
    "Answer",
    "Box",
    "Call",
    "Change",
    "Changed",
    "Company",
    "Contractor",
    "Counts",
    "Draft",
    "Eco",
    "EcoFilter",
    "EcoWithHistory",
    "Entry",
    "Evidence",
    "GeoJson",
    "Me",
    "Membership",
    "PagerRun",
    "Patience",
    "Period",
    "Place",
    "Readiness",
    "ReadinessProblem",
    "Refused",
    "StreamEnded",
    "StrikeClient",
    "StrikeError",
    "Unreachable",
    "WouldBeRung",
    "point",
]
