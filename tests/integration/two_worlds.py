"""Two companies that work together, two foreign ones, and everything that either pair owns.

Whatever belongs to the foreign pair has the word FOREIGN in it: an answer that has it leaked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr

from strike_adapters.postgres.people import save_link, save_tenant
from strike_adapters.postgres.queries import Membership, User
from strike_app.bootstrap import Strike
from strike_app.graphql import Context, make_context
from strike_app.services import Services
from strike_app.tokens import new_secret
from strike_domain import (
    Actor,
    Contact,
    EcoOrder,
    Link,
    LinkStatus,
    PagerList,
    Role,
    Side,
    Tenant,
    parse_phone,
)
from strike_domain.actors import Scope
from strike_domain.outside import RenderTerms, TwilioTerms
from tests.integration.stored import follow

FOREIGN = "FOREIGN"
PLACE = {"type": "Point", "coordinates": [-105.27, 40.01]}
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[-106, 39], [-105, 39], [-105, 41], [-106, 41], [-106, 39]]],
}


@dataclass
class Pair:
    """A NOC and an OSP with a link, and one of each thing."""

    word: str
    noc: Tenant
    osp: Tenant
    eco_id: UUID = field(default_factory=uuid4)
    list_id: UUID = field(default_factory=uuid4)
    spare_list_id: UUID = field(default_factory=uuid4)
    members: dict[Side, UUID] = field(default_factory=dict)
    tokens: dict[Side, UUID] = field(default_factory=dict)

    def tenant(self, side: Side) -> Tenant:
        return self.noc if side is Side.NOC else self.osp

    def other(self, side: Side) -> Tenant:
        return self.osp if side is Side.NOC else self.noc

    def admin(self, side: Side) -> Actor:
        return actor(self.tenant(side), Role.ADMIN)


def actor(tenant: Tenant, role: Role, scopes: frozenset[Scope] | None = None) -> Actor:
    return Actor(
        name=f"user:{role}@{tenant.name}",
        tenant_id=tenant.id,
        side=tenant.side,
        role=role,
        scopes=scopes,
    )


class Worlds:
    """Both pairs in one database, and the means to put them back as they were."""

    def __init__(self, strike: Strike, services: Services) -> None:
        self.strike, self.services = strike, services
        self.ours, self.foreign = self._pair("OURS"), self._pair(FOREIGN)
        for pair in (self.ours, self.foreign):
            self._fill(pair)
        follow(strike.url)
        self.rights: dict[UUID, Actor] = {}
        standings = services.following.standings
        standings._ask = self  # What they may is said by the test, not by the tables.

    def _pair(self, word: str) -> Pair:
        noc = Tenant(id=uuid4(), name=f"{word} NOC", side=Side.NOC)
        osp = Tenant(id=uuid4(), name=f"{word} OSP", side=Side.OSP)
        for tenant in (noc, osp):
            save_tenant(self.strike.pool, tenant)
        return Pair(word, noc, osp)

    def _fill(self, pair: Pair) -> None:
        self.set_link(pair, LinkStatus.ACTIVE)
        for list_id, region in ((pair.list_id, None), (pair.spare_list_id, SQUARE)):
            self.strike.directory.save_list(a_list(pair, list_id, region))
        do = self.strike.administration()
        noc, osp = pair.admin(Side.NOC), pair.admin(Side.OSP)
        sid = "AC" + uuid4().hex
        secret = SecretStr(f"{pair.word}-{uuid4()}")
        do.set_twilio(TwilioTerms(account_sid=sid, from_number="+12025550199"), secret, noc)
        terms = RenderTerms(
            osp_id=pair.osp.id,
            base_url=f"https://{pair.word.lower()}.invalid",
            client_id=pair.word,
            project=pair.word,
        )
        do.set_render(terms, secret, osp)
        do.raise_job_numbers(2026, 77 if pair.word == FOREIGN else 7, osp)
        for boss in (noc, osp):
            self._people(pair, boss)
        self._eco(pair)

    def _people(self, pair: Pair, boss: Actor) -> None:
        assert boss.side
        do = self.strike.administration()
        address = f"{{}}@{pair.word.lower()}-{boss.side.lower()}.example"
        do.set_member(address.format("chief"), pair.word, Role.ADMIN, boss)
        spare = do.set_member(address.format("spare"), pair.word, Role.VIEWER, boss)
        pair.members[boss.side] = spare.user_id
        scopes = frozenset(Scope)
        token = do.create_token(f"{pair.word} token", Role.ADMIN, scopes, 30, new_secret(), boss)
        pair.tokens[boss.side] = token.id

    def _eco(self, pair: Pair) -> None:
        order = EcoOrder(
            osp_id=pair.osp.id, location=PLACE, job_type="FNOL", description=f"{pair.word} cut"
        )
        made = self.strike.callouts().create_eco(order, pair.admin(Side.NOC))
        pair.eco_id = made.aggregate.id
        paging = self.strike.paging()
        paging.dispatch(pair.eco_id, pair.admin(Side.NOC))
        note = f"{pair.word} note"
        self.strike.callouts().add_note(pair.eco_id, note, pair.admin(Side.OSP))

    def set_link(self, pair: Pair, status: LinkStatus | None) -> None:
        """Put the pair's link into a state; None: there is none."""
        with self.strike.pool.connection() as connection:
            ends = (pair.noc.id, pair.osp.id)
            connection.execute("DELETE FROM links WHERE noc_id = %s OR osp_id = %s", ends)
        if status is not None:
            save_link(self.strike.pool, Link(noc_id=pair.noc.id, osp_id=pair.osp.id, status=status))

    def put_back(self, status: LinkStatus | None) -> None:
        """Everything that a command may have changed of ours."""
        pair = self.ours
        self.set_link(pair, status)
        self.strike.directory.save_list(a_list(pair, pair.spare_list_id, SQUARE))
        with self.strike.pool.connection() as connection:
            for side, user_id in pair.members.items():
                connection.execute(
                    "INSERT INTO memberships VALUES (%s, %s, 'VIEWER') ON CONFLICT DO NOTHING",
                    (user_id, pair.tenant(side).id),
                )

    def context(self, acting: Actor | None) -> Context:
        """What resolvers are given for a request of that actor."""
        memberships: tuple[Membership, ...] = ()
        if acting and acting.tenant_id and acting.side:
            memberships = (Membership(acting.tenant_id, "OURS", acting.side, acting.role),)
        user = User(uuid4(), "ours@ours.example", "OURS", memberships)
        if acting:
            self.rights[user.id] = acting
        return make_context(self.services, user, acting, uuid4())

    async def standing(
        self, user_id: UUID, tenant_id: UUID, at: datetime, *, is_machine: bool
    ) -> dict[str, Any]:
        """The rights of whoever `context` has made."""
        acting = self.rights[user_id]
        scopes = sorted(acting.scopes) if acting.scopes is not None else None
        return {"side": acting.side, "role": acting.role, "scopes": scopes, "expires_at": None}


def a_list(pair: Pair, list_id: UUID, region: dict[str, Any] | None) -> PagerList:
    person = Contact(name=f"{pair.word} Fred", phone=parse_phone("+13035550101"))
    name = f"{pair.word} {'default' if region is None else 'square'}"
    return PagerList(id=list_id, osp_id=pair.osp.id, name=name, contacts=(person,), region=region)


def leaks(answer: Any, pair: Pair) -> list[str]:
    """What of a pair is in an answer: its word, or an id of its own."""
    text = json.dumps(answer, default=str).upper()
    ids = [pair.noc.id, pair.osp.id, pair.eco_id, pair.list_id, pair.spare_list_id]
    ids += [*pair.members.values(), *pair.tokens.values()]
    return [one for one in (pair.word, *map(str, ids)) if one.upper() in text]


Variables = Callable[[Pair, Side], dict[str, Any]]
