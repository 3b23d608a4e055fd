"""What is stored in English has its Spanish words; what a person wrote stays as it is."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import product
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strike_app.web.told import told
from strike_domain import Location, pager_process, paging, readiness, regions, ringer, timeline
from strike_domain.field_tasks import FieldTask, TaskSnapshot, TaskState
from strike_domain.pager_run import CallOutcome
from strike_domain.regions import ListName, Matches, choose_match, region_match
from tests.unit.given import ANA, BEN, LIST

POINT = Location(type="Point", coordinates=(-105.27, 40.01))
SPAN = Location(type="LineString", coordinates=((-105.28, 40.01), (-105.25, 40.02)))


def sentences(module: ModuleType) -> Iterator[list[str]]:
    """What a module says: how each may read, with a name or nothing for each part of it."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield [node.value]
        elif isinstance(node, ast.JoinedStr):
            yield [*_readings(node)]


def _readings(node: ast.JoinedStr) -> Iterator[str]:
    gaps = sum(isinstance(one, ast.FormattedValue) for one in node.values)
    for fillings in product(("Ana", "around Ana", ""), repeat=gaps):
        filling = iter(fillings)
        yield "".join(
            str(one.value) if isinstance(one, ast.Constant) else next(filling)
            for one in node.values
        )


def is_known(readings: list[str]) -> bool:
    return any(told(one, "es") != one for one in readings)


def test_every_line_of_the_timeline_is_known() -> None:
    lines = []
    for node in ast.walk(ast.parse(inspect.getsource(timeline.Teller))):
        match node:
            case ast.Return(ast.Constant(value)):
                lines.append([str(value)])
            case ast.Return(ast.JoinedStr() as joined):
                lines.append([*_readings(joined)])
    assert len(lines) > 40
    assert [one for one in lines if not is_known(one)] == []


def test_everything_that_is_to_be_mended_is_known() -> None:
    found = [one for one in sentences(readiness) if one[0].endswith(".") and " " in one[0]]
    said = [one for one in found if one[0][0].isupper()]  # Others are a part of one.
    docs = {text.strip() for text in _documentation(readiness)}
    unknown = [one for one in said if not is_known(one) and one[0].strip() not in docs]
    assert len(said) > 15 and unknown == []


@pytest.mark.parametrize("module", [paging, ringer, pager_process])
def test_every_reason_of_a_call_is_known(module: ModuleType) -> None:
    """They are what is passed on as a sentence: refusals have their own words."""
    refused = {"Rejected", "InvalidTransition", "NotFound", "Conflict", "Forbidden"}
    unknown = []
    for call in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(call, ast.Call) or getattr(call.func, "id", "") in refused:
            continue
        values = [*call.args, *(one.value for one in call.keywords)]
        texts = [str(one.value) for one in values if isinstance(one, ast.Constant)]
        said = [one for one in texts if one.endswith(".") and " " in one]
        unknown += [one for one in said if not is_known([one])]
    assert unknown == []


def _documentation(module: ModuleType) -> Iterator[str]:
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield str(node.value.value)


@given(
    place=st.sampled_from([POINT, SPAN]),
    found=st.lists(
        st.tuples(st.sampled_from([1.0, 2.0]), st.sampled_from([0.0, 3.0, 700.0, 900.0])),
        max_size=12,
    ),
    defaults=st.integers(0, 12),
)
def test_why_a_list_is_rung_is_known_to_the_last_word(
    place: Location, found: list[tuple[float, float]], defaults: int
) -> None:
    matches = [region_match(ListName(LIST, "n"), 1_000.0, area, part) for area, part in found]
    choice = choose_match(place, Matches(matches, [ListName(LIST, "d")] * defaults))
    if choice is None:
        return
    words = told(choice.reason, "es")
    for english in ("cover", "point", "span", " of ", "default", "two", "ten", "name"):
        assert english not in words, (choice.reason, words)


def test_every_ending_of_a_call_is_known() -> None:
    for outcome in CallOutcome:
        line = f"Call to Ana ended, {outcome.replace('_', ' ').lower()}"
        assert is_known([line.split(", ")[1]])
        assert told(line, "es").startswith("La llamada a Ana terminó, ")


def test_sentences_in_sentences_are_told_too() -> None:
    line = "Ringing the list 'nights': covers 83 % of the span; smaller of two"
    assert (
        told(line, "es") == "Se llama a la lista 'nights': cubre el 83 % del tramo; la menor de dos"
    )
    assert told("Amended: description, priority", "es") == "Corregido: descripción, prioridad"


def _snapshot(**states: TaskState) -> TaskSnapshot:
    tasks = [FieldTask(id=name, name=name, state=state) for name, state in states.items()]
    return TaskSnapshot(tasks=tuple(tasks))


@given(
    before=st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from(TaskState)),
    after=st.dictionaries(st.sampled_from("ABCDE"), st.sampled_from(TaskState)),
)
def test_what_became_of_field_tasks_is_known_to_the_last_word(
    before: dict[str, TaskState], after: dict[str, TaskState]
) -> None:
    old, new = _snapshot(**before), _snapshot(**after)
    changes = [*new.changes_since(old)[:3], "2 more changes"]
    line = f"Field tasks: {'; '.join(changes)}. Now {new.summary}"
    english = {"was", "is", "new", "more", "removed", "reopened", "no", "tasks", "Now"}
    english |= {word for state in TaskState for word in state.words.split()}
    for said in (told(line, "es"), told(f"Field tasks: {new.summary}", "es")):
        assert not english & set(re.findall(r"\w+", said)), said


def test_a_task_that_is_called_otherwise_is_told_with_both_names() -> None:
    line = "Field tasks: 'A', now \"B's\", was assigned, is done; 'C' is called 'D' now. Now 2 done"
    assert told(line, "es") == (
        "Tareas de campo: 'A', ahora \"B's\": antes asignada, ahora hecha; 'C' se llama ahora 'D'. "
        "Ahora 2 hechas"
    )
    line = "Field tasks: 'C' is new after 'A', planned. Now 1 planned"
    assert told(line, "es") == (
        "Tareas de campo: 'C' es nueva tras 'A', planificada. Ahora 1 planificada"
    )


def test_what_somebody_wrote_stays_as_it_is() -> None:
    assert told("Note: Work has started", "es") == "Nota: Work has started"
    for words in ("the crew at work", "3 done", "'A' was removed", "it was planned, is done"):
        assert told(f"Note: {words}", "es") == f"Nota: {words}"
    assert told("Cancelled: The work is done.", "es") == "Cancelado: The work is done."
    assert told("Note: {name} {0} %s", "es") == "Nota: {name} {0} %s"
    assert told("Pager run started: Ana, Ben", "es") == "Ronda de llamadas empezada: Ana, Ben"


@given(st.text(max_size=200))
def test_any_words_of_a_person_survive(words: str) -> None:
    if words:
        assert told(f"Note: {words}", "es") == f"Nota: {words}"
    assert told(words, "en") == words


def test_what_no_language_knows_stays_english() -> None:
    assert told("Something new happened", "es") == "Something new happened"
    assert told(None, "es") == "" == told("", "en")
    assert told("Work has started", "en") == "Work has started"
    assert regions._NUMBERS[-1] == "ten" and ANA.name != BEN.name
