"""Osprey Strike's domain: emergency callouts and the ringing of people, event-sourced.

Import from here; the modules behind are free to move.
"""

from strike_domain.access import Action
from strike_domain.actors import Actor, Role, Scope, Side, Stamp
from strike_domain.administration import Administration
from strike_domain.callouts import Callouts, EcoOrder
from strike_domain.contacts import (
    DECLINE_KEYS,
    Contact,
    DeclineKey,
    DeclineReason,
    Language,
    PagerList,
    RingAgain,
    parse_phone,
)
from strike_domain.drafts import Draft, Drafting, Drafts, MemoryDrafts
from strike_domain.eco import (
    Eco,
    EcoStatus,
    FieldProblem,
    JobType,
    Offer,
    PagingPolicy,
    PagingState,
    Priority,
    RenderState,
    Responder,
)
from strike_domain.errors import (
    Conflict,
    Forbidden,
    InvalidTransition,
    NotFound,
    OutcomeUnknown,
    Rejected,
    StrikeError,
    Unavailable,
    WaitTimedOut,
)
from strike_domain.field_tasks import FieldTask, TaskSnapshot, TaskState
from strike_domain.field_work import CrewDesk
from strike_domain.geometry import Location, parse_location
from strike_domain.in_memory import StrikeInMemory
from strike_domain.log import Receipt, StrikeLog
from strike_domain.memory import (
    ManualClock,
    MemoryDirectory,
    PaperTelephone,
    SystemClock,
    memory_env,
)
from strike_domain.memory_registry import MemoryRegistry
from strike_domain.pager_process import PagerProcess
from strike_domain.pager_run import CallOutcome, CallState, PagerRun, RunState
from strike_domain.paging import CallReport, Paging
from strike_domain.ports import (
    CallOrder,
    Clock,
    Directory,
    FieldTerms,
    FieldWork,
    JobLink,
    JobLinks,
    Link,
    LinkStatus,
    PagerLists,
    ProviderCall,
    ProviderCallState,
    Telephone,
    Tenant,
    TextOrder,
    Texts,
)
from strike_domain.regions import RegionChoice, choose_region, parse_region
from strike_domain.registry import Registry
from strike_domain.ringer import Ringer
from strike_domain.routing import NoRoute, Route, Router
from strike_domain.technicians import Job, Standing, Technicians
from strike_domain.texter import Texter

__all__ = [
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
