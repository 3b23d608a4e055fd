"""One pager list as a file: what it names is taken, what it does not name stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from strike_app.admin.list_files import as_file, merged, read_list_file
from strike_domain.contacts import Language, PagerList, RingAgain
from strike_domain.errors import Rejected
from tests.unit.given import ANA, BEN

SQUARE = {"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]]}

BEFORE = PagerList(
    id=UUID(int=7),
    osp_id=UUID(int=8),
    name="Denver",
    contacts=(ANA, BEN),
    region=SQUARE,
    rounds=4,
    ring_again=RingAgain(after_minutes=15, times=2),
    consented=frozenset({ANA.phone}),
    texted=frozenset({ANA.phone}),
)


def written(folder: Path, content: Any, name: str = "list.json") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return file


def saved(folder: Path, content: Any, before: PagerList | None = None) -> PagerList:
    return merged(read_list_file(written(folder, content)), before, folder)


def refused(folder: Path, content: Any, name: str = "list.json") -> Rejected:
    with pytest.raises(Rejected) as caught:
        merged(read_list_file(written(folder, content, name)), None, folder)
    return caught.value


def test_what_the_file_does_not_name_stays_as_it_was(tmp_path: Path) -> None:
    assert saved(tmp_path, {"name": "Denver"}, BEFORE) == BEFORE
    changed = saved(tmp_path, {"name": "Denver", "rounds": 2}, BEFORE)
    assert changed == BEFORE.model_copy(update={"rounds": 2})


@pytest.mark.parametrize("flag", ["consented", "texted"])
def test_who_agreed_or_gets_texts_still_does_unless_the_file_says_no(
    tmp_path: Path, flag: str
) -> None:
    people = [{"name": "Ana", "phone": ANA.phone}, {"name": "Ben", "phone": BEN.phone}]
    after = saved(tmp_path, {"name": "Denver", "contacts": people}, BEFORE)
    assert getattr(after, flag) == {ANA.phone}
    people[0] |= {flag: False}  # type: ignore[dict-item]
    people[1] |= {flag: True}  # type: ignore[dict-item]
    after = saved(tmp_path, {"name": "Denver", "contacts": people}, BEFORE)
    assert getattr(after, flag) == {BEN.phone}


def test_a_number_is_written_as_people_write_it(tmp_path: Path) -> None:
    people = [{"name": " Ana ", "phone": "+1 (303) 555-0101", "language": "es-US"}]
    (ana,) = saved(tmp_path, {"name": "x", "contacts": people}).contacts
    assert (ana.name, ana.phone, ana.language) == ("Ana", "+13035550101", Language.SPANISH)


def test_a_region_is_geojson_or_a_file_beside_the_list(tmp_path: Path) -> None:
    written(tmp_path, {"type": "Feature", "properties": {}, "geometry": SQUARE}, "area.geojson")
    assert saved(tmp_path, {"name": "x", "region": "area.geojson"}).region == SQUARE
    assert saved(tmp_path, {"name": "x", "region": SQUARE}).region == SQUARE
    assert saved(tmp_path, {"name": "Denver", "region": None}, BEFORE).region is None


def test_what_is_shown_is_what_is_taken(tmp_path: Path) -> None:
    assert saved(tmp_path, as_file(BEFORE), BEFORE) == BEFORE


@pytest.mark.parametrize(
    ("content", "code", "path"),
    [
        ({}, "LIST_FILE_INVALID", ("name",)),
        ([], "LIST_FILE_INVALID", ()),
        ({"name": "x", "round": 3}, "LIST_FILE_INVALID", ("round",)),
        ({"name": "x", "rounds": 99}, "LIST_FILE_INVALID", ("rounds",)),
        ({"name": "x", "ring_again": {"times": 1}}, "LIST_FILE_INVALID", ("ring_again",)),
        ({"name": "x", "contacts": [{"name": "Ana"}]}, "LIST_FILE_INVALID", ("contacts", 0)),
        (
            {"name": "x", "contacts": [{"name": "Ana", "phone": "555 0101"}]},
            "PHONE_NUMBER_INVALID",
            ("contacts", 0, "phone"),
        ),
        ({"name": "x", "region": {"type": "Point"}}, "GEOMETRY_TYPE_NOT_ALLOWED", ("region",)),
        ({"name": "x", "region": "none.geojson"}, "FILE_UNREADABLE", ()),
        ('{"name": ', "LIST_FILE_INVALID", ()),
        ("[" * 100_000, "LIST_FILE_INVALID", ()),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, content: Any, code: str, path: tuple[str | int, ...]
) -> None:
    error = refused(tmp_path, content)
    assert error.code == code and error.path[: len(path)] == path
    assert error.message.endswith(".")


def test_a_file_of_several_regions_is_no_lists_region(tmp_path: Path) -> None:
    both = {"type": "FeatureCollection", "features": [{}, {}]}
    written(tmp_path, both, "two.geojson")
    assert refused(tmp_path, {"name": "x", "region": "two.geojson"}).code == "ONE_REGION"


def test_toml_is_known_by_the_files_name(tmp_path: Path) -> None:
    assert read_list_file(written(tmp_path, 'name = "x"', "list.toml")).name == "x"
    assert "TOML" in refused(tmp_path, "name = x", "list.toml").message
    assert ".toml" in refused(tmp_path, 'name = "x"').message
