"""The companies of a loaded database: half NOCs, half contractors, each linked with each other one.

Names are invented, numbers are from the range kept for fiction. None has an account at Twilio or a
Render instance: nothing that is loaded can ring anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random
from uuid import UUID

from strike_adapters.postgres.directory import PostgresDirectory
from strike_adapters.postgres.people import SAVE_LINK, SAVE_MEMBERSHIP, SAVE_TENANT, SAVE_USER
from strike_domain.actors import Role, Side
from strike_domain.contacts import Contact, PagerList, parse_phone
from strike_domain.eco import PagingPolicy
from strike_domain.ports import LinkStatus

LARGE = 1.4
"""How uneven companies are: of a hundred, the largest has about 4 % of the callouts."""

FIRST_NAMES = ("Ana", "Ben", "Carla", "Dan", "Eva", "Felix", "Grace", "Hugo", "Iris", "Jo")
LAST_NAMES = ("Reyes", "Okafor", "Diaz", "Moreno", "Tanaka", "Brandt", "Castillo", "Bell", "Soto")


@dataclass(frozen=True)
class Company:
    """The `number`th of its side, from 1; its id says which it is."""

    side: Side
    number: int

    @cached_property
    def id(self) -> UUID:
        return UUID(f"{1 if self.side is Side.NOC else 2}{self.number:031d}")

    @property
    def name(self) -> str:
        return f"{'Carrier' if self.side is Side.NOC else 'Contractor'} {self.number}"

    @property
    def email(self) -> str:
        """Of the one person who can log in there."""
        return f"admin{self.number}@{self.side.lower()}.example"

    @cached_property
    def crew(self) -> PagerList:
        """A contractor's only list, for everywhere."""
        people = tuple(self._contact(rank) for rank in range(3))
        list_id = UUID(f"3{self.number:031d}")
        return PagerList(id=list_id, osp_id=self.id, name="Everywhere", contacts=people)

    def _contact(self, rank: int) -> Contact:
        nth = 3 * self.number + rank
        first, last = FIRST_NAMES[nth % 10], LAST_NAMES[nth // 10 % 9]
        return Contact(name=f"{first} {last}", phone=parse_phone(f"+1303555{100 + nth % 100:04d}"))


@dataclass(frozen=True)
class Companies:
    """So many of each side."""

    nocs: int
    osps: int

    @cached_property
    def of(self) -> dict[Side, tuple[Company, ...]]:
        counts = {Side.NOC: self.nocs, Side.OSP: self.osps}
        return {
            side: tuple(Company(side, n) for n in range(1, count + 1))
            for side, count in counts.items()
        }

    def drawn(self, side: Side, random: Random) -> Company:
        """One of a side; the first of them are drawn most often."""
        every = self.of[side]
        return every[int(len(every) * random.random() ** LARGE)]

    def save(self, directory: PostgresDirectory) -> None:
        """Store them with their links, lists and people."""
        every = (*self.of[Side.NOC], *self.of[Side.OSP])
        active = LinkStatus.ACTIVE, PagingPolicy.AUTOMATIC
        links = [(n.id, o.id, *active) for n in self.of[Side.NOC] for o in self.of[Side.OSP]]
        # In one transaction: a hundred companies of each side have ten thousand links.
        with directory.pool.connection() as connection, connection.cursor() as cursor:
            cursor.executemany(SAVE_TENANT, [(one.id, one.name, one.side) for one in every])
            people = [(one.id, one.email, f"Admin of {one.name}") for one in every]
            cursor.executemany(SAVE_USER, people)
            cursor.executemany(SAVE_MEMBERSHIP, [(one.id, one.id, Role.ADMIN) for one in every])
            cursor.executemany(SAVE_LINK, links)
        for osp in self.of[Side.OSP]:
            directory.save_list(osp.crew)
