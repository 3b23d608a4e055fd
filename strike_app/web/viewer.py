"""Who looks at a page, with whose eyes, in which language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from aiohttp import web

from strike_adapters.postgres.queries import Membership, User
from strike_app.callers import actor_of, user_of
from strike_app.claims import correlation_id
from strike_app.graphql import Context, make_context
from strike_app.limits import RATES
from strike_app.services import SERVICES, Services
from strike_app.web.wording import N_
from strike_app.web.words import LANGUAGES, language_of
from strike_domain.access import Action, may
from strike_domain.actors import Actor, Side
from strike_domain.errors import Forbidden, NotFound

LANGUAGE_COOKIE, THEME_COOKIE = "strike_language", "strike_theme"
TENANT_COOKIE = "strike_tenant"
"""The tenant that was looked through last: where the start page leads."""

THEMES = ("auto", "light", "dark")


Entry = tuple[str, str, str]
"""Key and first part of the address, words, what one must be allowed to."""

MENU: tuple[Entry, ...] = (
    ("board", N_("Board"), "eco.see"),
    ("new", N_("New callout"), "eco.create"),
    ("times", N_("Response times"), "eco.see"),
    ("lists", N_("Pager lists"), "lists.see"),
    ("links", N_("Links"), "link.see"),
    ("settings", N_("Settings"), "tenant.see"),
)
"""Each page, of either side: who may not do its action does not have it."""


SECTIONS: tuple[Entry, ...] = (
    ("settings", N_("Company and people"), "tenant.see"),
    ("settings/twilio", N_("Phone account"), "twilio.see"),
    ("settings/render", N_("Render"), "render.see"),
    ("settings/jobs", N_("Job numbers"), "jobs.see"),
    ("settings/tokens", N_("API tokens"), "tokens.see"),
    ("settings/audit", N_("Audit"), "audit.see"),
)
"""The pages of the settings, as in `MENU`."""


@dataclass(frozen=True)
class Viewer:
    """A person at a page. `here` is the tenant of the address: two tabs can show two tenants."""

    request: web.Request
    services: Services
    user: User
    actor: Actor
    here: Membership
    context: Context

    @property
    def is_noc(self) -> bool:
        return self.here.side is Side.NOC

    @cached_property
    def language(self) -> str:
        return language_in(self.request)

    @cached_property
    def now(self) -> datetime:
        """Strike's time, which pages count from: a reader's clock may be wrong."""
        return self.services.clock.now()

    @property
    def theme(self) -> str:
        """auto: dark at night, else as the system is set."""
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else "auto"

    def may(self, action: str) -> bool:
        """Whether a button for it should be there; the command itself asks again."""
        return may(self.actor, Action(action))

    @property
    def pages(self) -> list[tuple[str, str, str]]:
        """The menu: key, address and words of each page that this reader has."""
        return [(key, self.path(key), words) for key, words in _open_to(self.actor, MENU)]

    @property
    def sections(self) -> list[tuple[str, str, str]]:
        """The pages of the settings, as `pages`."""
        return [(key, self.path(key), words) for key, words in _open_to(self.actor, SECTIONS)]

    def elsewhere(self, other: Membership) -> str:
        """The address of the same kind of page at another tenant; its board if it has none."""
        actor = actor_of(self.user, str(other.tenant_id))
        has = {key for key, _ in _open_to(actor, (*MENU, *SECTIONS))} if actor else set()
        parts = self.request.path.split("/")[3:]
        same = ("/".join(parts[:count]) for count in (2, 1))
        return f"/t/{other.tenant_id}/{next((one for one in same if one in has), 'board')}"

    def path(self, *parts: object) -> str:
        """An address of this console, for the tenant that is looked through."""
        return "/".join([f"/t/{self.here.tenant_id}", *map(str, parts)])


def _open_to(actor: Actor, pages: tuple[Entry, ...]) -> list[tuple[str, str]]:
    return [(key, words) for key, words, action in pages if may(actor, Action(action))]


async def viewer_of(request: web.Request) -> Viewer:
    """The person whom the login vouches for, at the tenant that the address names.

    Raises `Unauthenticated`, `Forbidden` (NOT_A_MEMBER, NOT_A_PERSON) and `TooMany`.
    """
    services = request.app[SERVICES]
    user = await person_of(request)
    correlation = correlation_id(request)
    actor = actor_of(user, request.match_info["tenant"], correlation)
    if actor is None or actor.tenant_id is None:
        raise NotFound("tenant")
    request.app[RATES].count(user.id, actor.tenant_id)
    here = next(one for one in user.memberships if one.tenant_id == actor.tenant_id)
    context = make_context(services, user, actor, correlation)
    return Viewer(request, services, user, actor, here, context)


async def person_of(request: web.Request) -> User:
    """As `user_of`, but no machine: pages are for people. Raises as `viewer_of`."""
    user = await user_of(request, request.app[SERVICES])
    if user.is_machine:
        raise Forbidden("Pages are for people; a token asks GraphQL.", "NOT_A_PERSON")
    return user


def language_in(request: web.Request) -> str:
    """As chosen, or as the browser asks for it."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return language_of(request.headers.get("Accept-Language", ""))


def uuid_in(request: web.Request, name: str) -> UUID:
    """An id of the address. Raises `NotFound` for what is none."""
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise NotFound("page") from None
