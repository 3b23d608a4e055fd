"""Five companies for the fuzzing of the API, and what each of them may ever be shown.

    NORTHNOC - NORTHOSP        SOUTHNOC - SOUTHOSP
           \\_______ BRIDGEOSP _______/

North and south have nothing in common; the contractor in the middle works for both NOCs. Each text
that is stored carries a mark that names its owner and how far it may be seen; ids, telephone
numbers and account numbers are known by whose they are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr

from strike_adapters.memory import FakeFieldWork
from strike_adapters.postgres.people import save_link, save_membership, save_tenant, save_user
from strike_app.bootstrap import Strike
from strike_app.tokens import new_secret
from strike_domain import (
    Actor,
    Contact,
    CrewDesk,
    EcoOrder,
    FieldTask,
    Link,
    LinkStatus,
    PagerList,
    PagingPolicy,
    PaperTelephone,
    Ringer,
    Role,
    Side,
    TaskState,
    Tenant,
    Unavailable,
)
from strike_domain.actors import Scope
from strike_domain.field_work import Look
from strike_domain.outside import RenderTerms, TwilioTerms
from tests.integration.stored import eventually, is_caught_up
from tests.integration.two_worlds import PLACE, SQUARE

MARK = re.compile(r"zq-(own|shared|secret|eco)-([a-z]+)(?:-with-([a-z]+))?-qz", re.IGNORECASE)
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
PHONE = re.compile(r"\+1(\d{3})5550\d{3}")
ACCOUNT = re.compile(r"AC(\d{3})0{29}")
SYMBOL = re.compile(r"@@([a-z]+)\.([a-z]+)\.(-?\d+)@@")

DAYS = 30
"""How long the companies' API tokens are good."""


@dataclass(frozen=True)
class Company:
    """`area`: with which its telephone and account numbers begin. `partners`: linked at times."""

    key: str
    side: Side
    area: str
    partners: tuple[str, ...]

    @property
    def tenant(self) -> Tenant:
        return Tenant(id=uuid5(NAMESPACE_URL, self.key), name=self.mark("shared"), side=self.side)

    def mark(self, seen: str) -> str:
        """What its texts carry: `own`, `shared` with partners, `secret` of nobody's eyes."""
        return f"zq-{seen}-{self.key}-qz"

    def email(self, role: Role) -> str:
        """Of somebody who acts; timelines show it to partners."""
        return f"{role.lower()}@{self.mark('shared')}.example"

    def actor(self, role: Role = Role.ADMIN) -> Actor:
        name = f"user:{self.email(role)}"
        return Actor(name=name, tenant_id=self.tenant.id, side=self.side, role=role)


COMPANIES = {
    one.key: one
    for one in (
        Company("northnoc", Side.NOC, "202", ("northosp", "bridgeosp")),
        Company("northosp", Side.OSP, "720", ("northnoc",)),
        Company("southnoc", Side.NOC, "206", ("southosp", "bridgeosp")),
        Company("southosp", Side.OSP, "801", ("southnoc",)),
        Company("bridgeosp", Side.OSP, "503", ("northnoc", "southnoc")),
    )
}
AREAS = {one.area: one.key for one in COMPANIES.values()}
LINKS = tuple(
    (COMPANIES[noc], one)
    for one in COMPANIES.values()
    if one.side is Side.OSP
    for noc in one.partners
)
BY_HAND = "southosp"
"""The contractor without a Render instance: its work is told by people."""

TOKENS = (
    (Role.ADMIN, frozenset(Scope)),
    (Role.OPERATOR, frozenset({Scope.CALLOUT})),
    (Role.VIEWER, frozenset({Scope.READ})),
)

# How a link stands, turn by turn; each link is at another place of it.
STANDS: tuple[tuple[LinkStatus | None, Side | None], ...] = (
    (LinkStatus.ACTIVE, None),
    (LinkStatus.PENDING, None),
    (LinkStatus.ACTIVE, None),
    (LinkStatus.SUSPENDED, Side.NOC),
    (LinkStatus.ACTIVE, None),
    (None, None),
    (LinkStatus.ACTIVE, None),
    (LinkStatus.SUSPENDED, Side.OSP),
)
KEYS = ("4", "3", "1", "")

