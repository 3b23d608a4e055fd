"""`strike mcp`: Strike for language models."""

from __future__ import annotations

from typing import Annotated

import typer

from strike_app.cli.options import ReadyFile


def mcp(
    url: Annotated[
        str, typer.Option(envvar="STRIKE_GRAPHQL_URL", help="Strike's GraphQL address.")
    ] = "http://127.0.0.1:8080/graphql",
    agent: Annotated[str, typer.Option(help="What the timeline calls the agent.")] = "mcp",
    http: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve /mcp on this port instead of stdio.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name under which a proxy reaches this host.")
    ] = None,
    ready_file: ReadyFile = None,
) -> None:
    """Let a language model draft, find and read callouts (MCP).

    By the Model Context Protocol. Over stdio it acts with the API token in STRIKE_API_TOKEN;
    over HTTP each request brings its own. It can do what the token may, but no settings, and a
    person sees each callout first: docs/mcp.md. Needs the extra mcp.

    Example: STRIKE_API_TOKEN=... strike mcp --url https://strike.example/graphql
    """
    try:
        from strike_app.mcp.running import run_http, run_stdio
    except ImportError as error:
        from strike_domain.errors import Rejected

        message = (
            "The Model Context Protocol needs the extra mcp: pip install 'osprey-strike[mcp]'."
        )
        raise Rejected("EXTRA_MISSING", message) from error
    if http is None:
        run_stdio(url, agent)
    else:
        run_http(url, agent, host, http, allow_host or [], ready_file)
