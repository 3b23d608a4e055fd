"""The public names of the domain: a change here is a change for everybody who embeds it."""

import strike_domain
from strike_domain import events
from strike_domain.eventsourced import DomainEvent

PUBLIC = [
    "Action",
    "Actor",
    "Administration",
    "CallOrder",
    "CallOutcome",
    "CallReport",
    "CallState",
    "Callouts",
    "Clock",
    "Conflict",
    "Contact",
    "CrewDesk",
    "DECLINE_KEYS",
    "DeclineKey",
    "DeclineReason",
    "Directory",
    "Draft",
    "Drafting",
    "Drafts",
    "Eco",
    "EcoOrder",
    "EcoStatus",
    "FieldProblem",
    "FieldTask",
    "FieldTerms",
    "FieldWork",
    "Forbidden",
    "InvalidTransition",
    "Job",
    "JobLink",
    "JobLinks",
    "JobType",
    "Language",
    "Link",
    "LinkStatus",
    "Location",
    "ManualClock",
    "MemoryDirectory",
    "MemoryDrafts",
    "MemoryRegistry",
    "NoRoute",
    "NotFound",
    "Offer",
    "OutcomeUnknown",
    "PagerList",
    "PagerLists",
    "PagerProcess",
    "PagerRun",
    "Paging",
    "PagingPolicy",
    "PagingState",
    "PaperTelephone",
    "Priority",
    "ProviderCall",
    "ProviderCallState",
    "Receipt",
    "RegionChoice",
    "Registry",
    "Rejected",
    "RenderState",
    "Responder",
    "RingAgain",
    "Ringer",
    "Role",
    "Route",
    "Router",
    "RunState",
    "Scope",
    "Side",
    "Stamp",
    "Standing",
    "StrikeError",
    "StrikeInMemory",
    "StrikeLog",
    "SystemClock",
    "TaskSnapshot",
    "TaskState",
    "Technicians",
    "Telephone",
    "Tenant",
    "TextOrder",
    "Texter",
    "Texts",
    "Unavailable",
    "WaitTimedOut",
    "choose_region",
    "memory_env",
    "parse_location",
    "parse_phone",
    "parse_region",
]


def test_the_public_names_are_these() -> None:
    assert strike_domain.__all__ == PUBLIC


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert sorted(PUBLIC) == PUBLIC
    for name in PUBLIC:
        assert getattr(strike_domain, name) is not None


def test_every_public_class_and_function_says_what_it_is() -> None:
    undocumented = {name for name in PUBLIC if not getattr(strike_domain, name).__doc__}
    assert undocumented <= {"LinkStatus", "Tenant"}


def test_every_event_is_public() -> None:
    """A projection of yours finds each in `strike_domain.events`."""
    known = {one for one in _below(DomainEvent) if "TOPIC" in vars(one)}
    assert {getattr(events, name) for name in events.__all__} == {
        one for one in known if one.__module__.startswith("strike_domain.")
    }
    assert sorted(events.__all__) == events.__all__


def _below(parent: type) -> set[type]:
    children: set[type] = set(parent.__subclasses__())
    return children.union(*map(_below, children))
