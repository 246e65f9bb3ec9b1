"""What executors and queues do: redeem, in batches, late, again, out of order; settle, release."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random

from batchtokens.services.redemption.redeem_batch import Line, redeem_batch
from batchtokens_verifier.errors import ProblemError
from tests.mandate_machine.faults import LOST, any_fault, reconnect
from tests.mandate_machine.tally import TOLD
from tests.mandate_machine.words import Request
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
        if self.mandates[number].fixed is None and luck.random() < 0.2:
            minor = None  # nobody says how much
        elif luck.random() < 0.5:
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

    def redeem_what_has_ended(self, luck: Random) -> bool | None:
        """Come too late: after a cancel, after the last run, after the end."""
        ended = [n for n, each in enumerate(self.mandates) if each.has_ended(self.clock)]
        if not ended:
            return False
        cancelled = [n for n in ended if self.mandates[n].cancelled_at is not None]
        number = luck.choice(cancelled or ended if luck.random() < 0.6 else ended)
        request = Request(number, number, None, None, self.mandates[number].signatures - 1)
        self.present(self.new_key(), request, any_fault(luck, often=False))
        return None

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
        """Send two that come later, one of them perhaps twice."""
        first, second = [(self.new_key(), self.honest(luck)) for _ in range(2)]
        self.put_off += [first] * luck.choice([1, 1, 2]) + [second]
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
