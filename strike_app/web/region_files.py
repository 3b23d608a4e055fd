"""Regions for a list from a file, or from what was pasted, as `strike lists import` reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath

from strike_adapters.geojson_files import shapes_in
from strike_app.admin.imports import Wanted, regions_of
from strike_app.web.asking import Refused
from strike_app.web.list_forms import ListForm
from strike_domain.errors import Rejected, StrikeError

MOST_OFFERED = 50

MAX_REGION = 700_000
"""Characters of a region that a form can carry and the server take in again."""


@dataclass(frozen=True)
class Offer:
    """A region of the file as GeoJSON text, or the `problem` why there is none."""

    name: str
    region: str = ""
    problem: Refused | None = None


def offers_of(content: bytes | str, file_name: str, buffer: float) -> list[Offer]:
    """Each polygon, and the ground along each network. Raises `Rejected` as `shapes_in`."""
    wanted = regions_of(shapes_in(content), buffer, PurePath(file_name).stem or "region")
    return [_offer(one) for one in wanted[:MOST_OFFERED]]


def take_only(form: ListForm, offers: list[Offer]) -> list[Offer]:
    """Put the region into the form if there is one only; else what there is to choose from.

    Raises `Refused` if the file has none.
    """
    good = [one for one in offers if one.region]
    if not good:
        wrong = offers[0].problem if offers else None
        raise wrong or Refused("NO_REGION", "There is nothing in it.", ("paste",))
    if len(offers) > 1:
        return offers
    form.values |= {"region": good[0].region, "ground": "region", "paste": ""}
    if not form.get("name"):
        form.values["name"] = good[0].name
    return []


def _offer(wanted: Wanted) -> Offer:
    if wanted.region is None:
        error = wanted.error or Rejected("REGION_EMPTY", "There is no region.")
        return Offer(wanted.name, problem=refused_file(error, wanted.path))
    text = json.dumps(wanted.region, separators=(",", ":"))
    if len(text) > MAX_REGION:
        message = "This region is too detailed; simplify its geometry."
        return Offer(wanted.name, problem=Refused("REGION_TOO_DETAILED", message, ("paste",)))
    return Offer(wanted.name, text)


def refused_file(error: StrikeError, path: tuple[str | int, ...] = ()) -> Refused:
    """What is wrong with a file, and where in it: the error's own path, or else `path`."""
    where = ".".join(map(str, error.path or path))
    return Refused(error.code, error.message, ("paste",), where)
