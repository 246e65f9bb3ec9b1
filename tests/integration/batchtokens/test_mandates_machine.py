"""A machine that does with mandates whatever can be done, in any order, and never errs.

Each step is done by the services, on PostgreSQL, and by the model in memory; then both must tell
the same (I1 to I9, I13 to I16). Steps may crash in the middle or lose their answer, come again,
come late, come with another's papers, and meet clocks that go back.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from tests.mandate_decisions import DecisionSteps
from tests.mandate_redemptions import RedemptionSteps
from tests.mandate_surroundings import SurroundingSteps
from tests.mandate_worlds import TOLD

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

SEED = int(os.environ.get("MACHINE_SEED", "20261122"))
STEPS = int(os.environ.get("MACHINE_STEPS", "2000"))
STEPS_A_WORLD = 50
# How often each step is taken, of all of them: most are redemptions, or make the next one odd.
WEIGHTS = {
    "deliver": 44,
    "redeem": 14,
    "redeem_in_doubt": 8,
    "deliver_a_batch": 3,
    "retry": 6,
    "retry_with_another_body": 3,
    "settle": 7,
    "release": 7,
    "issue": 10,
    "use_a_consent_again": 1,
    "hold": 3,
    "resume": 12,
    "cancel": 2,
    "disturb_the_end": 1,
    "lower": 5,
    "freeze": 1,
    "switch_alice_off": 1,
    "switch_alice_on": 10,
    "stop_the_executor": 1,
    "start_the_executor": 8,
    "cap_the_executor": 2,
    "find_a_key_out": 2,
    "sign_anew": 8,
    "rotate": 1,
    "seal": 1,
    "look_at_all_doors": 1,
    "move_the_clock": 4,
    "go_to_the_end_of_a_lease": 4,
    "go_to_a_boundary": 3,
}
# What must have come about in 2,000 steps: a machine that does nothing proves nothing.
AT_LEAST = {
    "redeemed": 100,
    "attempted again": 20,
    "settled": 30,
    "released": 12,
    "repeated": 20,
    "SlotAlreadyRedeemed": 40,
    "LimitExceeded total": 15,
    "LimitExceeded count": 12,
    "LimitExceeded period": 2,
    "LimitExceeded max_individual": 3,
    "LeaseLost": 12,
    "OperationHeld": 40,
    "OperationRevoked": 3,
    "OutsideValidity": 30,
    "IdempotencyMismatch": 10,
    "OperationTokenNotValid": 20,
    "ExecutorStopped": 3,
    "crash loses the write: redeem": 25,
    "crash loses the answer: redeem": 5,
    "drop loses the write: redeem": 12,
    "drop loses the answer: redeem": 6,
    "confirmed with a code": 20,
    "disowned": 5,
    "line of a batch": 10,
}
STEP_NAMES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


class MandatesMachine(RedemptionSteps, DecisionSteps, SurroundingSteps):
    """What people, clients, executors, queues, keys and clocks may do, weighted."""

    @initialize(mode=st.sampled_from(["scope", "exact"]), luck=st.integers(0, 2**32))
    def begin_with_a_mandate(self, mode: str, luck: int) -> None:
        self.begin(mode)
        self.issue(Random(luck))

    @rule(name=st.sampled_from(STEP_NAMES), luck=st.integers(0, 2**32))
    def step(self, name: str, luck: int) -> None:
        """Take one step; all that is left open follows from `luck`."""
        TOLD["step"] += 1
        fate = Random(luck)
        if getattr(self, name)(fate) is False:
            self.deliver(fate)

    @invariant()
    def every_promise_holds(self) -> None:
        self.the_state_is_the_models()
        self.limits_hold()

    def teardown(self) -> None:
        """Look at everything once more, before the world goes."""
        try:
            if self.mandates:
                self.all_doors_agree()
                self.every_answer_is_proven()
                self.the_ledger_is_sound_and_sealed()
                self.every_occurrence_has_one_state()
        finally:
            super().teardown()


def test_no_order_of_events_breaks_a_promise() -> None:
    run_state_machine_as_test(
        seed(SEED)(MandatesMachine),
        settings=settings(
            max_examples=max(1, STEPS // STEPS_A_WORLD),
            stateful_step_count=STEPS_A_WORLD,
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate],  # each step is a transaction: a search for less takes long
            suppress_health_check=list(HealthCheck),
        ),
        _min_steps=STEPS_A_WORLD,
    )
    print(f"seed {SEED}: {dict(TOLD.most_common())}")
    wanted = {what: least * STEPS // 2000 for what, least in AT_LEAST.items()}
    assert {what: TOLD[what] for what in wanted if TOLD[what] < wanted[what]} == {}
