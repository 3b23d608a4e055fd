"""The domain's own enums, with the words that the schema shows for them and for their values."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import strawberry

from strike_adapters.postgres.eco_lists import EcoSort
from strike_adapters.postgres.times_queries import TimesBy
from strike_domain.actors import Role, Scope, Side
from strike_domain.contacts import DeclineReason, Language
from strike_domain.eco import EcoStatus, JobType, PagingPolicy, PagingState, Priority, RenderState
from strike_domain.pager_run import CallOutcome, CallState, RunState
from strike_domain.ports import LinkStatus
from strike_domain.readiness import Severity

Words = Mapping[str, str]

SHOWN: dict[type[Enum], tuple[str, Words]] = {
    EcoStatus: (
        "How far the repair is.",
        {
            "OPEN": "Work has not started.",
            "IN_PROGRESS": "A crew is at work.",
            "COMPLETED": "All work is done; until the grace period ends it may be taken up again.",
            "CLOSED": "The grace period is over. Final.",
            "CANCELLED": "The NOC called it off. Final.",
        },
    ),
    PagingState: (
        "How far the search for a person is.",
        {
            "NOT_STARTED": "Nobody has been rung.",
            "RUNNING": "People are being rung.",
            "ACCEPTED": "Somebody has accepted.",
            "EXHAUSTED": "Everybody was rung, and nobody accepted.",
            "NO_LIST": "Nobody could be rung.",
            "CANCELLED": "It was stopped before somebody accepted.",
        },
    ),
    RenderState: (
        "Whether the contractor's task system has the work.",
        {
            "NOT_CONFIGURED": "The contractor has no such system.",
            "PENDING": "The tasks are being made.",
            "TASKED": "The tasks are there.",
            "FAILED": "The tasks could not be made; `retryFieldTasks` tries again.",
        },
    ),
    JobType: (
        "What kind of work.",
        {
            "CMR": "Claims management resource.",
            "MFR": "Maintenance field request.",
            "FNOL": "First notice of loss.",
        },
    ),
    Priority: (
        "How urgent the NOC says it is.",
        {
            "LOW": "It can wait.",
            "NORMAL": "As usual.",
            "HIGH": "Before others.",
            "CRITICAL": "Before everything else.",
        },
    ),
    RunState: (
        "State of one ring-down.",
        {
            "RUNNING": "Somebody is being rung, or will be.",
            "ACCEPTED": "Somebody accepted.",
            "EXHAUSTED": "Everybody was rung, and nobody accepted.",
            "CANCELLED": "It was stopped.",
        },
    ),
    CallState: (
        "How far a call has come.",
        {
            "REQUESTED": "The intent is stored; the provider has not confirmed it.",
            "PLACED": "The provider has it.",
            "RINGING": "It rings.",
            "ANSWERED": "It was picked up, by a person or a machine.",
            "ENDED": "It is over.",
        },
    ),
    CallOutcome: (
        "How a call ended.",
        {
            "ACCEPTED": "Key 1 was pressed, or the link of the text accepted.",
            "DECLINED": "A key that declines was pressed, or the link of the text declined.",
            "NO_ANSWER": "Nobody picked up.",
            "BUSY": "The line was busy, or the call was turned away.",
            "FAILED": "It could not be placed.",
            "VOICEMAIL": "A machine picked up.",
            "TIMED_OUT": "It was picked up, and no key was pressed.",
            "CANCELLED": "It was ended, because it was needed no longer.",
        },
    ),
    Side: (
        "Which half of the work a company does.",
        {"NOC": "Orders repairs.", "OSP": "Carries them out: the contractor."},
    ),
    Role: (
        "What a user may do in a tenant.",
        {
            "VIEWER": "Look.",
            "OPERATOR": "Also create ECOs and work on them.",
            "ADMIN": "Also change the company's settings.",
        },
    ),
    LinkStatus: (
        "How far a link between two companies has come.",
        {
            "PENDING": "Proposed; the contractor has not accepted.",
            "ACTIVE": "ECOs can be created.",
            "SUSPENDED": "No new ECOs; those that there are stay visible.",
        },
    ),
    PagingPolicy: (
        "Whether paging starts by itself when an ECO is created.",
        {"AUTOMATIC": "It does.", "MANUAL": "Somebody dispatches it."},
    ),
    Scope: (
        "What an API token may be used for.",
        {
            "READ": "Questions and subscriptions.",
            "CALLOUT": "Commands on ECOs.",
            "ADMIN": "Settings.",
        },
    ),
    DeclineReason: (
        "Why somebody says no.",
        {"CANNOT": "They cannot come.", "TOO_FAR": "They could come, but not soon."},
    ),
    Severity: (
        "How bad something wrong with a list is.",
        {"WRONG": "It keeps somebody from being rung.", "WARNING": "It may."},
    ),
    Language: (
        "In which the prompts are spoken.",
        {"ENGLISH": "English, of the United States.", "SPANISH": "Spanish, of the United States."},
    ),
    EcoSort: (
        "In which order a list of ECOs stands.",
        {
            "NEWEST": "By creation, the newest first.",
            "OLDEST": "By creation, the oldest first.",
            "RECENTLY_UPDATED": "By the last change, the newest first. A change moves an ECO up.",
            "MOST_URGENT": "Nobody accepted, nobody could be rung, stale, then all other open ones;"
            " among equals by priority, then the newest first. What is done comes last.",
        },
    ),
    TimesBy: (
        "What response times are compared by.",
        {
            "NOC": "Who called out.",
            "CONTRACTOR": "Who was called out.",
            "LIST": "The pager list that was rung last, and so the region.",
            "JOB_TYPE": "The kind of work.",
            "DAY": "The day of creation.",
            "HOUR": "The hour of the day of creation, 0 to 23.",
        },
    ),
}


def show(enum: type[Enum], description: str, words: Words) -> None:
    """Put an enum into the schema. Every value must have its words."""
    strawberry.enum(enum, description=description)
    definition: Any = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = words[value.name]


for _enum, (_description, _words) in SHOWN.items():
    show(_enum, _description, _words)
