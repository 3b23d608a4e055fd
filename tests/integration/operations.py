"""Every operation of the schema, with the action of the rule table that it needs.

`tests/integration/test_access_matrix.py` walks them; one that is missing here fails there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from strike_domain import Side
from strike_domain.access import Action
from tests.integration.two_worlds import PLACE, SQUARE, Pair, Variables

PROBLEM = "... on Problem { code message path }"


@dataclass(frozen=True)
class Operation:
    """`about`: what is not found where it is foreign; empty: it has no object of its own."""

    name: str
    kind: str
    action: Action | None
    document: str
    variables: Variables
    about: str = ""


def _nothing(pair: Pair, side: Side) -> dict[str, Any]:
    return {}


def question(
    name: str,
    action: Action | None,
    asks: str,
    variables: Variables = _nothing,
    declares: str = "",
    about: str = "",
) -> Operation:
    return Operation(name, "query", action, f"query {declares} {{ {asks} }}", variables, about)


def command(
    name: str,
    action: Action,
    declares: str,
    gives: str,
    variables: Variables,
    about: str = "",
) -> Operation:
    declared = f"({declares})" if declares else ""
    given = f"({gives})" if gives else ""
    document = f"mutation {declared} {{ {name}{given} {{ __typename {PROBLEM} }} }}"
    return Operation(name, "mutation", action, document, variables, about)


def _eco(pair: Pair, side: Side) -> dict[str, Any]:
    return {"id": str(pair.eco_id)}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _eco_now(pair: Pair, side: Side) -> dict[str, Any]:
    return {"id": str(pair.eco_id), "asOf": _now()}


def _eco_command(name: str, action: Action, more: str = "", **values: Any) -> Operation:
    declares = "$id: UUID!" + (", $text: String!" if more else "")
    gives = "ecoId: $id" + (f", {more}: $text" if more else "")
    return command(
        name, action, declares, gives, lambda p, s: {"id": str(p.eco_id), **values}, "ECO"
    )


def _osp_and_place(pair: Pair, side: Side) -> dict[str, Any]:
    return {"osp": str(pair.osp.id), "place": PLACE}


def _other(pair: Pair, side: Side) -> dict[str, Any]:
    return {"id": str(pair.other(side).id)}


def _link_command(name: str, action: Action, argument: str) -> Operation:
    return command(name, action, "$id: UUID!", f"{argument}: $id", _other, "link")


FOUND_BY = {
    "search": "cut",
    "within": {"west": -180, "south": -90, "east": 180, "north": 90},
    "created": {"since": "2020-01-01T00:00:00Z"},
}

WHERE = "($osp: UUID!, $place: GeoJSON!)"
ASKED = "ospId: $osp, location: $place"

_LIST = {
    "name": "OURS new",
    "region": SQUARE,
    "contacts": [{"name": "OURS Fred", "phone": "+13035550101"}],
}

QUESTIONS = (
    question(
        "me", None, "me { id email name memberships { role permissions tenant { id name side } } }"
    ),
    question(
        "eco",
        Action.ECO_SEE,
        "eco(id: $id) { id description noc { name } osp { name } timeline { line actor } "
        "timelineConnection(last: 1) { totalCount edges { node { line actor } } } "
        "pagerRuns { listName region calls { contactName } } }",
        _eco,
        "($id: UUID!)",
        "null",
    ),
    question(
        "ecos",
        Action.ECO_SEE,
        "ecos(first: 200) { edges { node { id description timeline { line } "
        "timelineConnection(first: 9) { edges { node { line } } } } } }",
    ),
    question(
        "ecos",
        Action.ECO_SEE,
        "ecos(last: 200, sort: MOST_URGENT, filter: $filter) { totalCount totalCountIsExact "
        "edges { cursor node { id description location noc { name } osp { name } } } }",
        lambda p, s: {"filter": FOUND_BY},
        "($filter: EcoFilterInput)",
    ),
    question(
        "ecoCounts",
        Action.ECO_SEE,
        "ecoCounts { total byStatus { status count } byPagingState { pagingState count } }",
    ),
    question(
        "responseTimes",
        Action.ECO_SEE,
        "responseTimes(by: [NOC, CONTRACTOR, LIST, DAY, HOUR]) "
        "{ noc { name } contractor { name } listName day hour ecos toAccept { count p50 p90 } }",
    ),
    question(
        "ecoTimeline",
        Action.ECO_SEE,
        "ecoTimeline(ecoId: $id) { line actor }",
        _eco,
        "($id: UUID!)",
        "null",
    ),
    question(
        "eco",
        Action.ECO_SEE,
        "eco(id: $id, asOf: $asOf) { id description noc { name } timeline { line actor } "
        "timelineConnection(first: 1) { totalCount edges { node { line actor } } } "
        "pagerRuns { listName calls { contactName } } }",
        _eco_now,
        "($id: UUID!, $asOf: DateTime!)",
        "null",
    ),
    question(
        "ecos",
        Action.ECO_SEE,
        "ecos(first: 200, asOf: $asOf) { edges { node { id description location timeline { line } "
        "pagerRuns { listName } } } }",
        lambda p, s: {"asOf": _now()},
        "($asOf: DateTime!)",
    ),
    question(
        "evidence",
        Action.ECO_EVIDENCE,
        "evidence(ecoId: $id) { fileName head parts { name text } }",
        _eco,
        "($id: UUID!)",
        "null",
    ),
    question(
        "whoWouldBeRung",
        Action.LISTS_PREVIEW,
        f"whoWouldBeRung({ASKED}) {{ listId listName contacts reason }}",
        _osp_and_place,
        WHERE,
        "contractor",
    ),
    question(
        "readiness",
        Action.LISTS_PREVIEW,
        "readiness(ospId: $osp) { lists contacts problems { listName contact } "
        "regions { listName geometry } mapSvg }",
        lambda p, s: {"osp": str(p.osp.id)},
        "($osp: UUID!)",
        "contractor",
    ),
    question(
        "drill",
        Action.LISTS_PREVIEW,
        f"drill({ASKED}) {{ listName prompts {{ contactName }} moments {{ line }} }}",
        _osp_and_place,
        WHERE,
        "contractor",
    ),
    question(
        "places",
        Action.ECO_SEE,
        "places(text: $text, near: $near) { name kind state latitude longitude location }",
        lambda p, s: {"text": "boulder co", "near": PLACE},
        "($text: String!, $near: GeoJSON)",
    ),
    question(
        "contractorsFor",
        Action.LISTS_PREVIEW,
        "contractorsFor(location: $place) { osp { name } wouldBeRung { listName contacts } }",
        lambda p, s: {"place": PLACE},
        "($place: GeoJSON!)",
    ),
    question("tenant", Action.TENANT_SEE, "tenant { id name side }"),
    question("permissions", None, "permissions"),
    question("links", Action.LINK_SEE, "links { nocId ospId status noc { name } osp { name } }"),
    question("members", Action.MEMBERS_SEE, "members { userId email name role }"),
    question(
        "pagerLists", Action.LISTS_SEE, "pagerLists { id name contacts { name phone texted } }"
    ),
    question(
        "pagerList",
        Action.LISTS_SEE,
        "pagerList(id: $id) { id name contacts { name } }",
        lambda p, s: {"id": str(p.list_id)},
        "($id: UUID!)",
        "null",
    ),
    question(
        "readinessWith",
        Action.LISTS_SEE,
        "readinessWith(input: $input) { lists contacts problems { listName contact } "
        "regions { listName } overlaps { first second } mapSvg }",
        lambda p, s: {"input": {**_LIST, "id": str(p.spare_list_id)}},
        "($input: PagerListInput!)",
    ),
    question("jobNumbers", Action.JOBS_SEE, "jobNumbers { year last }"),
    question("twilioAccount", Action.TWILIO_SEE, "twilioAccount { accountSid fromNumber }"),
    question("renderInstance", Action.RENDER_SEE, "renderInstance { baseUrl clientId project }"),
    question("apiTokens", Action.TOKENS_SEE, "apiTokens { id name role scopes createdBy }"),
    question(
        "settingsChanges",
        Action.AUDIT_SEE,
        "settingsChanges(first: 200) { number actor action subject before after }",
    ),
)

COMMANDS = (
    command(
        "createEco",
        Action.ECO_CREATE,
        "$input: CreateEcoInput!",
        "input: $input",
        lambda p, s: {
            "input": {
                "ospId": str(p.osp.id),
                "location": PLACE,
                "jobType": "FNOL",
                "description": "OURS cut",
            }
        },
        "link",
    ),
    command(
        "draftEco",
        Action.ECO_CREATE,
        "$input: CreateEcoInput!",
        "input: $input",
        lambda p, s: {
            "input": {
                "ospId": str(p.osp.id),
                "location": PLACE,
                "jobType": "FNOL",
                "description": "OURS cut",
            }
        },
        "link",
    ),
    command(
        "confirmEco",
        Action.ECO_CREATE,
        "$code: String!",
        "confirmation: $code",
        lambda p, s: {"code": "AAAAAAAA"},
    ),
    _eco_command("cancelEco", Action.ECO_CANCEL, "reason", text="over"),
    _eco_command("amendEco", Action.ECO_AMEND, "description", text="OURS cut, in two places"),
    _eco_command("dispatchPager", Action.ECO_DISPATCH),
    command(
        "takeUpOffer",
        Action.ECO_DISPATCH,
        "$id: UUID!, $call: UUID!",
        "ecoId: $id, callId: $call",
        lambda p, s: {"id": str(p.eco_id), "call": str(uuid4())},
        "ECO",
    ),
    _eco_command("addNote", Action.ECO_NOTE, "text", text="hello"),
    _eco_command("retryFieldTasks", Action.ECO_FIELD_WORK),
    _eco_command("startWork", Action.ECO_FIELD_WORK),
    _eco_command("completeEco", Action.ECO_FIELD_WORK),
    _eco_command("reopenEco", Action.ECO_FIELD_WORK),
    command(
        "renameTenant",
        Action.TENANT_RENAME,
        "$name: String!",
        "name: $name",
        lambda p, s: {"name": f"{p.word} {s}" if p.word == "OURS" else "OURS"},
    ),
    command(
        "setMember",
        Action.MEMBERS_EDIT,
        "$email: String!",
        "email: $email, role: VIEWER",
        lambda p, s: {"email": "new@ours.example"},
    ),
    command(
        "removeMember",
        Action.MEMBERS_EDIT,
        "$id: UUID!",
        "userId: $id",
        lambda p, s: {"id": str(p.members[s])},
        "member",
    ),
    command("proposeLink", Action.LINK_PROPOSE, "$id: UUID!", "ospId: $id", _other),
    _link_command("withdrawLink", Action.LINK_PROPOSE, "ospId"),
    _link_command("acceptLink", Action.LINK_ACCEPT, "nocId"),
    _link_command("declineLink", Action.LINK_ACCEPT, "nocId"),
    _link_command("suspendLink", Action.LINK_SUSPEND, "tenantId"),
    _link_command("resumeLink", Action.LINK_SUSPEND, "tenantId"),
    command(
        "setPagingPolicy",
        Action.LINK_POLICY,
        "$id: UUID!",
        "ospId: $id, pagingPolicy: MANUAL",
        _other,
        "link",
    ),
    command(
        "savePagerList",
        Action.LISTS_EDIT,
        "$input: PagerListInput!",
        "input: $input",
        lambda p, s: {"input": {**_LIST, "id": str(p.spare_list_id), "name": f"{p.word} square"}},
        "pager list",
    ),
    command(
        "removePagerList",
        Action.LISTS_EDIT,
        "$id: UUID!",
        "id: $id",
        lambda p, s: {"id": str(p.spare_list_id)},
        "pager list",
    ),
    command(
        "raiseJobNumbers",
        Action.JOBS_EDIT,
        "$last: Int!",
        "year: 2026, last: $last",
        lambda p, s: {"last": 500_000},
    ),
    command(
        "setTwilioAccount",
        Action.TWILIO_EDIT,
        "$input: TwilioInput!",
        "input: $input",
        lambda p, s: {
            "input": {
                "accountSid": "AC" + "3" * 32,
                "fromNumber": "+12025550199",
                "authToken": "set-by-the-matrix",
            }
        },
    ),
    command("testTwilioAccount", Action.TWILIO_EDIT, "", "", _nothing),
    command(
        "setRenderInstance",
        Action.RENDER_EDIT,
        "$input: RenderInput!",
        "input: $input",
        lambda p, s: {
            "input": {
                "baseUrl": "https://ours.invalid",
                "clientId": "OURS",
                "project": "OURS",
                "clientSecret": "set-by-the-matrix",
            }
        },
    ),
    command("testRenderInstance", Action.RENDER_EDIT, "", "", _nothing),
    command(
        "createApiToken",
        Action.TOKENS_EDIT,
        "",
        'name: "OURS", role: VIEWER, scopes: [READ], days: 1',
        _nothing,
    ),
    command(
        "revokeApiToken",
        Action.TOKENS_EDIT,
        "$id: UUID!",
        "id: $id",
        lambda p, s: {"id": str(p.tokens[s])},
        "API token",
    ),
)

STREAMS = (
    Operation(
        "ecoChanged",
        "subscription",
        Action.ECO_SEE,
        "subscription ($id: UUID!) { ecoChanged(ecoId: $id) { id description timeline { line } } }",
        _eco,
        "ECO",
    ),
    Operation(
        "ecosChanged",
        "subscription",
        Action.ECO_SEE,
        "subscription { ecosChanged(afterPosition: 0) { position line eco { id description } } }",
        _nothing,
    ),
    Operation(
        "pagingAlerts",
        "subscription",
        Action.ECO_SEE,
        "subscription { pagingAlerts(afterPosition: 0) { line eco { id description } } }",
        _nothing,
    ),
)

OPERATIONS = (*QUESTIONS, *COMMANDS, *STREAMS)
