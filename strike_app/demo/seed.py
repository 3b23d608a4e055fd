"""The demo's companies: two NOCs, three OSPs, whose pager lists cover real US counties.

Names are invented, numbers are from the range kept for fiction, the counties are real.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import SecretStr

from strike_adapters.postgres.accounts import PostgresAccounts
from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.people import save_link, save_membership, save_tenant, save_user
from strike_adapters.render import RenderInstance
from strike_adapters.twilio.accounts import TwilioAccount
from strike_domain.actors import Role, Side
from strike_domain.contacts import Contact, Language, PagerList, RingAgain, parse_phone
from strike_domain.ports import Link, LinkStatus, Tenant
from strike_domain.regions import parse_region
from strike_mock.scenarios import Stakes


def _id(name: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"https://strike.example/demo/{name}")


@dataclass(frozen=True)
class Contractor:
    """An OSP: its name, area code, people in the order they are rung, counties by FIPS code."""

    name: str
    area_code: str
    people: tuple[str, str, str]
    counties: tuple[str, ...]

    @property
    def id(self) -> UUID:
        return _id(self.name)


@dataclass(frozen=True)
class Login:
    """Somebody who can log in: at which tenants, with which role."""

    name: str
    email: str
    roles: tuple[tuple[str, Role], ...]

    @property
    def note(self) -> str:
        """Who that is, in words."""
        return ", ".join(f"{role.lower()} at {tenant}" for tenant, role in self.roles)


NOCS = ("Bluestem Backbone NOC", "Tidewater Transit NOC")

CONTRACTORS = (
    Contractor(
        "Front Range Fibre Works",
        "303",
        ("Ana Reyes", "Ben Okafor", "Carla Diaz"),
        ("08069", "08013", "08123", "56021", "08001", "08031", "08059", "08014"),
    ),
    Contractor(
        "Wasatch Line & Splice",
        "801",
        ("Dan Whitehorse", "Eva Lindqvist", "Felix Moreno"),
        ("49035", "49049", "49011", "49057"),
    ),
    Contractor(
        "Willamette Outside Plant",
        "503",
        ("Grace Tanaka", "Hugo Brandt", "Iris Castillo"),
        ("41051", "41005", "41067", "41047", "41053", "41043", "41003", "41039"),
    ),
)

NEWCOMER = Contractor("High Plains Splicing", "970", ("Jo Bell", "Kim Soto", "Lee Marsh"), ())
"""A contractor that has no pager list yet, neither for a place nor for everywhere else."""

SPANISH_SPEAKERS = ("Carla Diaz", "Felix Moreno", "Iris Castillo")

OPERATOR = Login(
    "Olivia Park",
    "olivia@bluestem.example",
    ((NOCS[0], Role.OPERATOR),),
)

LOGINS = (
    OPERATOR,
    Login("Tom Adeyemi", "tom@tidewater.example", ((NOCS[1], Role.ADMIN),)),
    *(
        Login(
            f"Dispatch {one.name}", f"dispatch@{one.area_code}.example", ((one.name, Role.ADMIN),)
        )
        for one in (*CONTRACTORS, NEWCOMER)
    ),
)

NOC_ID = _id(NOCS[0])
"""The NOC that creates the demo's callout."""


@dataclass(frozen=True)
class Outside:
    """Where the mock is, and the credentials that it knows us by."""

    mock_url: str
    account_sid: str
    auth_token: str
    render_client_id: str
    render_client_secret: str


def seed(directory: PostgresDirectory, accounts: PostgresAccounts, outside: Outside) -> None:
    """Store all of the above. Seeding twice changes nothing."""
    pool = directory.pool
    for name in NOCS:
        save_tenant(pool, Tenant(id=_id(name), name=name, side=Side.NOC))
    for contractor in (*CONTRACTORS, NEWCOMER):
        save_tenant(pool, Tenant(id=contractor.id, name=contractor.name, side=Side.OSP))
        _seed_contractor(directory, accounts, contractor, outside)
    for noc in NOCS:
        accounts.save_twilio(_id(noc), _account(outside))
    for login in LOGINS:
        user_id = save_user(pool, _id(login.email), login.email, login.name)
        for tenant, role in login.roles:
            save_membership(pool, user_id, _id(tenant), role)


