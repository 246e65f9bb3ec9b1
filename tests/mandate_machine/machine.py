"""The machine itself: which rule is taken how often, and what is looked at when."""

from __future__ import annotations

from random import Random

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.mandate_machine.rules.attackers import AttackerRules
from tests.mandate_machine.rules.authority import AuthorityRules
from tests.mandate_machine.rules.clocks import ClockRules
from tests.mandate_machine.rules.closings import ClosingRules
from tests.mandate_machine.rules.limits import LimitRules
from tests.mandate_machine.tally import TOLD

# How often each rule is taken: most are redemptions, or make the next one odd.
WEIGHTS = {
    # executors
    "deliver": 34,
    "redeem": 18,
    "redeem_in_doubt": 8,
    "redeem_what_has_ended": 6,
    "redeem_past_a_limit": 8,
    "put_one_off": 5,
    "deliver_out_of_order": 10,
    "deliver_a_batch": 7,
    "retry": 7,
    "retry_late": 9,
    "retry_with_another_body": 4,
    "settle": 10,
    "release": 7,
    "settle_after_the_end": 4,
    "close_again": 11,
    "give_back_too_often": 6,
    # people
    "issue": 9,
    "show_a_mandate": 4,
    "confirm_what_was_shown": 4,
    "confirm_another_text": 4,
    "confirm_two_with_one_code": 4,
    "buy": 6,
    "exchange_again": 6,
    "misuse_an_exchange": 3,
    "buy_something_else": 4,
    "hold": 9,
    "resume": 10,
    "resume_though_switched_off": 3,
    "cancel": 6,
    "disturb_the_end": 6,
    "lower": 9,
    "freeze": 3,
    "switch_off": 3,
    "switch_on": 8,
    # the authority
    "stop_the_executor": 2,
    "start_the_executor": 6,
    "cap_the_executor": 3,
    "find_a_key_out": 3,
    "sign_anew": 6,
    "rotate": 3,
    "report_the_missed": 6,
    "seal": 4,
    "empty_the_sink": 4,
    "look_at_all_doors": 6,
    # insiders
    "edit_a_row": 6,
    # attackers
    "redeem_an_edited_copy": 3,
    "redeem_forged_bytes": 3,
    "redeem_by_another_executor": 3,
    "knock_at_other_doors": 3,
    # clocks
    "move_the_clock": 6,
    "go_to_the_end_of_a_lease": 5,
    "go_to_a_boundary": 6,
}

FEW = 3  # mandates: then a world wants more


class MandatesMachine(AttackerRules, AuthorityRules, ClosingRules, LimitRules, ClockRules):
    """What people, clients, executors, queues, keys, attackers and clocks may do, weighted."""

    walk = ""  # told from outside: worlds of two walks have nothing in common

    @initialize(luck=st.integers(0, 2**64))
    def begin_with_a_mandate(self, luck: int) -> None:
        self.fate = Random(f"{self.walk} {luck}")
        self.begin(self.fate.choice(["scope", "exact", "exact"]), self.fate)
        self.issue(self.fate)

    @rule(luck=st.integers(0, 2**64))
    def step(self, luck: int) -> None:
        """Take one step; what it is, and all that it leaves open, follows from all luck so far."""
        self.fate = fate = Random(f"{self.fate.random()} {luck}")
        (name,) = fate.choices(list(WEIGHTS), list(WEIGHTS.values()))
        note(f"{self.clock:%F %T} {name}")
        if getattr(self, name)(fate) is False:
            name = self.what_helps(fate)
            getattr(self, name)(fate)
        TOLD[f"rule: {name}"] += 1

    def what_helps(self, luck: Random) -> str:
        """Choose what takes the world on, where the chosen rule has nothing to work on."""
        if luck.random() < 0.3:
            return "deliver"
        if self.around.off:
            return "switch_on"
        if self.around.stopped:
            return "start_the_executor"
        if any(each.waits_for_signature for each in self.mandates):
            return "sign_anew"
        if any(self.mandates[number].holds for number in self.live()):
            return "resume"
        return "deliver" if len(self.live()) >= FEW else "issue"

    @invariant()
    def every_promise_holds(self) -> None:
        self.the_state_is_the_models()
        self.limits_hold()

    def teardown(self) -> None:
        """Look at everything once more, before the world goes."""
        try:
            if self.mandates:
                self.look_at_the_end()
        finally:
            super().teardown()
