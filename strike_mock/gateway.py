"""The signing login gateway: what a load balancer with OIDC login is in production."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from aiohttp import web

from strike_mock.cloudflare import CloudflareSigner
from strike_mock.identity import IdentitySigner
from strike_mock.proxy import Proxy
from strike_mock.settings import Person

COOKIE = "AWSELBAuthSessionCookie-0"
# Webhooks and health checks bring their own proof (specification, section 7).
OPEN_PREFIXES = ("/twilio/",)
OPEN_PATHS = frozenset({"/healthz", "/readyz"})

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>Log in · Strike mock gateway</title>
<style>body{{font:1rem/1.5 system-ui;max-width:30rem;margin:3rem auto;padding:0 1rem}}
button{{display:block;width:100%;margin:.5rem 0;padding:.7rem;font:inherit;text-align:left}}</style>
<h1>Who are you?</h1>
<form method="post" action="/login"><input type="hidden" name="next" value="{next}">{people}</form>
<p><a href="{dashboard}">See and answer the phones that Strike rings</a></p>
</html>"""
_BUTTON = (
    '<button name="email" value="{email}">{name} &lt;{email}&gt;<br><small>{note}</small></button>'
)


class Gateway:
    """Knows the people, remembers who is logged in, forwards everything else."""

    def __init__(
        self,
        people: Sequence[Person],
        signer: IdentitySigner,
        cloudflare: CloudflareSigner | None,
        proxy: Proxy,
        dashboard: str,
    ) -> None:
        self._dashboard = dashboard
        self._people = {person.email.lower(): person for person in people}
        self._signer = signer
        self._cloudflare = cloudflare
        self._proxy = proxy
        self._sessions: dict[str, Person] = {}

    def app(self) -> web.Application:
        """Return the gateway's application."""
        app = web.Application()
        app.router.add_get("/login", self._login_page)
        app.router.add_post("/login", self._login)
        app.router.add_post("/logout", self._logout)
        app.router.add_route("*", "/{path:.*}", self._forward)
        return app

    async def _login_page(self, request: web.Request) -> web.Response:
        buttons = (
            _BUTTON.format(email=escape(p.email), name=escape(p.name), note=escape(p.note))
            for p in self._people.values()
        )
        onward = escape(_local(request.query.get("next", "/")))
        page = _PAGE.format(next=onward, people="".join(buttons), dashboard=escape(self._dashboard))
        return web.Response(text=page, content_type="text/html")

    async def _login(self, request: web.Request) -> web.Response:
        asked_in_json = request.content_type == "application/json"
        form = await _json_object(request) if asked_in_json else await request.post()
        person = self._people.get(str(form.get("email", "")).lower())
        if person is None:
            return _unauthorized("nobody here has this email")
        response = (
            web.json_response(person.model_dump())
            if asked_in_json
            else _see_other(_local(str(form.get("next", "/"))))
        )
        session = secrets.token_urlsafe(24)
        self._sessions[session] = person
        response.set_cookie(COOKIE, session, httponly=True, samesite="Lax")
        return response

    async def _logout(self, request: web.Request) -> web.Response:
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        response = _see_other("/login")
        response.del_cookie(COOKIE)
        return response

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        if request.path in OPEN_PATHS or request.path.startswith(OPEN_PREFIXES):
            return await self._proxy.forward(request, {})
        person = self._sessions.get(request.cookies.get(COOKIE, ""))
        if person is None:
            return _ask_to_log_in(request)
        return await self._proxy.forward(request, self._identity(person))

    def _identity(self, person: Person) -> dict[str, str]:
        proofs = {"x-amzn-oidc-data": self._signer.sign(person)}
        if self._cloudflare is not None:
            proofs["Cf-Access-Jwt-Assertion"] = self._cloudflare.sign(person)
        proof = {name: token for name, token in proofs.items() if token}
        return proof | {"x-amzn-oidc-identity": person.sub}


async def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {}


def _ask_to_log_in(request: web.Request) -> web.Response:
    wants_html = "text/html" in request.headers.get("Accept", "")
    if wants_html and request.method in ("GET", "HEAD"):
        return _see_other(f"/login?next={quote(request.path_qs, safe='')}")
    return _unauthorized("log in first: POST /login with an email")


def _local(path: str) -> str:
    """Return `path` if it leads to this server, otherwise the start page."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local else "/"


def _see_other(location: str) -> web.Response:
    return web.Response(status=303, headers={"Location": location})


def _unauthorized(message: str) -> web.Response:
    body = {"error": {"code": "unauthenticated", "message": message}}
    return web.json_response(body, status=401)
