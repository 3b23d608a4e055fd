"""Who may do what: one table. The code executes it, `strike access` and docs/access.md print it.

Specification, section 6: a NOC sees the ECOs it created, an OSP those assigned to it, nobody
anything else; suspending a link stops new ECOs only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from strike_domain.actors import Actor, Role, Scope, Side
from strike_domain.errors import Forbidden
from strike_domain.ports import Link, LinkStatus


class Action(StrEnum):
    """Everything that somebody can ask of Strike. The value is what audits and tokens name."""

    ECO_SEE = "eco.see"
    ECO_EVIDENCE = "eco.evidence"
    ECO_CREATE = "eco.create"
    ECO_AMEND = "eco.amend"
    ECO_CANCEL = "eco.cancel"
    ECO_NOTE = "eco.note"
    ECO_DISPATCH = "eco.dispatch"
    ECO_FIELD_WORK = "eco.field-work"
    LISTS_PREVIEW = "lists.preview"
    LISTS_SEE = "lists.see"
    LISTS_EDIT = "lists.edit"
    TENANT_SEE = "tenant.see"
    TENANT_RENAME = "tenant.rename"
    TENANT_ADD = "tenant.add"
    MEMBERS_SEE = "members.see"
    MEMBERS_EDIT = "members.edit"
    LINK_SEE = "link.see"
    LINK_PROPOSE = "link.propose"
    LINK_ACCEPT = "link.accept"
    LINK_SUSPEND = "link.suspend"
    LINK_POLICY = "link.policy"
    JOBS_SEE = "jobs.see"
    JOBS_EDIT = "jobs.edit"
    TWILIO_SEE = "twilio.see"
    TWILIO_EDIT = "twilio.edit"
    RENDER_SEE = "render.see"
    RENDER_EDIT = "render.edit"
    TOKENS_SEE = "tokens.see"
    TOKENS_EDIT = "tokens.edit"
    AUDIT_SEE = "audit.see"
    FOLLOWERS_SKIP = "followers.skip"
    FOLLOWERS_REBUILD = "followers.rebuild"
    ARCHIVE_RUN = "archive.run"
    ARCHIVE_RESTORE = "archive.restore"
    ARCHIVE_COMPACT = "archive.compact"


class Over(StrEnum):
    """Over what an action reaches; for everything else it is as if the thing did not exist."""

    OWN = "its own"
    PARTY = "its ECOs"
    """Those of which it is a side, whatever became of the link."""
    LINKED = "linked companies"
    SYSTEM = "all"
    """Only on the command line of whoever runs Strike."""


@dataclass(frozen=True)
class Rule:
    """One row. `links`: in which states a link must be; empty where none is needed."""

    what: str
    role: Role
    sides: tuple[Side, ...]
    over: Over
    scope: Scope
    links: tuple[LinkStatus, ...] = ()


NOC, OSP, BOTH = (Side.NOC,), (Side.OSP,), (Side.NOC, Side.OSP)
VIEWER, OPERATOR, ADMIN = Role.VIEWER, Role.OPERATOR, Role.ADMIN
READ, CALLOUT, MANAGE = Scope.READ, Scope.CALLOUT, Scope.ADMIN
OWN, PARTY, LINKED, ALL = Over.OWN, Over.PARTY, Over.LINKED, Over.SYSTEM
ACTIVE = (LinkStatus.ACTIVE,)

RULES: dict[Action, Rule] = {
    Action.ECO_SEE: Rule("see an ECO, its calls and timeline", VIEWER, BOTH, PARTY, READ),
    Action.ECO_EVIDENCE: Rule("export an ECO's evidence bundle", OPERATOR, BOTH, PARTY, READ),
    Action.ECO_CREATE: Rule("create an ECO", OPERATOR, NOC, LINKED, CALLOUT, ACTIVE),
    Action.ECO_AMEND: Rule("correct an ECO", OPERATOR, NOC, PARTY, CALLOUT),
    Action.ECO_CANCEL: Rule("cancel an ECO", OPERATOR, NOC, PARTY, CALLOUT),
    Action.ECO_NOTE: Rule("put a note into the timeline", OPERATOR, BOTH, PARTY, CALLOUT),
    Action.ECO_DISPATCH: Rule(
        "ring a list by hand, or whoever offered to come", OPERATOR, BOTH, PARTY, CALLOUT
    ),
    Action.ECO_FIELD_WORK: Rule(
        "say that work starts, is done or is not; have field tasks made again",
        OPERATOR,
        BOTH,
        PARTY,
        CALLOUT,
    ),
    Action.LISTS_PREVIEW: Rule(
        "ask who would be rung for a place, check and drill lists",
        VIEWER,
        BOTH,
        LINKED,
        READ,
        ACTIVE,
    ),
    Action.LISTS_SEE: Rule("see pager lists with their contacts", VIEWER, OSP, OWN, READ),
    Action.LISTS_EDIT: Rule("change pager lists and regions", ADMIN, OSP, OWN, MANAGE),
    Action.TENANT_SEE: Rule("see its name and linked companies'", VIEWER, BOTH, OWN, READ),
    Action.TENANT_RENAME: Rule("change its name", ADMIN, BOTH, OWN, MANAGE),
    Action.TENANT_ADD: Rule("add a tenant", ADMIN, (), ALL, MANAGE),
    Action.MEMBERS_SEE: Rule("see who belongs to it", VIEWER, BOTH, OWN, READ),
    Action.MEMBERS_EDIT: Rule("add and remove users, change roles", ADMIN, BOTH, OWN, MANAGE),
    Action.LINK_SEE: Rule("see links", VIEWER, BOTH, OWN, READ),
    Action.LINK_PROPOSE: Rule("propose a link, or take the proposal back", ADMIN, NOC, OWN, MANAGE),
    Action.LINK_ACCEPT: Rule("accept a proposed link, or turn it down", ADMIN, OSP, OWN, MANAGE),
    Action.LINK_SUSPEND: Rule(
        "suspend a link, and resume what it suspended", ADMIN, BOTH, OWN, MANAGE
    ),
    Action.LINK_POLICY: Rule("say whether paging starts by itself", ADMIN, NOC, OWN, MANAGE),
    Action.JOBS_SEE: Rule("see how far the job numbers are", VIEWER, OSP, OWN, READ),
    Action.JOBS_EDIT: Rule("let job numbers go on from a higher one", ADMIN, OSP, OWN, MANAGE),
    Action.TWILIO_SEE: Rule("see its Twilio subaccount, never the token", VIEWER, NOC, OWN, READ),
    Action.TWILIO_EDIT: Rule("set and test its Twilio subaccount", ADMIN, NOC, OWN, MANAGE),
    Action.RENDER_SEE: Rule("see its Render instance, never the secret", VIEWER, OSP, OWN, READ),
    Action.RENDER_EDIT: Rule("set and test its Render instance", ADMIN, OSP, OWN, MANAGE),
    Action.TOKENS_SEE: Rule("see which API tokens there are", ADMIN, BOTH, OWN, MANAGE),
    Action.TOKENS_EDIT: Rule("make and revoke API tokens", ADMIN, BOTH, OWN, MANAGE),
    Action.AUDIT_SEE: Rule("see who changed what in its settings", ADMIN, BOTH, OWN, MANAGE),
    Action.FOLLOWERS_SKIP: Rule("have a follower leave an event out", ADMIN, (), ALL, MANAGE),
    Action.FOLLOWERS_REBUILD: Rule("make read models anew", ADMIN, (), ALL, MANAGE),
    Action.ARCHIVE_RUN: Rule("move what is long over to the archive", ADMIN, (), ALL, MANAGE),
    Action.ARCHIVE_RESTORE: Rule("bring an ECO back from the archive", ADMIN, (), ALL, MANAGE),
    Action.ARCHIVE_COMPACT: Rule("give back the room of what was moved", ADMIN, (), ALL, MANAGE),
}


def require(actor: Actor, action: Action) -> None:
    """Raise `Forbidden` unless side, role and scope of the actor allow the action.

    Codes: WRONG_SIDE, ROLE_MISSING, SCOPE_MISSING (of an API token).
    """
    rule = RULES[action]
    if rule.over is Over.SYSTEM:
        if not actor.is_system:
            raise Forbidden("Only whoever runs Strike may do this.", "WRONG_SIDE")
        return
    if actor.side not in rule.sides:
        needed = " or ".join(rule.sides)
        raise Forbidden(f"Only {needed} tenants may do this.", "WRONG_SIDE")
    if not actor.role.covers(rule.role):
        raise Forbidden(f"This needs the role {rule.role}; yours is {actor.role}.", "ROLE_MISSING")
    if actor.scopes is not None and rule.scope not in actor.scopes:
        raise Forbidden(f"This API token, or agent, lacks the scope {rule.scope}.", "SCOPE_MISSING")


def may(actor: Actor, action: Action) -> bool:
    """Whether side, role and scope of the actor allow the action."""
    try:
        require(actor, action)
    except Forbidden:
        return False
    return True


def reaches(action: Action, link: Link | None) -> bool:
    """Whether the action reaches the other end of that link."""
    return link is not None and link.status in RULES[action].links
