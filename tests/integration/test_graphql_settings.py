"""Admins' questions and commands over HTTP, and machines that bring a token for a login."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from strike_app.bootstrap import Strike
from strike_app.demo.seed import CONTRACTORS, NOC_ID, NOCS, OPERATOR, _id
from strike_domain import Actor, Role, Side
from tests.integration.served import CREATE, ORDER, OSP_ID, Answer, Served

ADMIN = "tom@tidewater.example"
NOC = _id(NOCS[1])
DISPATCHER = f"dispatch@{CONTRACTORS[0].area_code}.example"
PROBLEM = "... on Problem { code message path }"

MAKE_TOKEN = """
mutation ($name: String!, $role: Role!, $scopes: [Scope!]!, $days: Int!) {
  createApiToken(name: $name, role: $role, scopes: $scopes, days: $days) {
    ... on ApiTokenMade { secret token { id name role scopes expiresAt createdBy } }
    ... on Problem { code message path }
  }
}
"""


async def as_admin(served: Served, query: str, variables: Any = None) -> Any:
    data = await served.ask(query, variables, email=ADMIN, tenant=NOC)
    (value,) = data.values()
    return value


async def as_dispatcher(served: Served, query: str, variables: Any = None) -> Any:
    data = await served.ask(query, variables, email=DISPATCHER, tenant=OSP_ID)
    (value,) = data.values()
    return value


async def make_token(served: Served, **changed: Any) -> Any:
    given = {"name": "alarms", "role": "OPERATOR", "scopes": ["READ", "CALLOUT"], "days": 30}
    return await as_admin(served, MAKE_TOKEN, given | changed)


async def by_token(served: Served, secret: str, query: str, variables: Any = None) -> Answer:
    return await served.post(query, variables, {"Authorization": f"Bearer {secret}"})


# API tokens --------------------------------------------------------------------------------------


async def test_a_machine_creates_an_eco_with_its_token_and_is_named_in_the_log(
    served: Served, strike: Strike, followers: None
) -> None:
    made = await make_token(served)
    assert made["secret"].startswith("strike_") and len(made["secret"]) == 50
    answer = await by_token(served, made["secret"], CREATE, {"input": ORDER})
    created = answer.body["data"]["createEco"]
    first: Any = next(iter(strike.log.events.get(UUID(created["eco"]["id"]))))
    assert first.actor == "token:alarms" and first.tenant_id == NOC
    query = "query ($p: Position) { ecos(first: 1, waitFor: $p) { edges { node { id } } } }"
    seen = await by_token(served, made["secret"], query, {"p": created["position"]})
    assert seen.body["data"]["ecos"]["edges"][0]["node"]["id"] == created["eco"]["id"]


async def test_a_token_that_may_only_read_creates_nothing(served: Served) -> None:
    made = await make_token(served, scopes=["READ"])
    answer = await by_token(served, made["secret"], CREATE, {"input": ORDER})
    assert answer.body["data"]["createEco"]["code"] == "SCOPE_MISSING"


async def test_a_revoked_and_an_unknown_token_prove_nothing(served: Served) -> None:
    made = await make_token(served)
    revoke = f"mutation ($id: UUID!) {{ revokeApiToken(id: $id) {{ __typename {PROBLEM} }} }}"
    await as_admin(served, revoke, {"id": made["token"]["id"]})
    for secret in (made["secret"], "strike_" + "x" * 43, "strike_"):
        answer = await by_token(served, secret, "{ me { id } }")
        assert (answer.status, answer.body["code"]) == (401, "API_TOKEN_INVALID")


async def test_who_guesses_tokens_is_put_off_and_a_good_one_from_there_still_works(
    served: Served,
) -> None:
    good, fresh = await make_token(served), await make_token(served)
    question = "{ tenant { id } }"
    assert (await by_token(served, good["secret"], question)).status == 200
    told = [(await by_token(served, f"strike_{n:043d}", question)).status for n in range(32)]
    assert told == [401] * 30 + [429] * 2
    assert (await by_token(served, good["secret"], question)).status == 200
    assert (await by_token(served, fresh["secret"], question)).status == 429
    assert (await served.post(question)).status == 200, "A login is never put off."


async def test_an_expired_token_proves_nothing(served: Served, strike: Strike) -> None:
    made = await make_token(served, days=1)
    with strike.pool.connection() as connection:
        connection.execute("UPDATE api_tokens SET expires_at = now() - interval '1 second'")
    answer = await by_token(served, made["secret"], "{ me { id } }")
    assert answer.body["code"] == "API_TOKEN_INVALID"


async def test_a_token_acts_for_its_own_tenant_only(served: Served) -> None:
    made = await make_token(served)
    headers = {"Authorization": f"Bearer {made['secret']}", "X-Tenant-ID": str(NOC_ID)}
    answer = await served.post("{ tenant { id } }", None, headers)
    assert (answer.status, answer.body["code"]) == (403, "NOT_A_MEMBER")


async def test_a_token_is_shown_once_and_kept_as_a_digest(served: Served, strike: Strike) -> None:
    made = await make_token(served)
    shown = await as_admin(served, "{ apiTokens { id name scopes lastUsedAt } }")
    changes = await as_admin(served, "{ settingsChanges { action before after } }")
    assert made["secret"] not in json.dumps([shown, changes])
    with strike.pool.connection() as connection:
        stored = connection.execute("SELECT * FROM api_tokens").fetchall()
    assert made["secret"] not in repr(stored)


async def test_when_a_token_was_used_last_can_be_seen(served: Served) -> None:
    made = await make_token(served)
    assert (await as_admin(served, "{ apiTokens { lastUsedAt } }"))[0]["lastUsedAt"] is None
    await by_token(served, made["secret"], "{ me { id } }")
    assert (await as_admin(served, "{ apiTokens { lastUsedAt } }"))[0]["lastUsedAt"]


@pytest.mark.parametrize(
    ("changed", "code", "path"),
    [
        ({"days": 0}, "TOKEN_DAYS_INVALID", ["days"]),
        ({"days": 367}, "TOKEN_DAYS_INVALID", ["days"]),
        ({"scopes": []}, "TOKEN_SCOPES_EMPTY", ["scopes"]),
        ({"name": " "}, "NAME_INVALID", ["name"]),
    ],
)
async def test_a_token_that_makes_no_sense_is_refused(
    served: Served, changed: dict[str, Any], code: str, path: list[str]
) -> None:
    made = await make_token(served, **changed)
    assert (made["code"], made["path"]) == (code, path)


# Settings ----------------------------------------------------------------------------------------

LIST = f"""
mutation ($input: PagerListInput!) {{ savePagerList(input: $input) {{
  ... on PagerList {{ id name contacts {{ name phone consented texted }} rounds ringAgainMinutes }}
  {PROBLEM} }} }}
