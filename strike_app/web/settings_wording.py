"""What the settings' states, roles and choices are called on a page."""

from __future__ import annotations

from strike_app.web.wording import N_, Look

SHORT_ROLES = {"VIEWER": N_("viewer"), "OPERATOR": N_("operator"), "ADMIN": N_("admin")}

ROLES = {"VIEWER": N_("may look"), "OPERATOR": N_("works on callouts"), "ADMIN": N_("admin")}

LINKS = {
    "PENDING": Look(N_("proposed"), "warn"),
    "ACTIVE": Look(N_("active"), "good"),
    "SUSPENDED": Look(N_("suspended"), "bad"),
}

POLICIES = {
    "AUTOMATIC": N_("rings at once"),
    "MANUAL": N_("rings when the NOC says so"),
}

SCOPES = {
    "READ": N_("look"),
    "CALLOUT": N_("create callouts and work on them"),
    "ADMIN": N_("change settings"),
}

SEVERITIES = {"WRONG": Look(N_("wrong"), "bad"), "WARNING": Look(N_("warning"), "warn")}

SPEECH = {"ENGLISH": N_("English"), "SPANISH": N_("Spanish")}

REASONS = {"CANNOT": N_("cannot come"), "TOO_FAR": N_("is more than so many minutes away")}

SAID = {
    "saved": N_("Saved."),
    "removed": N_("Removed."),
    "proposed": N_("Proposed. It is active as soon as the contractor accepts."),
    "accepted": N_("Accepted. They can call you out from now on."),
    "declined": N_("Turned down."),
    "withdrawn": N_("Taken back."),
    "suspended": N_("Suspended. Callouts that are under way go on."),
    "resumed": N_("Active again."),
    "revoked": N_("Revoked. It proves nothing from now on."),
}
"""What a page says after something was done, by the key in its address."""

WORDS = {
    "LINKS": LINKS,
    "POLICIES": POLICIES,
    "REASONS": REASONS,
    "ROLES": ROLES,
    "SHORT_ROLES": SHORT_ROLES,
    "SAID": SAID,
    "SCOPE_WORDS": SCOPES,
    "SEVERITIES": SEVERITIES,
    "SPEECH": SPEECH,
}
