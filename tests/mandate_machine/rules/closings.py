"""What executors report of what they took: settled, released, late, again, too often (I5, I16)."""

from __future__ import annotations

from functools import partial
from random import Random

from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.claims import redemption_id
from tests.mandate_machine.faults import Fault, any_fault
from tests.mandate_machine.rules.executors import ExecutorRules
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import RELEASES


class ClosingRules(ExecutorRules):
    """Whoever has taken a slot."""

    def settle(self, luck: Random) -> bool | None:
        return self.close_any(luck, "settle")

    def release(self, luck: Random) -> bool | None:
        return self.close_any(luck, "release")

    def close_any(self, luck: Random, how: str) -> bool | None:
        found = [
            (number, slot)
            for number, mandate in enumerate(self.mandates)
            for slot, taken in mandate.taken.items()
            if taken.status == "reserved" or luck.random() < 0.25
        ]
        if not found:
            return False
        number, slot = luck.choice(found)
        attempt = self.mandates[number].taken[slot].attempt - (luck.random() < 0.15)
        note = luck.choice(["", "", "paid"])
        self.close(number, slot, how, attempt=attempt, note=note, fault=any_fault(luck))
        return None

    def close(
        self, number: int, slot: str, how: str, *, attempt: int, note: str, fault: Fault
    ) -> None:
        mandate = self.mandates[number]
        row = self.issued[number][0].row
        closing = Closing(redemption_id(row.token_hash, slot), attempt, note)
        service = settle_redemption if how == "settle" else release_redemption
        self.agree(
            how,
            fault,
            partial(service, by=self.world.redeemer, closing=closing),
            lambda: getattr(mandate, how)(slot, attempt, note, self.clock),
        )

    def settle_after_the_end(self, luck: Random) -> bool | None:
        """Report what happened although the mandate has ended, or nobody may act: it is a fact."""
        found = [
            (number, slot)
            for number, mandate in enumerate(self.mandates)
            for slot, taken in mandate.taken.items()
            if taken.status == "reserved" and mandate.forbids(slot, taken.attempt, self.clock)
        ]
        if not found:
            return False
        number, slot = luck.choice(found)
        attempt = self.mandates[number].taken[slot].attempt
        self.close(number, slot, "settle", attempt=attempt, note="late", fault=any_fault(luck))
        TOLD["settled late"] += 1
        return None

    def close_again(self, luck: Random) -> bool | None:
        """Report once more what is closed, or that the opposite happened, with any words."""
        closed = [
            (taken.status, number, slot)
            for number, mandate in enumerate(self.mandates)
            for slot, taken in mandate.taken.items()
            if taken.status in ("settled", "released")
        ]
        if not closed:
            return False
        status = luck.choice(sorted({status for status, _, _ in closed}))
        found = [(number, slot) for its, number, slot in closed if its == status]
        number, slot = luck.choice(found)
        taken = self.mandates[number].taken[slot]
        how = "settle" if (taken.status == "settled") ^ (luck.random() < 0.3) else "release"
        note = luck.choice([taken.note, "other words", "other words"])
        self.close(number, slot, how, attempt=taken.attempt, note=note, fault=any_fault(luck))
        return None

    def give_back_too_often(self, luck: Random) -> bool | None:
        """Take a slot and release it, once more than it can be."""
        found = [
            (number, slot.name)
            for number in self.live()
            for mandate in [self.mandates[number]]
            for slot in mandate.slots
            if slot.name in mandate.taken
            and slot.first <= self.clock <= slot.last
            and mandate.taken[slot.name].status != "settled"
            and mandate.believed
            and not mandate.holds
        ]
        if not found or self.around.off or self.around.stopped or self.around.caps:
            return False
        number, slot = luck.choice(found)
        for _ in range(RELEASES + 1):
            taken = self.mandates[number].taken[slot]
            if taken.status == "released":
                self.present(self.new_key(), self.same_again(number, slot), Fault())
                taken = self.mandates[number].taken[slot]
            if taken.status == "released":  # a limit was lowered meanwhile
                break
            note = f"release of attempt {taken.attempt}"
            self.close(number, slot, "release", attempt=taken.attempt, note=note, fault=Fault())
        return None
