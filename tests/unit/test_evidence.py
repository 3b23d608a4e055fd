"""Evidence: what a bundle holds, that it can be checked, and that whatever is changed is found."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strike_app.evidence import collect, pack, unpack, verify
from strike_domain import NotFound, Side
from strike_domain.evidence import MANIFEST, NAMES, Bundle, records_of, sealed
from strike_domain.evidence_chain import GENESIS, Chain, Record, canonical, digest
from strike_domain.evidence_check import Log, check
from tests.unit.given import ANA, BEN, NOC, OPERATOR, OSP, Night

COMPANIES = {NOC: "Nordlicht", OSP: "Splice & Sons"}


def told() -> Night:
    """A callout with a decline, an offer, a voicemail, an acceptance and a note with a number."""
    night = Night(rounds=2)
    night.create(ticket="T-1")
    night.phone(ANA).rings().presses("9").presses("2")
    night.phone(BEN).voicemail().says_nothing().says_nothing()
    night.strike.callouts.add_note(night.eco_id, f"Ben is on {BEN.phone} all night.", OPERATOR)
    night.after(60)
    night.phone(ANA).rings().presses("4")
    night.phone(BEN).rings().presses("1")
    night.after(600)
    return night


def bundle_of(night: Night, side: Side = Side.NOC) -> Bundle:
    return collect(
        night.strike.log,
        night.eco_id,
        at=night.clock.now(),
        by="nina@noc.example",
        side=side,
        companies=COMPANIES,
    )


NIGHT = told()
BUNDLES = {side: bundle_of(NIGHT, side) for side in Side}
PACKED = {side: pack(bundle.parts) for side, bundle in BUNDLES.items()}
RECORDS = records_of(NIGHT.strike.log, NIGHT.eco_id)


def lines(bundle: Bundle) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bundle.parts["events.jsonl"].decode().splitlines()]


# What is in it -----------------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
def test_a_bundle_holds(side: Side) -> None:
    verdict = verify(PACKED[side], NIGHT.strike.log)
    assert verdict.problems == ()
    assert verdict.events == len(RECORDS) and verdict.head == BUNDLES[side].head
    alone = verify(PACKED[side])
    assert alone.holds and set(alone.proven) < set(verdict.proven)
    assert set(alone.not_proven) > set(verdict.not_proven)


def test_every_event_of_the_eco_and_its_runs_is_a_line_in_the_order_of_the_log() -> None:
    logged = [position for position, _ in NIGHT.strike.events()]
    assert [one["position"] for one in lines(BUNDLES[Side.NOC])] == logged


def test_the_same_is_always_the_same_bytes() -> None:
    assert pack(bundle_of(NIGHT).parts) == PACKED[Side.NOC]
    assert tuple(unpack(PACKED[Side.NOC])) == NAMES


def test_a_noc_sees_the_last_four_digits_only_and_the_contractor_its_own_numbers() -> None:
    text = b"".join(BUNDLES[Side.NOC].parts.values()).decode()
    assert ANA.phone not in text and BEN.phone not in text
    assert ANA.masked_phone in text
    phones = {one["phone"] for one in json.loads(BUNDLES[Side.OSP].parts["calls.json"])}
    assert phones == {ANA.phone, BEN.phone}


def test_both_companies_have_the_same_chain() -> None:
    assert BUNDLES[Side.NOC].head == BUNDLES[Side.OSP].head


def test_an_older_export_is_the_beginning_of_a_later_one() -> None:
    night = told()
    earlier = bundle_of(night)
    night.strike.callouts.add_note(night.eco_id, "Spliced.", OPERATOR)
    night.cancel().after(60)
    later = bundle_of(night)
    assert later.events > earlier.events
    assert later.parts["events.jsonl"].startswith(earlier.parts["events.jsonl"])
    assert lines(later)[earlier.events - 1]["hash"] == earlier.head
    assert verify(pack(earlier.parts), night.strike.log).holds


def test_the_calls_tell_moments_keys_and_outcome() -> None:
    first, second, third, fourth = json.loads(BUNDLES[Side.NOC].parts["calls.json"])
    assert [one["key"] for one in first["keys"]] == [None, "2"]
    assert first["outcome"] == "DECLINED" and second["outcome"] == "VOICEMAIL"
    assert third["keys"][-1]["key"] == "4" and third["keys"][-1]["meaning"].endswith("come later")
    assert fourth["keys"][-1] | {"at": ""} == {"at": "", "key": "1", "meaning": "accepted"}
    assert [one["what"] for one in first["moments"]][:3] == ["requested", "placed", "ringing"]


def test_response_times_have_a_unit_and_null_for_what_has_not_happened() -> None:
    times = json.loads(BUNDLES[Side.NOC].parts["response_times.json"])
    assert times["unit"] == "seconds" and times["to_close"] is None
    accepted = NIGHT.eco.accepted_at
    assert accepted is not None
    assert times["to_accept"]["seconds"] == (accepted - NIGHT.eco.created_on).total_seconds()


def test_there_is_no_evidence_of_what_does_not_exist() -> None:
    night = Night()
    night.create()
    for unknown in (uuid4(), night.run.id):
        night.eco_id = unknown
        with pytest.raises(NotFound):
            bundle_of(night)


def test_a_third_party_checks_it_with_standard_tools_as_the_readme_says(tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(PACKED[Side.OSP])
    with zipfile.ZipFile(tmp_path / "cut.zip") as archive:
        archive.extractall(tmp_path)
    readme = (tmp_path / "README.txt").read_text()
    commands = "\n".join(line for line in readme.splitlines() if line.startswith("    "))

    def run() -> list[str]:
        ran = subprocess.run(
            ["sh", "-c", commands], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        return ran.stdout.splitlines()

    good = [f"{name}: OK" for name in (*NAMES[1:], MANIFEST)]
    assert run() == [*good, f"head: {BUNDLES[Side.OSP].head}"]
    events = tmp_path / "events.jsonl"
    events.write_text(events.read_text().replace("digger", "badger"))
    changed = run()
    assert "events.jsonl: FAILED" in changed and any(one.startswith("changed:") for one in changed)


# What is changed is found ------------------------------------------------------------------


@pytest.mark.parametrize("side", Side)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_of_the_file_is_found(side: Side, data: st.DataObject) -> None:
    packed = bytearray(PACKED[side])
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    assert not verify(bytes(packed)).holds


@given(st.binary(max_size=200), st.integers(0, len(PACKED[Side.NOC])))
@settings(max_examples=100, deadline=None)
def test_what_is_cut_off_or_put_on_is_found(more: bytes, length: int) -> None:
    whole = PACKED[Side.NOC]
    assert not verify(whole[:length]).holds or length == len(whole)
    assert not verify(whole + more).holds or not more
    assert not verify(more).holds


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_of_any_part_is_found_although_the_zip_is_made_anew(
    data: st.DataObject,
) -> None:
    parts = dict(BUNDLES[Side.OSP].parts)
    name = data.draw(st.sampled_from(NAMES))
    changed = bytearray(parts[name])
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    assert not verify(pack(parts | {name: bytes(changed)})).holds


def forged(bundle: Bundle, **parts: Any) -> dict[str, bytes]:
    """The bundle with other parts and a manifest that states their hashes: a careful forger's."""
    made = dict(bundle.parts)
    manifest = json.loads(made[MANIFEST])
    manifest |= parts.pop("manifest", {})
    for name, content in parts.items():
        made[name.replace("__", ".")] = content
    manifest.pop("seal", None)
    manifest["parts"] = {name: digest(made[name]) for name in NAMES if name != MANIFEST}
    made[MANIFEST] = sealed(manifest)
    return made


