"""The notification log for services on other machines: a stream of NATS JetStream.

Needs the extra `jetstream`. What a subscriber gets, and may rely on: docs/stream.md.
"""

from strike_adapters.jetstream.publisher import Publisher, Watcher
from strike_adapters.jetstream.stream import Target

__all__ = ["Publisher", "Target", "Watcher"]
