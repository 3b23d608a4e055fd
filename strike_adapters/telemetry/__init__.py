"""What is told about the work while it is done: spans of a trace, and how each edge answers.

Nothing here changes what is done. Off, which is the default, it costs next to nothing, and
OpenTelemetry is not even loaded.
"""

from strike_adapters.telemetry.edges import asked_of, watch_edges
from strike_adapters.telemetry.spans import (
    Kind,
    Span,
    Spans,
    begin,
    headers,
    ids_now,
    is_on,
    sampled_below,
    stored,
    use,
)

__all__ = [
    "Kind",
    "Span",
    "Spans",
    "asked_of",
    "begin",
    "headers",
    "ids_now",
    "is_on",
    "sampled_below",
    "stored",
    "use",
    "watch_edges",
]