def rechained(records: list[Record]) -> dict[str, Any]:
    """Parts of a forger who calculates the whole chain anew."""
    chain = Chain.of(records)
    manifest = {"head": chain.head, "events": len(records)}
    return {"events__jsonl": chain.text, "manifest": manifest}


def without(number: int) -> Callable[[list[Record]], list[Record]]:
    return lambda records: [one for n, one in enumerate(records) if n != number]


def swapped(number: int) -> Callable[[list[Record]], list[Record]]:
    def swap(records: list[Record]) -> list[Record]:
        records[number], records[number + 1] = records[number + 1], records[number]
        return records

    return swap


@given(st.sampled_from((without, swapped)), st.integers(0, len(RECORDS) - 2))
@settings(deadline=None)
def test_an_event_taken_out_or_moved_is_found_although_the_chain_is_made_anew(
    forge: Any, number: int
) -> None:
    records = forge(number)(list(RECORDS))
    assert check(forged(BUNDLES[Side.NOC], **rechained(records))).problems


def test_a_changed_event_is_found_in_what_follows_from_it_although_the_chain_is_made_anew() -> None:
    text = canonical(RECORDS).replace("A digger went", "Nobody went")
    problems = check(forged(BUNDLES[Side.NOC], **rechained(json.loads(text)))).problems
    assert any("timeline.txt does not say" in one for one in problems)