"""

SQUARE = {
    "type": "Polygon",
    "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]],
}


def a_list(**changed: Any) -> dict[str, Any]:
    person = {"name": "Ana", "phone": "+1 303 555 0177", "consented": True, "texted": True}
    return {"input": {"name": "islands", "region": SQUARE, "contacts": [person], **changed}}


async def test_a_list_is_saved_with_its_region_and_rung_from_then_on(served: Served) -> None:
    saved = await as_dispatcher(served, LIST, a_list(rounds=2, ringAgainMinutes=5))
    flags = {"consented": True, "texted": True}
    assert saved["contacts"] == [{"name": "Ana", "phone": "+13035550177", **flags}]
    query = """query ($osp: UUID!, $place: GeoJSON!) {
      whoWouldBeRung(ospId: $osp, location: $place) { listName contacts } }"""
    place = {"type": "Point", "coordinates": [0.5, 0.5]}
    rung = await as_dispatcher(served, query, {"osp": str(OSP_ID), "place": place})
    assert rung == {"listName": "islands", "contacts": ["Ana"]}


@pytest.mark.parametrize(
    ("changed", "code", "path"),
    [
        ({"contacts": [{"name": "A", "phone": "1"}]}, "PHONE_NUMBER_INVALID", "contacts.0.phone"),
        (
            {"contacts": [{"name": " ", "phone": "+13035550101"}]},
            "NAME_INVALID",
            "contacts.0.name",
        ),
        ({"region": {"type": "Point", "coordinates": [0, 0]}}, None, "region.type"),
        ({"region": None}, "DEFAULT_TAKEN", "region"),
        ({"rounds": 11}, "VALUE_INVALID", "rounds"),
        ({"answerSeconds": 2}, "VALUE_INVALID", "answerSeconds"),
        ({"id": str(uuid4())}, "NOT_FOUND", ""),
    ],
)
async def test_a_wrong_field_of_a_list_is_named(
    served: Served, changed: dict[str, Any], code: str | None, path: str
) -> None:
    saved = await as_dispatcher(served, LIST, a_list(**changed))
    assert code in (None, saved["code"])
    assert saved["path"] == ([] if not path else ["input", *path.split(".")])


async def test_a_viewer_sees_the_last_digits_only(served: Served, strike: Strike) -> None:
    strike.administration().set_member(
        "viewer@osp.example", "Vera", Role.VIEWER, await _chief(served, strike)
    )
    query = "{ pagerLists { contacts { phone } } }"
    data = await served.ask(query, email="viewer@osp.example", tenant=OSP_ID)
    phones = [one["phone"] for each in data["pagerLists"] for one in each["contacts"]]
    assert phones and all(phone.startswith("…") and len(phone) == 5 for phone in phones)


async def _chief(served: Served, strike: Strike) -> Any:
    return Actor(name="test", tenant_id=OSP_ID, side=Side.OSP, role=Role.ADMIN)


async def test_what_is_set_at_twilio_and_render_is_never_read_back(served: Served) -> None:
    query = """mutation ($input: TwilioInput!) { setTwilioAccount(input: $input) {
      ... on TwilioAccount { accountSid fromNumber } ... on Problem { code } } }"""
    secret = f"token-{uuid4()}"
    given = {"accountSid": "AC" + "5" * 32, "fromNumber": "+12025550123", "authToken": secret}
    assert (await as_admin(served, query, {"input": given}))["accountSid"] == "AC" + "5" * 32
    answers = [
        await as_admin(served, "{ twilioAccount { accountSid fromNumber } }"),
        await as_admin(served, "{ settingsChanges { action subject before after actor } }"),
    ]
    assert secret not in json.dumps(answers)
    assert answers[1][0]["after"]["secret"] == "set anew"


async def test_render_is_not_spoken_to_in_the_open(served: Served) -> None:
    query = f"""mutation ($input: RenderInput!) {{ setRenderInstance(input: $input) {{
      __typename {PROBLEM} }} }}"""
    given = {"clientId": "a", "project": "p", "clientSecret": "s" * 20}
    for url, code in (
        ("http://render.example", "BASE_URL_INSECURE"),
        ("http://127.0.0.1.evil.example", "BASE_URL_INSECURE"),
        ("ftp://render.example", "VALUE_INVALID"),
        ("https://user:word@render.example", "VALUE_INVALID"),
    ):
        refused = await as_dispatcher(served, query, {"input": {"baseUrl": url, **given}})
        assert refused["code"] == code and refused["path"] == ["input", "baseUrl"]


@pytest.mark.parametrize("name", ["pollingSeconds", "inactivityHours", "graceHours"])
@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e308", "-1", "1e9"])
async def test_a_time_that_is_none_is_refused_with_the_field(
    served: Served, name: str, number: str
) -> None:
    """1e999 is a number of GraphQL, and infinite for Python."""
    query = f"""mutation {{ setRenderInstance(input: {{ baseUrl: "https://render.example",
      clientId: "a", project: "p", clientSecret: "{"s" * 20}", {name}: {number} }}) {{
      __typename {PROBLEM} }} }}"""
    refused = await as_dispatcher(served, query)
    assert (refused["code"], refused["path"]) == ("VALUE_INVALID", ["input", name])


async def test_accounts_are_tested_and_say_what_is_wrong(served: Served) -> None:
    query = "mutation { testRenderInstance { ... on AccountTested { works problem } } }"
    tested = await as_dispatcher(served, query)
    assert tested["works"] is False and "cannot be reached" in tested["problem"]


async def test_both_ends_read_what_was_done_to_their_link(served: Served) -> None:
    query = f"""mutation ($id: UUID!) {{ suspendLink(tenantId: $id) {{
      ... on Link {{ status suspendedBy osp {{ name }} }} {PROBLEM} }} }}"""
    done = await as_admin(served, query, {"id": str(OSP_ID)})
    assert done["status"] == "SUSPENDED" and done["suspendedBy"] == "NOC"
    read = "{ settingsChanges(first: 1) { action actor before after } }"
    changes = [await as_admin(served, read), await as_dispatcher(served, read)]
    assert changes[0] == changes[1]
    assert changes[0][0]["actor"] == f"user:{ADMIN}"
    data = await served.ask(CREATE, {"input": ORDER}, email=ADMIN, tenant=NOC)
    assert data["createEco"]["code"] == "NO_ACTIVE_LINK"


async def test_one_request_has_one_correlation_id_in_settings_and_events(served: Served) -> None:
    wanted = uuid4()
    headers = served.headers(ADMIN, NOC) | {"X-Correlation-ID": str(wanted)}
    await served.post('mutation { renameTenant(name: "Tidewater") { __typename } }', None, headers)
    changes = await as_admin(served, "{ settingsChanges(first: 1) { correlationId } }")
    assert changes == [{"correlationId": str(wanted)}]


async def test_somebody_who_is_removed_is_out_at_once(served: Served, strike: Strike) -> None:
    query = "mutation ($id: UUID!) { removeMember(userId: $id) { ... on Member { email } } }"
    await as_admin(
        served, 'mutation { setMember(email: "o@t.example", role: OPERATOR) { __typename } }'
    )
    members = await as_admin(served, "{ members { userId email } }")
    (gone,) = [one for one in members if one["email"] == "o@t.example"]
    headers = served.headers("o@t.example", NOC)
    assert (await served.post("{ tenant { id } }", None, headers)).status == 200
    await as_admin(served, query, {"id": gone["userId"]})
    answer = await served.post("{ tenant { id } }", None, headers)
    assert (answer.status, answer.body["code"]) == (403, "NOT_A_MEMBER")


async def test_permissions_are_what_the_role_allows(served: Served) -> None:
    admin = await as_admin(served, "{ permissions }")
    operator = (await served.ask("{ permissions }", email=OPERATOR.email))["permissions"]
    assert "link.propose" in admin and "lists.edit" not in admin
    assert set(operator) < set(admin) or "link.propose" in operator


# Job numbers ------------------------------------------------------------------------------------


def test_job_numbers_are_unique_and_rise_for_each_osp_and_year_however_many_ask_at_once(
    strike: Strike,
) -> None:
    years = [datetime(year, 6, 1, tzinfo=UTC) for year in (2026, 2027)]
    osps = [one.id for one in CONTRACTORS[:2]]

    def take(number: int) -> list[tuple[UUID, int, str]]:
        order = [(osp, at) for _ in range(10) for osp in osps for at in years]
        return [
            (osp, at.year, strike.directory.open_job(NOC_ID, osp, at).job_number or "")
            for osp, at in (order if number % 2 else reversed(order))
        ]

    with ThreadPoolExecutor(8) as threads:
        taken = [*threads.map(take, range(8))]
    for osp in osps:
        for at in years:
            mine = [[n for o, y, n in each if (o, y) == (osp, at.year)] for each in taken]
            assert all(each == sorted(each) for each in mine), (
                "Whoever asks later gets a higher one."
            )
            numbers = sorted(number for each in mine for number in each)
            year = f"{at.year % 100:02d}"
            assert numbers == [f"{year}-{number:04d}" for number in range(1, 81)]


# One company on both sides -------------------------------------------------------------------


async def test_one_company_is_both_with_shared_users_and_dispatches_to_itself(
    served: Served, strike: Strike, followers: None
) -> None:
    do, system = strike.administration(), Actor.system("test")
    noc = do.add_tenant("Self Reliant NOC", Side.NOC, system)
    osp = do.add_tenant("Self Reliant Crews", Side.OSP, system)
    both = "both@self.example"
    for tenant, role in ((noc, Role.OPERATOR), (osp, Role.VIEWER)):
        boss = Actor(name="test", tenant_id=tenant.id, side=tenant.side, role=Role.ADMIN)
        do.set_member(both, "Bo", role, boss)
        if tenant is noc:
            do.propose_link(osp.id, boss)
        else:
            do.accept_link(noc.id, boss)
    question = "{ me { memberships { role tenant { name } } } }"
    me = await served.ask(question, email=both, tenant=None)
    roles = {one["tenant"]["name"]: one["role"] for one in me["me"]["memberships"]}
    assert roles == {"Self Reliant Crews": "VIEWER", "Self Reliant NOC": "OPERATOR"}
    order = {"input": ORDER | {"ospId": str(osp.id)}}
    created = (await served.ask(CREATE, order, email=both, tenant=noc.id))["createEco"]
    query = "query ($id: UUID!, $p: Position) { eco(id: $id, waitFor: $p) { noc { name } } }"
    values = {"id": created["eco"]["id"], "p": created["position"]}
    for tenant in (noc, osp):
        seen = await served.ask(query, values, email=both, tenant=tenant.id)
        assert seen["eco"]["noc"]["name"] == "Self Reliant NOC"
    refused = (await served.ask(CREATE, order, email=both, tenant=osp.id))["createEco"]
    assert refused["code"] == "WRONG_SIDE"
    assert (await served.ask(query, values, email=OPERATOR.email))["eco"] is None