OWNERS = """
SELECT 'eco' AS kind, eco_id AS id, ARRAY[noc_id, osp_id] AS owners, position AS age FROM eco_views
UNION ALL SELECT 'run', run_id, ARRAY[noc_id, osp_id], position FROM pager_run_views
UNION ALL SELECT 'call', call_id, ARRAY[noc_id, osp_id], c.position
    FROM pager_calls c JOIN pager_run_views USING (run_id)
UNION ALL SELECT kind, id, ARRAY[noc_id, osp_id], position FROM eco_views,
    jsonb_array_elements(offers) AS o,
    LATERAL (VALUES ('offer', (o ->> 'call_id')::uuid), ('offered', eco_id)) AS offers_of (kind, id)
    WHERE paging_state NOT IN ('RUNNING', 'ACCEPTED')
UNION ALL SELECT 'list', id, ARRAY[osp_id], 0 FROM pager_lists
UNION ALL SELECT 'token', id, ARRAY[tenant_id], 0 FROM api_tokens
UNION ALL SELECT 'user', user_id, array_agg(tenant_id), 0 FROM memberships GROUP BY user_id
ORDER BY age
"""
SEEN_BY_PARTNERS = ("list",)

PUT_LINK = """
INSERT INTO links (noc_id, osp_id, status, suspended_by, paging_policy) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (noc_id, osp_id) DO UPDATE SET status = excluded.status,
    suspended_by = excluded.suspended_by, paging_policy = excluded.paging_policy
"""
RINGING = "SELECT run_id FROM pager_run_views WHERE state = 'RUNNING' ORDER BY position LIMIT 12"
WAITING = "SELECT eco_id, osp_id FROM eco_views WHERE render_state = 'PENDING' LIMIT 6"


