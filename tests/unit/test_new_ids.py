"""Ids that nobody else has, however many ask at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from strike_domain.new_ids import derived_id, new_id

FORKED = """
import os
from strike_domain.new_ids import new_id
new_id()
read, write = os.pipe()
if not os.fork():
    os.write(write, new_id().bytes)
    os._exit(0)
os.wait()
print(new_id().bytes != os.read(read, 16))
"""


def test_ids_are_random_and_no_two_are_the_same() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: new_id(), range(5_000)))
    assert len(set(made)) == 5_000
    assert {one.version for one in made} == {4}


def test_a_forked_process_does_not_repeat_the_ids_of_its_parent() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True)
    assert done.stdout == "True\n"


@given(st.uuids(), st.text())
def test_a_derived_id_is_that_of_the_standard_library(namespace: UUID, name: str) -> None:
    assert derived_id(namespace, name) == uuid5(namespace, name)
