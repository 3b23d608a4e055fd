"""Strike for language models: the Model Context Protocol, over stdio and streamable HTTP.

It is one more client of GraphQL, with the caller's own API token: who may do what, limits and
audit are those of any other caller. docs/mcp.md tells what an agent can do, and what it never can.
"""

from strike_app.mcp.connecting import Callers
from strike_app.mcp.server import make_server

__all__ = ["Callers", "make_server"]