class World:
    """The companies in one database; `turn` moves everything on, and mends what was broken."""

    def __init__(self, strike: Strike) -> None:
        self.strike = strike
        self.database = psycopg.connect(strike.url, autocommit=True, row_factory=dict_row)
        self.telephone, self.crew = PaperTelephone(), FakeFieldWork()
        self._ringer = Ringer(strike.log, self.telephone, strike.clock, router=strike.router)
        self._desk = CrewDesk(strike.log, self.crew, strike.clock, strike.directory)
        self._turns, self._keys, self._higher = 0, count(), count(1)
        self.cursors: list[str] = []
        self.tokens: dict[tuple[str, Role], str] = {}
        self.seers: dict[UUID, frozenset[str]] = {}
        self._pools: dict[tuple[str, str, str], list[UUID]] = {}
        for company in COMPANIES.values():
            self._settle(company)
        for noc, osp in LINKS:
            self._work_together(noc, osp)
        for _ in range(2):
            self._go_on()
        self.turn()

    def close(self) -> None:
        self.database.close()

    # What there is --------------------------------------------------------------------------

    def _settle(self, company: Company) -> None:
        pool, tenant = self.strike.pool, company.tenant
        save_tenant(pool, tenant)
        for role in Role:
            user_id = uuid5(tenant.id, role)
            save_user(pool, user_id, company.email(role), company.mark("own"))
            save_membership(pool, user_id, tenant.id, role)
        do, boss = self.strike.administration(), company.actor()
        spare = f"spare@{company.mark('own')}.example"
        do.set_member(spare, company.mark("own"), Role.VIEWER, boss)
        for role, scopes in TOKENS:
            secret = new_secret()
            do.create_token(f"{company.mark('shared')} {role}", role, scopes, DAYS, secret, boss)
            self.tokens[company.key, role] = secret.get_secret_value()
        if company.side is Side.OSP:
            do.raise_job_numbers(self.strike.clock.now().year, 7000, boss)
        self._put_back(company)

    def _put_back(self, company: Company) -> None:
        """The rights of those who act, the lists and accounts, as they were."""
        tenant, do, boss = company.tenant, self.strike.administration(), company.actor()
        for role in Role:
            save_membership(self.strike.pool, uuid5(tenant.id, role), tenant.id, role)
        self.database.execute(
            "UPDATE api_tokens SET revoked_at = NULL WHERE tenant_id = %s AND created_by = %s"
            " AND name LIKE %s",
            (tenant.id, boss.name, f"{company.mark('shared')} %"),
        )
        secret = SecretStr(company.mark("secret"))
        if company.side is Side.NOC:
            terms = TwilioTerms(account_sid=account_sid(company), from_number=phone(company, 99))
            do.set_twilio(terms, secret, boss)
            return
        for pager_list in pager_lists(company):
            self.strike.directory.save_list(pager_list)
        if company.key != BY_HAND:
            do.set_render(render_terms(company), secret, boss)

    def _work_together(self, noc: Company, osp: Company) -> None:
        link = Link(noc_id=noc.tenant.id, osp_id=osp.tenant.id, status=LinkStatus.ACTIVE)
        save_link(self.strike.pool, link)
        for number in range(3):
            self._callout(noc, osp, f"seed-{number}")

    def _callout(self, noc: Company, osp: Company, reference: str) -> None:
        mark = f"zq-eco-{noc.key}-with-{osp.key}-qz"
        callouts = self.strike.callouts()
        order = EcoOrder(
            osp_id=osp.tenant.id,
            location=PLACE,
            job_type="FNOL",
            description=f"{mark} cable cut",
            ticket=f"{mark} ticket",
            client_reference=f"{mark} {reference}",
            affected_customers=12,
        )
        made = callouts.create_eco(order, noc.actor())
        for side in (noc, osp):
            callouts.add_note(made.aggregate.id, f"{mark} note", side.actor(Role.OPERATOR))

    # Turn by turn ---------------------------------------------------------------------------

    def turn(self) -> None:
        """Let phones ring and crews work; put back rights and accounts; move the links on."""
        self._turns += 1
        for company in COMPANIES.values():
            self._put_back(company)
        for number, (noc, osp) in enumerate(LINKS):
            ends = (noc.tenant.id, osp.tenant.id)
            self.database.execute("DELETE FROM links WHERE noc_id = %s AND osp_id = %s", ends)
            status, by = STANDS[(self._turns + 2 * number) % len(STANDS)]
            policy = tuple(PagingPolicy)[self._turns % 2]
            if status is not None:
                self.database.execute(PUT_LINK, (*ends, status, by, policy))
        self._go_on()
        self._look_around()

    def _go_on(self) -> None:
        eventually(lambda: is_caught_up(self.strike.url), 30)
        for row in self.database.execute(RINGING).fetchall():
            self._ring(row["run_id"])
        for row in self.database.execute(WAITING).fetchall():
            self._see_to(row["eco_id"], row["osp_id"])
        eventually(lambda: is_caught_up(self.strike.url), 30)

    def _ring(self, run_id: UUID) -> None:
        self._ringer.work_on(run_id)
        call = next((o for o in reversed(self.telephone.calls) if o.order.run_id == run_id), None)
        if call is not None and not call.state.is_final:
            self.strike.paging().key_pressed(call.report, KEYS[next(self._keys) % len(KEYS)])
            self._ringer.work_on(run_id)

    def _see_to(self, eco_id: UUID, osp_id: UUID) -> None:
        if next(self._keys) % 4 == 0:
            self.crew.fail_next(Unavailable("Render is away.", can_retry=False))
        at = self.strike.clock.now()
        look = self._desk.look_after(eco_id, Look(due_at=at))
        if look.error is not None:
            return
        company = next(one for one in COMPANIES.values() if one.tenant.id == osp_id)
        state = list(TaskState)[next(self._keys) % len(TaskState)]
        task = FieldTask(id="t1", name=f"{company.mark('shared')} splice", state=state)
        self.crew.set_tasks(self.crew.tasked(osp_id, eco_id).subsector_id, task)
        self._desk.look_after(eco_id, Look(due_at=at))

    # Whose things are -----------------------------------------------------------------------

    def _look_around(self) -> None:
        keys = {one.tenant.id: one.key for one in COMPANIES.values()}
        things: defaultdict[str, list[tuple[UUID, frozenset[str]]]] = defaultdict(list)
        for row in self.database.execute(OWNERS).fetchall():
            owners = frozenset(keys[one] for one in row["owners"])
            things[row["kind"]].append((row["id"], owners))
        for tenant_id, key in keys.items():
            side = COMPANIES[key].side.lower()
            for kind in ("tenant", side):
                things[kind].append((tenant_id, frozenset({key})))
        self.seers |= dict(_seers(things))
        self._pools = {
            (kind, whose, reader): found
            for kind, all_of_it in things.items()
            for reader in COMPANIES
            for whose in ("own", "partner", "foreign")
            if (found := _pool(all_of_it, reader, whose))
        }

    def resolve(self, text: str, reader: str) -> str:
        """A request as it is sent: with the ids and words that its symbols stand for now."""
        return SYMBOL.sub(lambda found: self._meant(reader, *found.groups()), text)

    def _meant(self, reader: str, kind: str, whose: str, number: str) -> str:
        company, chosen = COMPANIES[reader], int(number)
        match kind:
            case "mark":
                return company.mark(whose)
            case "phone":
                return phone(company, chosen % 100)
            case "account":
                return account_sid(company)
            case "time":
                return (datetime.now(UTC) + timedelta(seconds=chosen)).isoformat()
            case "higher":
                return str(10_000 + next(self._higher))
            case "position":
                return str(max(0, self.strike.log.position() - chosen))
            case "cursor":
                return self.cursors[chosen % len(self.cursors)] if self.cursors else "none"
            case _:
                return str(self._one_of(kind, whose, reader, chosen))

    def _one_of(self, kind: str, whose: str, reader: str, number: int) -> UUID:
        found = self._pools.get((kind, whose, reader))
        return found[number % len(found)] if found else uuid4()

    def may_see(self, reader: str | None, mark: re.Match[str]) -> bool:
        """Whether somebody of that company (None: nobody's) may be shown this mark."""
        seen, owner, other = (one and one.lower() for one in mark.groups())
        if reader is None or owner not in COMPANIES or seen == "secret":
            return False
        if seen == "eco":
            return reader in (owner, other)
        is_shared = seen == "shared" or self._is_called(owner, mark[0])
        if reader == owner or (is_shared and reader in COMPANIES[owner].partners):
            return True
        return self._is_written_to(reader, owner, mark[0])

    def _is_written_to(self, reader: str, owner: str, mark: str) -> bool:
        """Whether the owner has put that into a callout of both, as odd words for anything."""
        mine = """
            SELECT 1 FROM strike_events e JOIN eco_views v ON v.eco_id = e.originator_id
            WHERE %(reader)s IN (v.noc_id, v.osp_id) AND %(owner)s IN (v.noc_id, v.osp_id)
              AND convert_from(e.state, 'UTF8') ILIKE %(mark)s LIMIT 1"""
        values = {
            name: COMPANIES[key].tenant.id for name, key in (("reader", reader), ("owner", owner))
        }
        return self.database.execute(mine, {**values, "mark": f"%{mark}%"}).fetchone() is not None

    def _is_called(self, owner: str, mark: str) -> bool:
        """Whether the company has taken that for its name, which its partners see."""
        names = "SELECT 1 FROM tenants WHERE id = %s AND name ILIKE %s"
        values = (COMPANIES[owner].tenant.id, f"%{mark}%")
        return self.database.execute(names, values).fetchone() is not None