def test_a_changed_call_is_found_although_the_manifest_is_made_anew() -> None:
    for side, old, new in (
        (Side.NOC, b"DECLINED", b"ACCEPTED"),
        (Side.OSP, b"DECLINED", b"ACCEPTED"),
        (Side.OSP, ANA.phone.encode(), b"+13035550199"),
    ):
        calls = BUNDLES[side].parts["calls.json"].replace(old, new, 1)
        problems = check(forged(BUNDLES[side], calls__json=calls)).problems
        assert any("calls.json does not say" in one for one in problems)


def test_digits_before_the_last_four_are_compared_with_the_log_only_and_that_is_said() -> None:
    other = ANA.phone.replace("303", "404").encode()
    calls = BUNDLES[Side.OSP].parts["calls.json"].replace(ANA.phone.encode(), other)
    parts = forged(BUNDLES[Side.OSP], calls__json=calls)
    assert any("telephone numbers" in one for one in check(parts).not_proven)
    assert check(parts).holds
    assert check(parts, Log(RECORDS)).problems


@pytest.mark.parametrize(
    "change",
    [
        {"eco": str(uuid4())},
        {"job_number": "26-9999"},
        {"head": GENESIS},
        {"events": 3},
        {"log_position": 1},
        {"noc": {"id": str(uuid4()), "name": "Another"}},
        {"format_version": 2},
        {"exported_for": "OSP"},
        {"phone_numbers": "full"},
        {"more": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_that_says_other_than_the_events_is_found(change: dict[str, Any]) -> None:
    assert check(forged(BUNDLES[Side.NOC], manifest=change)).problems


def test_an_end_left_out_is_found_by_comparing_with_the_log_and_else_said_to_be_unproven() -> None:
    night = told()
    at_first = bundle_of(night)
    night.cancel().after(60)
    end = json.loads(at_first.parts[MANIFEST]) | {"log_position": night.strike.log.position()}
    parts = forged(at_first, manifest=end)
    alone = verify(pack(parts))
    assert alone.holds and any("leave out the end" in one for one in alone.not_proven)
    compared = verify(pack(parts), night.strike.log)
    assert any("was left out" in one for one in compared.problems)
    stated_earlier = verify(pack(at_first.parts), night.strike.log)
    assert stated_earlier.holds
    assert any("what the log holds since: 1 more" in one for one in stated_earlier.not_proven)


def test_a_history_that_somebody_made_up_is_found_by_comparing_with_the_log() -> None:
    other = Night()
    other.eco_id = UUID(int=0)
    other.create()
    made_up = bundle_of(other)
    assert verify(pack(made_up.parts)).holds
    assert any(
        "no such callout" in one for one in verify(pack(made_up.parts), NIGHT.strike.log).problems
    )
    text = canonical(RECORDS).replace("on +13035550102 all night", "asleep all night")
    records: list[Record] = json.loads(text)
    forger = replace(BUNDLES[Side.NOC])
    timeline = forger.parts["timeline.txt"].replace(b"on \xe2\x80\xa60102 all", b"asleep all")
    parts = forged(forger, **rechained(records), timeline__txt=timeline)
    assert verify(pack(parts)).holds
    assert any(
        "something else than line" in one for one in verify(pack(parts), NIGHT.strike.log).problems
    )


def hostile() -> Iterator[dict[str, bytes]]:
    good = dict(BUNDLES[Side.NOC].parts)
    yield {}
    yield good | {"more.txt": b""}
    yield good | {MANIFEST: b"[]"}
    yield good | {MANIFEST: b"{"}
    yield good | {MANIFEST: b"[" * 100_000}
    yield forged(BUNDLES[Side.NOC], events__jsonl=b"")
    yield forged(BUNDLES[Side.NOC], events__jsonl=b"{}\n")
    yield forged(BUNDLES[Side.NOC], events__jsonl=b"\xff\n")
    yield forged(BUNDLES[Side.NOC], **rechained([RECORDS[0] | {"topic": "antigravity:fly"}]))
    payload = RECORDS[0]["payload"] | {"originator_topic": "antigravity:fly"}
    yield forged(BUNDLES[Side.NOC], **rechained([RECORDS[0] | {"payload": payload}]))
    yield forged(BUNDLES[Side.NOC], **rechained([{**RECORDS[0], "payload": {}}]))


@pytest.mark.parametrize("parts", list(hostile()))
def test_whatever_somebody_made_of_it_is_an_answer_and_no_failure(parts: dict[str, bytes]) -> None:
    verdict = check(parts)
    assert verdict.problems and not verdict.proven
    assert "antigravity" not in sys.modules, "A bundle must not make Strike import anything."
