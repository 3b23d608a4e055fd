"""No form of the console does anything for a page of another site, or beyond its sender's role."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import pytest

from strike_app.demo.seed import CONTRACTORS, NOC_ID
from strike_app.demo.world import World
from strike_app.web import console
from strike_domain.actors import Role
from tests.console.settings_world import set_role

POSTS = sorted({one.path for one in console.routes() if one.method == "POST"})

FOREIGN = [
    {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {},
]

OWN = {"Sec-Fetch-Site": "same-origin"}


def path_of(route: str, tenant: object) -> str:
    filled = route.replace("{tenant}", str(tenant)).replace("{command:[a-z_]+}", "note")
    while "{" in filled:
        start, rest = filled.split("{", 1)
        filled = f"{start}{uuid4()}{rest.split('}', 1)[1]}"
    return filled


@contextmanager
def client_of(world: World, email: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.gateway_url, timeout=30) as client:
        client.post("/login", json={"email": email}).raise_for_status()
        yield client


@pytest.fixture
def admin(world: World) -> Iterator[httpx.Client]:
    with client_of(world, "dispatch@303.example") as client:
        yield client


@pytest.mark.parametrize("route", POSTS)
def test_a_page_of_another_site_is_refused(admin: httpx.Client, route: str) -> None:
    for headers in FOREIGN:
        path = path_of(route, CONTRACTORS[0].id)
        answer = admin.post(path, data={"do": "save"}, headers=headers)
        assert (headers, answer.status_code) == (headers, 403)
        assert "ORIGIN_FOREIGN" in answer.text


SETTINGS = [
    route for route in POSTS if any(f"/{part}" in route for part in ("lists", "links", "settings"))
]


@pytest.mark.parametrize("route", SETTINGS)
@pytest.mark.parametrize("side", ["NOC", "OSP"])
def test_who_may_only_look_is_refused(world: World, route: str, side: str) -> None:
    email = "dispatch@801.example"
    tenant = NOC_ID if side == "NOC" else CONTRACTORS[0].id
    set_role(world, email, tenant, Role.VIEWER)
    fields = {
        "name": "x",
        "email": "x@x.example",
        "role": "ADMIN",
        "ospId": str(uuid4()),
        "year": "2026",
        "last": "1",
        "scopes": "READ",
        "days": "1",
        "accountSid": "AC" + "0" * 32,
        "fromNumber": "+12025550199",
        "authToken": "x",
        "baseUrl": "https://x.example",
        "clientId": "x",
        "project": "x",
        "pollingSeconds": "1",
        "inactivityHours": "1",
        "graceHours": "1",
        "clientSecret": "x",
        "ground": "everywhere",
        "rounds": "1",
        "answerSeconds": "30",
    }
    with client_of(world, email) as client:
        answer = client.post(path_of(route, tenant), data=fields, headers=OWN)
    assert answer.status_code == 403
    assert "ROLE_MISSING" in answer.text or "WRONG_SIDE" in answer.text


def test_a_form_that_is_too_large_is_refused(admin: httpx.Client) -> None:
    path = f"/t/{CONTRACTORS[0].id}/lists/new"
    large = b" " * 5_100_000
    answer = admin.post(path, files={"file": ("x.json", large)}, headers=OWN)
    assert "FILE_TOO_LARGE" in answer.text
    many = {"region": (None, b" " * 1_100_000)}
    answer = admin.post(path, files=many, headers=OWN)
    assert "FORM_TOO_LARGE" in answer.text