def _seers(
    things: dict[str, list[tuple[UUID, frozenset[str]]]],
) -> Iterator[tuple[UUID, frozenset[str]]]:
    for kind, all_of_it in things.items():
        for one, owners in all_of_it:
            seers = owners
            if kind in ("tenant", "noc", "osp", *SEEN_BY_PARTNERS):
                seers = owners.union(*(COMPANIES[key].partners for key in owners))
            yield one, seers


OLDEST, NEWEST = 4, 12
"""How many of a kind are chosen from."""


def _pool(things: list[tuple[UUID, frozenset[str]]], reader: str, whose: str) -> list[UUID]:
    """The first and the newest that are the reader's own, only a partner's, or nobody's near."""
    partners = set(COMPANIES[reader].partners)
    found = [
        one
        for one, owners in things
        if whose == ("own" if reader in owners else "partner" if owners & partners else "foreign")
    ]
    return found[:OLDEST] + found[OLDEST:][-NEWEST:]


def phone(company: Company, number: int) -> str:
    """One of the company's telephone numbers, 0 to 99."""
    return f"+1{company.area}55501{number:02}"


def account_sid(company: Company) -> str:
    return f"AC{company.area}{'0' * 29}"


def render_terms(company: Company) -> RenderTerms:
    return RenderTerms(
        osp_id=company.tenant.id,
        base_url=f"http://127.0.0.1:9/{company.mark('own')}",
        client_id=company.mark("own"),
        project=company.mark("own"),
    )


def pager_lists(company: Company) -> list[PagerList]:
    """One for a square and one for everywhere else, each with two people."""
    return [
        PagerList(
            id=uuid5(company.tenant.id, name),
            osp_id=company.tenant.id,
            name=f"{company.mark('shared')} {name}",
            contacts=tuple(
                Contact(name=f"{company.mark('shared')} {who}", phone=phone(company, number))
                for number, who in enumerate(("Ana", "Ben"))
            ),
            region=region,
        )
        for name, region in (("square", SQUARE), ("elsewhere", None))
    ]
