"""One pager list as a file, in JSON or TOML: what `strike lists save` takes and `show` gives."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError

from strike_adapters.geojson_files import read_regions
from strike_app.admin.desk import rejected
from strike_domain.contacts import (
    Contact,
    DeclineKey,
    Language,
    PagerList,
    RingAgain,
    parse_phone,
)
from strike_domain.errors import Rejected
from strike_domain.geometry import FieldPath
from strike_domain.regions import parse_region


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListedContact(_Strict):
    """A person of a file. Without `consented` or `texted`, it stays as it was for that number."""

    name: str
    phone: str
    language: Language = Language.ENGLISH
    consented: bool | None = None
    texted: bool | None = None


class ListFile(_Strict):
    """A list of a file. What it does not name stays as it was, or is what `PagerList` begins with.

    `region` is GeoJSON, or the name of a file of one polygon beside this one; none at all is the
    default list's.
    """

    name: str
    contacts: tuple[ListedContact, ...] = ()
    region: dict[str, Any] | str | None = None
    rounds: int = 1
    answer_seconds: int = 30
    ring_again: RingAgain | None = None
    decline_keys: tuple[DeclineKey, ...] = ()


def read_list_file(file: Path) -> ListFile:
    """Raises `Rejected`: FILE_UNREADABLE, LIST_FILE_INVALID, with the place of what is wrong."""
    try:
        return ListFile.model_validate(_content(file))
    except ValidationError as error:
        raise rejected(error, "LIST_FILE_INVALID") from error


def _content(file: Path) -> Any:
    try:
        text = file.read_text("utf-8-sig")
        return tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except OSError as error:
        why = error.strerror or "it is no file"
        raise Rejected("FILE_UNREADABLE", f"{file} cannot be read: {why}.") from error
    except (ValueError, RecursionError) as error:
        kind = "TOML" if file.suffix == ".toml" else "JSON (a TOML file's name ends in .toml)"
        raise Rejected("LIST_FILE_INVALID", f"{file} is no {kind}: {error}.") from error


def merged(given: ListFile, before: PagerList | None, folder: Path) -> PagerList:
    """The list as the file wants it. `folder` is where a region's file is looked for.

    Raises `Rejected` with the place of what is wrong.
    """
    named = given.model_fields_set
    values: dict[str, Any] = before.model_dump() if before else {"id": UUID(int=0), "contacts": ()}
    values |= given.model_dump(include=named & {"name", "rounds", "answer_seconds", "ring_again"})
    if "decline_keys" in named:
        values["decline_keys"] = given.decline_keys
    if "region" in named:
        values["region"] = _region(given.region, folder)
    if "contacts" in named:
        values |= _people(given.contacts, before)
    try:
        return PagerList(**{"osp_id": UUID(int=0)} | values)
    except ValidationError as error:
        raise rejected(error, "LIST_FILE_INVALID") from error


def _people(given: tuple[ListedContact, ...], before: PagerList | None) -> dict[str, Any]:
    people = [
        Contact(name=one.name.strip(), phone=_phone(one, index), language=one.language)
        for index, one in enumerate(given)
    ]
    numbers = [person.phone for person in people]
    agreed, texted = (before.consented, before.texted) if before else (frozenset(), frozenset())
    return {
        "contacts": tuple(people),
        "consented": _flagged(numbers, [one.consented for one in given], agreed),
        "texted": _flagged(numbers, [one.texted for one in given], texted),
    }


def _flagged(
    numbers: list[str], flags: list[bool | None], before: frozenset[str]
) -> frozenset[str]:
    """The numbers that have a flag by the file, or, where that says nothing, had it before."""
    pairs = zip(numbers, flags, strict=True)
    return frozenset(one for one, flag in pairs if (one in before if flag is None else flag))


def _phone(one: ListedContact, index: int) -> str:
    return parse_phone(one.phone, ("contacts", index, "phone"))


def _region(given: dict[str, Any] | str | None, folder: Path) -> dict[str, Any] | None:
    if not isinstance(given, str):
        return None if given is None else parse_region(given)
    path: FieldPath = ("region",)
    found = read_regions(folder / given)
    if len(found) != 1:
        message = f"{given} holds {len(found)} features; a list has one region."
        raise Rejected("ONE_REGION", message, path)
    if found[0].error:
        raise found[0].error
    return found[0].region


def as_file(pager_list: PagerList) -> dict[str, Any]:
    """The list as `read_list_file` would read it."""
    shown = pager_list.model_dump(mode="json", exclude={"id", "osp_id", "consented", "texted"})
    for person in shown["contacts"]:
        person["consented"] = person["phone"] in pager_list.consented
        person["texted"] = person["phone"] in pager_list.texted
    return shown
