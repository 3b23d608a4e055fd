"""Requests that hypothesis writes from the schema, and around it: broken ones, odd ones, pages.

The structure of a document is that of the differential test (`tests/unit/graphql_asking.py`), with
arguments, variables and the three kinds of operations. The library hypothesis-graphql was looked
at: it writes no variables, named fragments, directives or subscriptions, and chooses values by
their type only, where half of what is asked here must be about an object that exists.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
)
from hypothesis import strategies as st

from strike_domain import Role, Side
from strike_domain.access import RULES
from tests.integration.fuzz_values import Draw, Values, in_json, literal, odd_texts
from tests.integration.fuzz_world import COMPANIES
from tests.integration.operations import OPERATIONS
from tests.unit.graphql_asking import Asker, Composite

JSON = "application/json"
SSE = "text/event-stream"


@dataclass(frozen=True)
class Caller:
    """`how`: a person, a token; or a proof that is worth nothing (`NOBODIES`)."""

    company: str
    role: Role
    how: str = "person"

    @property
    def is_somebody(self) -> bool:
        return self.how in ("person", "token", "no tenant")


@dataclass(frozen=True)
class Sent:
    """One request, with symbols in path, headers and body. `kind` is its row in the table."""

    kind: str
    caller: Caller
    body: str | bytes
    method: str = "POST"
    path: str = "/graphql"
    headers: tuple[tuple[str, str], ...] = (("Content-Type", JSON),)
    document: str = ""

    @property
    def reader(self) -> str | None:
        """The company that may see the answer: of a page the address says which, no header."""
        is_page = self.kind == "page" or (self.method == "GET" and "text/html" in str(self.headers))
        is_logged_in = is_page and self.caller.how in ("foreign tenant", "odd tenant")
        return self.caller.company if self.caller.is_somebody or is_logged_in else None


NOBODIES = ("nobody", "forged", "unknown", "foreign tenant", "no tenant", "odd tenant", "bad token")

OUTSIDE = ("testTwilioAccount", "testRenderInstance")
"""They wait for systems that are not there."""

ACTIONS = {one.name: one.action for one in OPERATIONS}


@dataclass
class Writer(Asker):
    """Writes documents of any kind of operation; half of the arguments are variables."""

    values: Values | None = None
    declared: dict[str, tuple[str, Any]] = field(default_factory=dict)
    owner: str = ""

    def operation(self, kind: str, names: list[str]) -> str:
        """A document that asks for these fields of the root."""
        root = {
            "query": self.schema.query_type,
            "mutation": self.schema.mutation_type,
            "subscription": self.schema.subscription_type,
        }[kind]
        assert root is not None
        asked = " ".join(
            self._rooted(root, name, f"root{number}" if number or self._perhaps(0.2) else "")
            for number, name in enumerate(names)
        )
        declared = " ".join(
            f"${name}: {kind_of}" for name, (kind_of, _) in self.declared.items()
        ) + "".join(f" ${name}: Boolean! = true" for name in self._flags_in(asked))
        head = f"{kind} Fuzz({declared})" if declared else f"{kind} Fuzz"
        return "\n".join([f"{head} {{ {asked} }}", *self.fragments.values()])

    @property
    def variables(self) -> str:
        """As JSON."""
        return in_json({name: value for name, (_, value) in self.declared.items()})

    def selection(self, kind: Composite, depth: int) -> str:
        asked = super().selection(kind, depth)
        return f"__typename {asked}" if is_abstract_type(kind) else asked

    def _of_root(self, named: Any) -> str:
        """What is asked of a root field; mostly also why a command was refused."""
        problem = "... on Problem { code message path }"
        is_told = isinstance(named, GraphQLUnionType) and self._perhaps(0.8)
        return f"{{ {problem if is_told else ''} {self.selection(named, 0)} }}"

    def _rooted(self, root: GraphQLObjectType, name: str, alias: str) -> str:
        definition = root.fields[name]
        self.owner = name
        named = get_named_type(definition.type)
        inner = "" if is_leaf_type(named) else self._of_root(named)
        written = f"{name}{self._arguments(name, definition)} {inner}"
        return f"{alias}: {written}" if alias else written

    def _flags_in(self, asked: str) -> list[str]:
        text = " ".join([asked, *self.fragments.values()])
        return [name for name in ("up", "down", "left", "right") if f"${name}" in text]

    def _perhaps(self, chance: float) -> bool:
        return self.rng.random() < chance

    def _drawn(self, definition: GraphQLField) -> str:
        assert self.values is not None
        written = []
        for name, one in definition.args.items():
            needed = is_required_argument(one)
            for value in self.values.given(self.owner, name, one.type, needed=needed):
                if self._perhaps(0.5):
                    variable = f"v{len(self.declared)}"
                    self.declared[variable] = (str(one.type), value)
                    written.append(f"{name}: ${variable}")
                else:
                    written.append(f"{name}: {literal(value)}")
        return f"({', '.join(written)})" if written else ""


class Requests:
    """A strategy for `Sent`, by weights."""

    def __init__(self, schema: GraphQLSchema, pages: list[tuple[str, str]]) -> None:
        self._schema, self._pages = schema, pages

    def strategy(self) -> st.SearchStrategy[Sent]:
        return st.composite(self._one)()

    def _one(self, draw: Draw) -> Sent:
        rng = random.Random(str(draw(SEEDS)))
        kinds, weights = zip(*KINDS.items(), strict=True)
        (kind,) = rng.choices(kinds, weights)
        match kind:
            case "query" | "mutation" | "subscription":
                return self._operation(draw, rng, kind)
            case "broken document":
                return self._broken_document(draw, rng)
            case "broken body":
                return self._broken_body(draw, rng)
            case "odd request":
                return self._odd_request(draw, rng)
            case _:
                return self._page(draw, rng)

    # Operations -----------------------------------------------------------------------------

    def _operation(self, draw: Draw, rng: random.Random, kind: str) -> Sent:
        root = {
            "query": self._schema.query_type,
            "mutation": self._schema.mutation_type,
            "subscription": self._schema.subscription_type,
        }[kind]
        assert root is not None
        many = 1 if kind == "subscription" else rng.choice((1, 1, 1, 1, 2, 3))
        fields = [one for one in root.fields if one not in OUTSIDE or rng.random() < 0.2]
        names = rng.sample(fields, many)
        values = Values(draw, rng, rng.choice((0, 0, 0, 0.05, 0.4)))
        writer = Writer(self._schema, rng, left=rng.choice((8, 16, 32)), values=values)
        document = writer.operation(kind, names)
        headers = [("Content-Type", JSON)]
        if kind == "subscription" and rng.random() < 0.9 or rng.random() < 0.05:
            headers.append(("Accept", SSE))
        body = f'{{"query": {json.dumps(document)}, "variables": {writer.variables}}}'
        return Sent(
            kind, self._caller(rng, names[0]), body, headers=tuple(headers), document=document
        )

    def _caller(self, rng: random.Random, name: str = "") -> Caller:
        action = ACTIONS.get(name)
        sides = RULES[action].sides if action and rng.random() < 0.85 else tuple(Side)
        company = rng.choice([key for key, one in COMPANIES.items() if one.side in sides])
        role = rng.choice((Role.ADMIN,) * 5 + (Role.OPERATOR, Role.VIEWER))
        how = rng.choices(("person", "token", rng.choice(NOBODIES)), (75, 20, 5))[0]
        return Caller(company, role, how)

    # Broken ---------------------------------------------------------------------------------

    def _broken_document(self, draw: Draw, rng: random.Random) -> Sent:
        kind = rng.choice(("query", "mutation", "subscription"))
        good = self._operation(draw, rng, kind)
        document = rng.choice((_cut, _doubled, _strewn, _replaced, _wrapped))(
            good.document, rng, draw(odd_texts)
        )
        sent: dict[str, Any] = {"query": document, "variables": json.loads(_plain(good.body))}
        if rng.random() < 0.3:
            sent["operationName"] = rng.choice(("Fuzz", "Other", "", "\0", 5, None))
        if rng.random() < 0.1:
            sent["extensions"] = rng.choice(({}, None, [], {"persistedQuery": {"version": 1}}, 5))
        return Sent("broken document", good.caller, json.dumps(sent), headers=good.headers)

    def _broken_body(self, draw: Draw, rng: random.Random) -> Sent:
        good = self._operation(draw, rng, "query")
        text = good.body if isinstance(good.body, str) else ""
        spoiled: list[str | bytes] = [
            text[: rng.randrange(len(text))],
            f"[{text}]",
            f"[{text}, {text}]",
            text.replace(":", ": NaN,", 1),
            json.dumps(draw(odd_texts)),
            json.dumps({"query": draw(st.one_of(st.none(), st.integers(), st.lists(st.text())))}),
            json.dumps({"query": "{ me { id } }", "variables": rng.choice(([], "x", 5, True))}),
            json.dumps({"query": "{ me { id } }", "operationName": rng.choice(([], 5, {}))}),
            json.dumps({"variables": {}}),
            '{"query": "{ me { id } }", "query": "{ me { name } }"}',
            '{"query": "{ me { id } } \\ud800"}',
            '{"query": "{ places(text: \\"\\ud800\\") { name } }"}',
            "\ufeff" + text,
            text.encode("utf-16"),
            b"\xff\xfe" + text.encode()[:20],
            "[" * 20_000,
            '{"a":' * 5_000,
            json.dumps({"query": "{ me { id } }", "variables": {"a": _nested(500)}}),
            "",
            "\0",
            b"\x1f\x8b\x08\x00garbage",
            draw(st.binary(max_size=40)),
        ]
        return Sent("broken body", good.caller, rng.choice(spoiled), headers=good.headers)

    # Odd ------------------------------------------------------------------------------------

    def _odd_request(self, draw: Draw, rng: random.Random) -> Sent:
        good = self._operation(draw, rng, rng.choice(("query", "mutation", "subscription")))
        headers = dict(good.headers)
        for name in rng.sample(list(ODD_HEADERS), rng.choice((1, 1, 2, 3))):
            headers[name] = rng.choice(ODD_HEADERS[name])
        method = rng.choice(("POST",) * 6 + ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"))
        path = "/graphql"
        if rng.random() < 0.2:
            path = rng.choice(
                (
                    "/graphql/",
                    "/graphql?query={me{id}}",
                    "/graphql?query=subscription{ecosChanged{line}}",
                    "//graphql",
                    "/graphql?a=%00",
                )
            )
        return Sent("odd request", good.caller, good.body, method, path, tuple(headers.items()))

    def _page(self, draw: Draw, rng: random.Random) -> Sent:
        method, path = rng.choice(self._pages)
        caller = self._caller(rng)
        headers = {"Origin": "@@origin.any.0@@", "Accept": "text/html"}
        if rng.random() < 0.1:
            headers["HX-Request"] = "true"
        if method == "GET":
            asked = "&".join(f"{name}={_quoted(draw, rng)}" for name in rng.sample(FORM, 2))
            path += f"?{asked}" if rng.random() < 0.5 else ""
            return Sent("page", caller, "", method, _filled(path, rng), tuple(headers.items()))
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        if rng.random() < 0.1:
            headers["Origin"] = "https://elsewhere.example"
        form = "&".join(f"{name}={_quoted(draw, rng)}" for name in rng.sample(FORM, 8))
        if rng.random() < 0.1:
            headers["Content-Type"] = rng.choice(ODD_HEADERS["Content-Type"])
            form = rng.choice(
                (form, "--x\r\n", "--x\r\nContent-Disposition: form-data\r\n\r\n1", _PART)
            )
        return Sent("page", caller, form, method, _filled(path, rng), tuple(headers.items()))


KINDS = {
    "query": 34,
    "mutation": 36,
    "subscription": 4,
    "broken document": 8,
    "broken body": 4,
    "odd request": 6,
    "page": 8,
}
"""How many of a hundred."""

SEEDS = st.tuples(*[st.integers(0, 2**20)] * 3)
"""Of one large number hypothesis would mostly draw small ones."""

ODD_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Type": (
        "text/plain", "application/graphql", "application/graphql+json", "multipart/form-data",
        "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "", "x",
        "application/json; charset=nope", "application/json; charset=utf-16",
        "application/json; charset=latin-1", "APPLICATION/JSON", "application/json;;;=",
    ),
    "Accept": (
        SSE, "multipart/mixed", "text/html", "application/graphql-response+json", "*/*;q=0", "",
        f"{SSE};q=0", "multipart/mixed;subscriptionSpec=1.0, application/json", "image/png",
    ),
    "Content-Encoding": ("gzip", "br", "deflate", "zstd", "nope", "identity"),
    "X-Correlation-ID": ("x", "@@eco.foreign.0@@", "\xff", "00000000000000000000000000000000"),
    "Last-Event-ID": ("0", "-1", "x", "9" * 18, "9" * 19, "²", "1.5", "@@position.any.3@@"),
    "Upgrade": ("websocket", "h2c", "x"),
    "Connection": ("Upgrade", "close", "keep-alive, Upgrade"),
    "Sec-WebSocket-Key": ("x", "dGhlIHNhbXBsZSBub25jZQ=="),
    "Sec-WebSocket-Version": ("13", "0", "x"),
    "Sec-WebSocket-Protocol": ("graphql-transport-ws", "graphql-ws", ","),
    "Origin": ("null", "https://elsewhere.example", "@@origin.any.0@@", "http://[", "x"),
    "X-Forwarded-For": ("x", "::1", "1.2.3.4, 127.0.0.1", ",,,", "1.2.3.4:99999", "[::1"),
    "Cookie": ("a=b", ";;;", "tenant=@@tenant.foreign.0@@; language=\xff"),
    "Accept-Language": ("es", "xx-YY", ";;q=x", "en;q=nan"),
    "Range": ("bytes=0-1",),
    "Expect": ("100-continue", "nope"),
    "If-None-Match": ("*",),
    "Sec-Fetch-Site": ("cross-site", "same-origin", "none"),
}  # fmt: skip

FORM = [
    "ospId", "nocId", "pagingPolicy", "name", "email", "role", "scopes", "days", "accountSid",
    "fromNumber", "authToken", "baseUrl", "clientId", "project", "clientSecret", "year", "last",
    "text", "reason", "listId", "callId", "description", "location", "found", "place", "jobType",
    "priority", "ticket", "osp", "contacts", "phone", "language", "region", "rounds", "search",
    "status", "sort", "after", "before", "first", "asOf", "at", "box", "west", "said", "by",
    "since", "until", "zone", "tenant", "dark", "consented", "answerSeconds", "declineKeys", "file",
    "pollingSeconds", "inactivityHours", "graceHours", "affectedCustomers", "clientReference",
]  # fmt: skip
FILLED = (
    "@@eco.own.0@@", "@@eco.foreign.1@@", "@@osp.partner.0@@", "@@list.own.0@@", "@@phone.own.3@@",
    "@@mark.shared.0@@", "ADMIN", "READ", "ACTIVE", "FNOL", "7", "2026", "40.01+-105.27", "boulder",
    "on", "nan", "1e999", "%00", "%F0%9F%A7%B5", "%ED%A0%80", "-1", "@@time.any.-600@@", "NEWEST",
    "%7B%22type%22:%22Point%22,%22coordinates%22:%5B-105.27,40.01%5D%7D", "UTC", "%5B%5D", "",
)  # fmt: skip


def _quoted(draw: Draw, rng: random.Random) -> str:
    return quote(draw(odd_texts), safe="@") if rng.random() < 0.2 else rng.choice(FILLED)


_PART = (
    '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    '{"a": 1e999}\r\n--x--\r\n'
)
WHERE = {
    "tenant": ("@@tenant.own.0@@",) * 8 + ("@@tenant.foreign.0@@", "@@tenant.partner.0@@", "x"),
    "eco": ("@@eco.own.1@@", "@@eco.own.9@@", "@@eco.foreign.1@@", "@@eco.partner.1@@", "x"),
    "command": ("cancel_eco", "add_note", "start_work", "dispatch_pager", "amend_eco", "nope"),
    "id": ("@@list.own.0@@", "@@token.own.0@@", "@@list.foreign.0@@", "@@token.foreign.1@@", "%00"),
    "user": ("@@user.own.3@@", "@@user.foreign.0@@", "x"),
    "other": ("@@tenant.partner.0@@", "@@tenant.foreign.0@@", "x"),
    "run": ("@@run.own.0@@", "@@run.foreign.0@@", "x"),
    "call": ("@@call.own.0@@", "@@call.foreign.0@@", "x"),
}


def _filled(path: str, rng: random.Random) -> str:
    parts = []
    for part in path.split("/"):
        name = part.strip("{}").partition(":")[0]
        parts.append(rng.choice(WHERE.get(name, WHERE["other"])) if part.startswith("{") else part)
    return "/".join(parts)


# Spoiling ----------------------------------------------------------------------------------


def _plain(body: str | bytes) -> str:
    """The variables of a body, or none where they are no strict JSON."""
    try:
        found = json.loads(body)["variables"]
        return json.dumps(found, allow_nan=False)
    except ValueError:
        return "{}"


def _cut(text: str, rng: random.Random, _: str) -> str:
    start = rng.randrange(len(text))
    return text[:start] + text[start + rng.randrange(1, 30) :]


def _doubled(text: str, rng: random.Random, _: str) -> str:
    start = rng.randrange(len(text))
    return text[: start + rng.randrange(1, 60)] + text[start:]


def _strewn(text: str, rng: random.Random, odd: str) -> str:
    start = rng.randrange(len(text))
    return text[:start] + odd + text[start:]


def _replaced(text: str, rng: random.Random, odd: str) -> str:
    del text
    return rng.choice(
        (
            odd,
            "#" + odd,
            "{ me { id } } { me { id } }",
            "query A { me { id } } query B { me { id } }",
            "query A { me { ...F } } fragment F on Me { ...F }",
            "{ me { id @skip } }",
            "{ me @nope { id } }",
            "query ($a: Nope) { me { id } }",
            "query ($a: [[[[Int]]]] = [1]) { me { id } }",
            "{ ...F ...F }",
            "fragment F on Me { id }",
            "type Query { a: Int }",
            "extend type Query { a: Int }",
            "subscription { ecosChanged { position } pagingAlerts { position } }",
            "subscription { __typename }",
            "mutation { __typename }",
            "{ __schema { types { name fields { name type { name ofType { name } } } } } }",
            '{ __type(name: "Eco") { name fields { name } } __typename }',
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
            "{ me " + "{ memberships { tenant " * 30,
            "{" + " ".join(f"a{number}: permissions" for number in range(40)) + "}",
            "{ me { id } }" + " " * 5_000,
            "{ me { " + "id " * 2_100 + "} }",
            "{ ecos(first: 99999999999999999999) { totalCount } }",
            'query ($a: String = "\\u{110000}") { places(text: $a) { name } }',
            "query ($first: Int) { ecos(first: $first) { edges { node { timeline { line } } } } }",
            "query ($a: UUID! = null) { eco(id: $a) { id } }",
            "{ eco(id: {a: 1}) { id } }",
            "{ ecos(filter: {within: {west: 1e999, south: 0, east: 0, north: 0}}) { totalCount } }",
            '{ a: places(text: """block " string""") { name } }',
        )
    )


def _wrapped(text: str, rng: random.Random, _: str) -> str:
    levels = rng.choice((3, 10, 100, 600))
    return text.replace("{", "{ ... { " * levels, 1).replace("}", "} }" * levels, 1)


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value
