"""Our own scripts and styles, under addresses that change with their content."""

from __future__ import annotations

from aiohttp import web

from strike_app.web.rendering import OWN, OWN_PATH, own_path

FOREVER = "public, max-age=31536000, immutable"

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def own_file(request: web.Request) -> web.StreamResponse:
    """A file of `own/`, to be kept if the address has its present digest.

    Another one is of a page that another version has made, while versions change behind a
    balancer: a file of ours is better for it than none, for once.
    """
    name = request.match_info["name"]
    file = OWN / name
    if file.suffix not in TYPES or not file.is_file():
        raise web.HTTPNotFound
    response = web.Response(
        body=file.read_bytes(), content_type=TYPES[file.suffix], charset="utf-8"
    )
    is_present = own_path(name) == request.path
    response.headers["Cache-Control"] = FOREVER if is_present else "no-store"
    response.enable_compression()
    return response


def routes() -> list[web.RouteDef]:
    return [web.get(f"{OWN_PATH}{{digest}}/{{name:[a-z_-]+\\.[a-z]+}}", own_file)]
