"""What a page asks: GraphQL documents of ours, executed in this process."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from strike_app.graphql import schema
from strike_app.web.viewer import Viewer
from strike_domain.errors import StrikeError

DOCUMENTS = Path(__file__).parent / "documents"

PROBLEMS = frozenset({"Rejected", "InvalidTransition", "NotFound", "Forbidden", "Conflict"})
"""The members of a result that say why a command was refused."""

WROTE = web.RequestKey("wrote", int)
"""Where a request keeps the position of what it has written."""


class Refused(Exception):
    """A command was refused; nothing was stored. `path` names the wrong field, if there is one.

    `where`: what is wrong inside of that field, as a file has many parts.
    """

    def __init__(
        self, code: str, message: str, path: tuple[str, ...] = (), where: str = ""
    ) -> None:
        super().__init__(message)
        self.code, self.message, self.path, self.where = code, message, path, where

    @property
    def field(self) -> str:
        """The name of the form's field, without the arguments around it."""
        return next((step for step in self.path if step != "input"), "")


@cache
def document(name: str) -> str:
    """The text of `documents/NAME.graphql`, with the fragments that all may use."""
    text = (DOCUMENTS / f"{name}.graphql").read_text(encoding="utf-8")
    shared = (DOCUMENTS / "fragments.graphql").read_text(encoding="utf-8")
    used = [part for part in shared.split("\n\n") if f"...{_named(part)}" in text]
    return "\n\n".join([text, *used])


async def ask(viewer: Viewer, name: str, /, **variables: Any) -> dict[str, Any]:
    """The data that a document answers with. Raises `StrikeError` with the code of a refusal."""
    result = await schema.execute(
        document(name), variable_values=variables, context_value=viewer.context
    )
    if result.errors:
        raise _refusal(result.errors[0].message, result.errors[0].extensions or {})
    return dict(result.data or {})


async def tell(viewer: Viewer, name: str, /, **variables: Any) -> dict[str, Any]:
    """What a document with one command answers with. Raises `Refused` if it was refused."""
    data = await ask(viewer, name, **variables)
    (answer,) = data.values()
    if answer["__typename"] in PROBLEMS:
        raise Refused(answer["code"], answer["message"], tuple(answer["path"]))
    if "position" in answer:
        viewer.request[WROTE] = int(answer["position"])
    return dict(answer)


def _named(fragment: str) -> str:
    return fragment.split(maxsplit=2)[1] if fragment.startswith("fragment ") else ""


def _refusal(message: str, extensions: Mapping[str, Any]) -> StrikeError:
    path = tuple(extensions.get("path", ()))
    return StrikeError(str(extensions.get("code", "INTERNAL")), message, path)
