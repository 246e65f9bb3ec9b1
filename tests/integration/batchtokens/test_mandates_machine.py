"""A machine that does with mandates whatever can be done, in any order, and never errs.

Each step is done by the services, on PostgreSQL, and by the model in memory; then both must tell
the same (I1 to I9, I13 to I16). Steps may crash in the middle or lose their answer, come again,
come late, come with another's papers, and meet clocks that go back. See tests/mandate_machine.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.mandate_machine.machine import WEIGHTS, MandatesMachine
from tests.mandate_machine.rules.insiders import EDITED
from tests.mandate_machine.tally import TOLD, table, too_rare

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

SEED = int(os.environ.get("MACHINE_SEED", "20261122"))
STEPS = int(os.environ.get("MACHINE_STEPS", "2000"))
STEPS_A_WORLD, WORLDS_A_WALK = 50, 4


def test_no_order_of_events_breaks_a_promise() -> None:
    """Walk through some worlds at a time: of many, Hypothesis makes most from earlier ones."""
    TOLD.clear()
    print(f"\nMACHINE_SEED={SEED} MACHINE_STEPS={STEPS}")
    for number in range(max(1, STEPS // STEPS_A_WORLD // WORLDS_A_WALK)):
        walk(f"{SEED}-{number}")
    print(table())
    assert too_rare(STEPS, rules=WEIGHTS, edits=EDITED) == {}


def walk(name: str) -> None:
    machine = type("MandatesMachine", (MandatesMachine,), {"walk": name})
    run_state_machine_as_test(
        seed(name)(machine),
        settings=settings(
            max_examples=WORLDS_A_WALK,
            stateful_step_count=STEPS_A_WORLD,
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate],  # each step is a transaction: a search for less takes long
            suppress_health_check=list(HealthCheck),
        ),
        _min_steps=STEPS_A_WORLD,
    )
