"""The page of GraphiQL: a console for queries, served from this server alone."""

from __future__ import annotations

import html
import json

FIRST_QUERY = """# For the company chosen above.
# Ctrl-Enter runs it.
{
  me { name }
  ecos(first: 10) {
    edges {
      node {
        jobNumber
        status
        pagingState
        responderName
        timelineConnection(last: 5) {
          edges { node { at line } }
        }
      }
    }
  }
}
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>Osprey Strike: GraphiQL</title>
<link rel="stylesheet" href="/assets/graphiql.min.css">
<style>
  body { margin: 0; height: 100vh; display: flex; flex-direction: column; font-family: sans-serif }
  header { padding: .5rem 1rem; background: #12263a; color: #fff; display: flex; gap: 1rem }
  #graphiql { flex: 1; min-height: 0 }
</style>
</head>
<body>
<header><strong>Osprey Strike</strong>
<label>Acting for <select id="tenant">{options}</select></label></header>
<div id="graphiql"></div>
<script src="/assets/react.production.min.js"></script>
<script src="/assets/react-dom.production.min.js"></script>
<script src="/assets/graphiql.min.js"></script>
<script nonce="{nonce}">
const tenant = document.getElementById("tenant");
const root = ReactDOM.createRoot(document.getElementById("graphiql"));
function show() {
  const fetcher = GraphiQL.createFetcher({
    url: "/graphql",
    subscriptionUrl: location.origin.replace(/^http/, "ws") + "/graphql",
    headers: { "X-Tenant-ID": tenant.value },
    wsConnectionParams: { tenantId: tenant.value },
  });
  root.render(React.createElement(GraphiQL,
    { key: tenant.value, fetcher, defaultQuery: {query}, shouldPersistHeaders: false }));
}
tenant.addEventListener("change", show);
show();
</script>
</body>
</html>
"""


def page(tenants: list[tuple[str, str]], nonce: str, *, has_files: bool) -> str:
    """The page for somebody who may act for these tenants (id and name).

    `nonce` is what the answer's policy lets run; without the browser's files it only says so.
    """
    if not has_files:
        return "<p>The browser files are missing: install the package anew (pip install .).</p>"
    options = "".join(f'<option value="{i}">{html.escape(name)}</option>' for i, name in tenants)
    filled = PAGE.replace("{nonce}", nonce).replace("{query}", json.dumps(FIRST_QUERY))
    return filled.replace("{options}", options)
