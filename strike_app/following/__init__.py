"""Following a tenant's changes: one API for GraphQL's subscriptions and the console's pages.

    async with aclosing(services.following.changes(reader, after)) as changes:
        async for change in changes:
            ...  # change.position, change.line, change.row

A change is read once for each tenant that somebody follows, behind that tenant's wall, and handed
to all who follow it. See docs/subscriptions.md.
"""

from strike_app.following.changes import Change
from strike_app.following.endings import StreamEnded
from strike_app.following.following import Following, Reader, Watcher
from strike_app.following.seats import Most

__all__ = ["Change", "Following", "Most", "Reader", "StreamEnded", "Watcher"]