def set_stage(
    directory: PostgresDirectory, accounts: PostgresAccounts, outside: Outside, stakes: Stakes
) -> None:
    """Give every contractor what a scenario asks for: its lists' rounds and Render's times."""
    for contractor in (*CONTRACTORS, NEWCOMER):
        for pager_list in pager_lists(contractor):
            again = RingAgain(
                after_minutes=stakes.ring_again_minutes, times=stakes.ring_again_times
            )
            wanted = {"rounds": stakes.rounds, "ring_again": again if again.times else None}
            directory.save_list(pager_list.model_copy(update=wanted))
        accounts.save_render(_render(contractor, outside, stakes))


def _seed_contractor(
    directory: PostgresDirectory,
    accounts: PostgresAccounts,
    contractor: Contractor,
    outside: Outside,
) -> None:
    for noc in NOCS:
        link = Link(noc_id=_id(noc), osp_id=contractor.id, status=LinkStatus.ACTIVE)
        save_link(directory.pool, link)
    for pager_list in pager_lists(contractor):
        directory.save_list(pager_list)
    accounts.save_render(_render(contractor, outside, Stakes()))


def _render(contractor: Contractor, outside: Outside, stakes: Stakes) -> RenderInstance:
    return RenderInstance(
        osp_id=contractor.id,
        base_url=outside.mock_url,
        client_id=outside.render_client_id,
        client_secret=SecretStr(outside.render_client_secret),
        project=f"emergency-{contractor.area_code}",
        polling_seconds=stakes.polling_seconds,
        inactivity_hours=stakes.inactivity_seconds / 3600,
        grace_hours=stakes.grace_seconds / 3600,
    )


def _account(outside: Outside) -> TwilioAccount:
    return TwilioAccount(
        account_sid=outside.account_sid,
        auth_token=SecretStr(outside.auth_token),
        from_number="+12025550199",
    )


def pager_lists(contractor: Contractor) -> list[PagerList]:
    """One list per county, and a default list for everywhere else; the newcomer has none."""
    if contractor is NEWCOMER:
        return []
    counties = _counties()
    regions: list[tuple[str, dict[str, Any] | None]] = [("everywhere else", None)]
    for fips in contractor.counties:
        properties, region = counties[fips]
        regions.append((f"{properties['name']} County, {properties['state']}", region))
    return [
        PagerList(
            id=_id(f"{contractor.name}/{name}"),
            osp_id=contractor.id,
            name=name,
            contacts=people,
            region=region,
            # On the default list one has not been asked yet: `strike lists check` says so.
            consented=frozenset(one.phone for one in people[: len(people) - (region is None)]),
        )
        for number, (name, region) in enumerate(regions)
        for people in [_contacts(contractor, number)]
    ]


def _contacts(contractor: Contractor, number: int) -> tuple[Contact, ...]:
    """Whoever is rung first has a number that ends in 01, then 02 and 03: scenarios go by that."""
    return tuple(
        Contact(
            name=name,
            phone=parse_phone(f"+1{contractor.area_code}555{number:02d}{rank:02d}"),
            language=Language.SPANISH if name in SPANISH_SPEAKERS else Language.ENGLISH,
        )
        for rank, name in enumerate(contractor.people, 1)
    )


def _counties() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    text = files("strike_app.demo").joinpath("regions.geojson").read_text("utf-8")
    return {
        feature["properties"]["fips"]: (feature["properties"], parse_region(feature["geometry"]))
        for feature in json.loads(text)["features"]
    }
