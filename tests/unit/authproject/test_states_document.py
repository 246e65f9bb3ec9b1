"""docs/states.md: one arrow for each entry of the tables, none besides."""

import re

from authproject.management.states_document import LIVES, states_document
from batchtokens.models import STATUS_TRANSITIONS, TRANSITIONS


def test_draws_every_entry_of_the_tables() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+): \S", states_document("<!-- -->"), re.MULTILINE)
    tables = [*STATUS_TRANSITIONS.items(), *TRANSITIONS.items()]
    by_hand = {(before.value, after.value) for before, every in tables for after in every}
    assert set(drawn) == by_hand | {("reserved", "in_doubt")}  # where time alone leads
    assert len(drawn) == len(set(drawn))


def test_each_life_begins_and_ends() -> None:
    document = states_document("<!-- -->")
    assert document.count("[*] -->") == len(LIVES)
    assert all(
        f"    {state} --> [*]" in document for state in ("cancelled", "completed", "settled")
    )
