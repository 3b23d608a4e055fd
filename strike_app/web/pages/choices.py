"""What a reader chooses for themselves: language, light or dark."""

from __future__ import annotations

from aiohttp import web

from strike_app.web.forms import back_to, form_of
from strike_app.web.shell import told
from strike_app.web.viewer import LANGUAGE_COOKIE, THEME_COOKIE, THEMES
from strike_app.web.words import LANGUAGES

YEAR_SECONDS = 31_536_000

CHOICES = {"language": (LANGUAGE_COOKIE, tuple(LANGUAGES)), "theme": (THEME_COOKIE, THEMES)}


async def choose(request: web.Request) -> web.StreamResponse:
    """Keep what is chosen in a cookie, and go back to where the reader was."""
    sent = await form_of(request)
    response = web.Response(status=303, headers={"Location": back_to(request)})
    for name, (cookie, allowed) in CHOICES.items():
        if sent[name] in allowed:
            response.set_cookie(
                cookie, sent[name], max_age=YEAR_SECONDS, samesite="Lax", httponly=True
            )
    return response


def routes() -> list[web.RouteDef]:
    return [web.post("/choices", told(choose))]
