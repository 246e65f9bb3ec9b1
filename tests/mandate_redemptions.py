"""Steps of executors and queues: redeem, come again, in batches, late; settle and release."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from random import Random

from batchtokens.services.redeem_batch import Line, redeem_batch
from batchtokens.services.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.claims import redemption_id
from batchtokens_verifier.errors import ProblemError
from tests.mandate_faults import any_fault, reconnect
from tests.mandate_words import Request
from tests.mandate_worlds import TOLD, MandatesWorld

OCCURRENCES = [None, None, "o0", "o1", "o3", "p0", "p0.1", "p1", "p1.0", "p0.2", "p2"]
AMOUNTS = [None, 1, 2500, 4999, 5000, 5001, 6000, 6001]
HONEST = [1500, 2500, 2500, 4000, 5000, 6000]


class RedemptionSteps(MandatesWorld):
    """Each step does something, or says False where there is nothing to do it to."""

    def honest(self, luck: Random) -> Request:
        """Ask as an honest executor does: of its own, with the token that counts."""
        able = [
            number
            for number, each in enumerate(self.mandates)
            if each.believed
            and not each.holds
            and not each.has_ended(self.clock)
            and len(each.counted()) < each.capacity
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
        """Redeem what is due; where nothing is, mostly wait for the next slot."""
        request = self.honest(luck)
        mandate, at = self.mandates[request.mandate], self.clock
        free = [slot for slot in mandate.slots if slot.name not in mandate.taken]
        ahead = [slot.first for slot in free if slot.first > at]
        is_open = any(slot.first <= at <= slot.last for slot in free)
        if not is_open and ahead and luck.random() < 0.5:
            self.set_clock(ahead[0])
        self.present(self.new_key(), request, any_fault(luck))

    def redeem(self, luck: Random) -> None:
        self.present(self.new_key(), self.any_request(luck), any_fault(luck))

    def redeem_in_doubt(self, luck: Random) -> bool | None:
        """Let a lease run out, then ask for the same slot and amount again."""
        found = [
            (number, slot)
            for number, mandate in enumerate(self.mandates)
            for slot, taken in mandate.taken.items()
            if taken.status in ("reserved", "released") and not mandate.has_ended(self.clock)
        ]
        if not found:
            return False
        number, slot = luck.choice(found)
        mandate = self.mandates[number]
        taken = mandate.taken[slot]
        if taken.status == "reserved":
            self.set_clock(max(self.clock, taken.lease_ends - timedelta(seconds=luck.randrange(2))))
        request = Request(number, number, taken.minor, slot, mandate.signatures - 1)
        self.present(self.new_key(), request, any_fault(luck))
        return None

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
        sent = [Line(key, self.body(request)) for key, request in lines]

        def judge(found: Sequence[object]) -> None:
            for (key, request), each in zip(lines, found, strict=True):
                told = type(each) if isinstance(each, ProblemError) else each
                self.judge(key, request, told)
                TOLD["line of a batch"] += 1

        call = partial(redeem_batch, by=self.world.redeemer, lines=sent)
        if fault.kind == "drop" and fault.statement:
            # It answers each line alone: nobody knows.
            with fault.inside():
                unknown = call()
            reconnect()
            TOLD["drop loses the write: batch"] += any(
                not isinstance(each, ProblemError) and isinstance(each, Exception)
                for each in unknown
            )
            self.known(lines, unknown)
            judge(call())
            return
        self.suffer("batch", fault, call, judge)

    def known(self, lines: list[tuple[str, Request]], told: Sequence[object]) -> None:
        """Judge the lines of a broken batch that were answered nevertheless."""
        for (key, request), each in zip(lines, told, strict=True):
            if not isinstance(each, Exception):
                self.judge(key, request, each)

    def retry(self, luck: Random) -> bool | None:
        if not self.answers:
            return False
        key = luck.choice(sorted(self.answers)[-6:])
        self.present(key, self.answers[key][0], any_fault(luck))
        return None

    def retry_with_another_body(self, luck: Random) -> bool | None:
        if not self.answers:
            return False
        key = luck.choice(sorted(self.answers))
        former = self.answers[key][0]
        minor = luck.choice([1, 777])
        other = Request(former.mandate, former.mandate, minor, former.occurrence, former.signature)
        self.present(key, other, any_fault(luck))
        return None

    def settle(self, luck: Random) -> bool | None:
        return self.close(luck, "settle")

    def release(self, luck: Random) -> bool | None:
        return self.close(luck, "release")

    def close(self, luck: Random, how: str) -> bool | None:
        found = [
            (number, slot)
            for number, mandate in enumerate(self.mandates)
            for slot, taken in mandate.taken.items()
            if taken.status == "reserved" or luck.random() < 0.25
        ]
        if not found:
            return False
        number, slot = luck.choice(found)
        mandate = self.mandates[number]
        attempt = mandate.taken[slot].attempt - (luck.random() < 0.15)
        note = luck.choice(["", "", "paid"])
        row = self.issued[number][0].row
        closing = Closing(redemption_id(row.token_hash, slot), attempt, note)
        service = settle_redemption if how == "settle" else release_redemption
        self.agree(
            f"{how}d",
            any_fault(luck),
            partial(service, by=self.world.redeemer, closing=closing),
            lambda: getattr(mandate, how)(slot, attempt, note, self.clock),
        )
        return None
