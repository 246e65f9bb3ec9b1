"""What executors and queues do: redeem, in batches, late, again, out of order; settle, release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random

from batchtokens.services.redemption.redeem_batch import Line, redeem_batch
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.claims import redemption_id
from batchtokens_verifier.errors import ProblemError
from tests.mandate_machine.faults import LOST, Fault, any_fault, reconnect
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import RELEASES, Request
from tests.mandate_machine.world import World

OCCURRENCES = [None, None, "o0", "o1", "o3", "p0", "p0.1", "p1", "p1.0", "p0.2", "p2"]
AMOUNTS = [None, None, None, 1, 2500, 4999, 5000, 5001, 6000, 6001]
WRITES_LAST = 3  # of a batch's statements; what comes after it records refusals
HONEST = [1500, 2500, 2500, 4000, 5000, 6000]


class ExecutorRules(World):
    """Whoever has a token, and when it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.put_off: list[tuple[str, Request]] = []  # sent, and not yet come

    def honest(self, luck: Random) -> Request:
        """Ask as an honest executor does: of its own, with the token that counts."""
        able = [
            number
            for number in self.live()
            for each in [self.mandates[number]]
            if each.believed and not each.holds and len(each.counted()) < each.capacity
        ]
        number = luck.choice(able) if able and luck.random() < 0.8 else self.chosen(luck)
        mandate = self.mandates[number]
        minor = None if mandate.fixed is not None else luck.choice(HONEST)
        return Request(number, number, minor, None, mandate.signatures - 1)

    def any_request(self, luck: Random) -> Request:
        """Ask as a queue may that is mixed up: other copies, amounts, slots and signatures."""
        number = self.chosen(luck)
        copy_of = self.chosen(luck) if luck.random() < 0.1 else number
        minor = luck.choice(AMOUNTS)
        if luck.random() < 0.5:
            minor = self.honest(luck).minor or 5000
        signature = luck.randrange(self.mandates[number].signatures)
        return Request(number, copy_of, minor, luck.choice(OCCURRENCES), signature)

    def deliver(self, luck: Random) -> None:
        """Redeem what is due, perhaps by its name; where nothing is, mostly wait for it."""
        request = self.honest(luck)
        mandate, at = self.mandates[request.mandate], self.clock
        free = [slot for slot in mandate.slots if slot.name not in mandate.taken]
        ahead = [slot for slot in free if slot.first > at]
        due = [slot for slot in free if slot.first <= at <= slot.last]
        if not due and ahead and luck.random() < 0.5:
            self.set_clock(ahead[0].first)
            due = ahead[:1]
        if due and luck.random() < 0.2:
            request = replace(request, occurrence=luck.choice(due).name)
        self.present(self.new_key(), request, any_fault(luck, often=False))

    def redeem(self, luck: Random) -> None:
        self.present(self.new_key(), self.any_request(luck), any_fault(luck, often=False))

    def redeem_in_doubt(self, luck: Random) -> bool | None:
        """Let a lease run out, then ask for the same slot and amount again."""
        live = self.live()
        found = [
            (number, slot)
            for number in live
            for slot, taken in self.mandates[number].taken.items()
            if taken.status in ("reserved", "released")
        ]
        if not found:
            return False
        number, slot = luck.choice(found)
        taken = self.mandates[number].taken[slot]
        if taken.status == "reserved":
            self.set_clock(max(self.clock, taken.lease_ends - timedelta(seconds=luck.randrange(2))))
        self.present(self.new_key(), self.same_again(number, slot), any_fault(luck, often=False))
        return None

    def same_again(self, number: int, slot: str) -> Request:
        mandate = self.mandates[number]
        return Request(number, number, mandate.taken[slot].minor, slot, mandate.signatures - 1)

    # Deliveries that were sent in one order and come in another

    def put_one_off(self, luck: Random) -> None:
        """Send one that comes later, or twice."""
        sent = (self.new_key(), self.honest(luck))
        self.put_off += [sent] * luck.choice([1, 1, 2])
        TOLD["put off"] += 1

    def deliver_out_of_order(self, luck: Random) -> bool | None:
        if not self.put_off:
            return False
        place = luck.randrange(len(self.put_off))
        TOLD["came out of order" if place else "came in order"] += 1
        key, request = self.put_off.pop(place)
        self.present(key, request, any_fault(luck, often=False))
        return None

    # Batches

    def some_lines(self, luck: Random) -> list[tuple[str, Request]]:
        """Return new requests, perhaps with an old one among them, or one of them twice."""
        lines = [
            (self.new_key(), luck.choice([self.honest, self.honest, self.any_request])(luck))
            for _ in range(luck.randint(2, 5))
        ]
        if self.answers and luck.random() < 0.5:
            key = luck.choice(sorted(self.answers))
            lines.insert(luck.randrange(len(lines)), (key, self.answers[key][0]))
        if luck.random() < 0.3:  # the same line twice
            lines.append(lines[0])
        return lines

    def deliver_a_batch(self, luck: Random) -> None:
        """Redeem in one call; each line is decided as if it had come alone, in their order."""
        lines = self.some_lines(luck)
        fault = any_fault(luck)
        fault = replace(fault, statement=min(fault.statement, WRITES_LAST))
        sent = [Line(key, self.body(request)) for key, request in lines]

        def judge(found: Sequence[object]) -> None:
            for (key, request), each in zip(lines, found, strict=True):
                self.judge(key, request, type(each) if isinstance(each, ProblemError) else each)
                TOLD["batch: line"] += 1

        call = partial(redeem_batch, by=self.world.redeemer, lines=sent)
        if fault.kind == "drop" and fault.statement:
            # It answers each line alone: nobody knows.
            unknown: Sequence[object] = []
            with suppress(*LOST), fault.inside():
                unknown = call()
            reconnect()
            if any(isinstance(e, Exception) and not isinstance(e, ProblemError) for e in unknown):
                self.tell_loss("write", "batch", fault)
            self.judge_known(zip(lines, unknown, strict=False))
            judge(call())
            return
        self.suffer("batch", fault, call, judge)

    def judge_known(self, told: Iterable[tuple[tuple[str, Request], object]]) -> None:
        """Judge the lines of a broken batch that were answered nevertheless."""
        for (key, request), each in told:
            if not isinstance(each, Exception):
                self.judge(key, request, each)

    # Retries

    def retry(self, luck: Random) -> bool | None:
        """Come again with one of the last keys."""
        if not self.answers:
            return False
        key = luck.choice(sorted(self.answers)[-6:])
        self.present(key, self.answers[key][0], any_fault(luck))
        return None

    def retry_late(self, luck: Random) -> bool | None:
        """Come again with a key whose answer permits nothing any more, for any reason there is."""
        by_reason: dict[str, list[str]] = {}
        for key, (request, answer, _) in self.answers.items():
            mandate = self.mandates[request.mandate]
            reason = mandate.forbids(answer.slot, answer.attempt, self.clock)
            by_reason.setdefault(reason, []).append(key)
        reasons = sorted(by_reason.keys() - {""})
        if not reasons:
            return False
        key = luck.choice(by_reason[luck.choice(reasons)])
        self.present(key, self.answers[key][0], any_fault(luck))
        return None

    def retry_with_another_body(self, luck: Random) -> bool | None:
        if not self.answers:
            return False
        key = luck.choice(sorted(self.answers))
        former = self.answers[key][0]
        changed: list[Request] = [
            replace(former, minor=777),
            replace(former, occurrence="p7"),
            replace(former, edited="reference"),
        ]
        self.present(key, luck.choice(changed), any_fault(luck, often=False))
        return None

    # What became of it

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
        found = [
            (number, slot)
            for number, mandate in enumerate(self.mandates)
            for slot, taken in mandate.taken.items()
            if taken.status in ("settled", "released")
        ]
        if not found:
            return False
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
