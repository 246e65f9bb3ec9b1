"""What a mandate is, in memory: the specification that the machine of mandates is held against.

No database, no locks, no signatures: one object a mandate, every rule once. Instants are whole
seconds; amounts are in cents. A refusal is the class of the error that the server must raise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts.errors import AccountInactive
from batchtokens.errors import (
    HoldNotAllowed,
    LimitNotLower,
    OperationFinal,
    ReleaseLimitReached,
)
from batchtokens_verifier.errors import (
    ExecutorStopped,
    IdempotencyMismatch,
    LeaseLost,
    LimitExceeded,
    OperationHeld,
    OperationMismatch,
    OperationRevoked,
    OperationTokenNotValid,
    OutsideValidity,
    SlotAlreadyRedeemed,
    UnresolvedConstraint,
)
from tests.mandate_machine.around import Around
from tests.mandate_machine.words import MAY_LIFT, RELEASES, Answer, Refusal, Request, Taken, cents
from tests.unit.verifier import slow_model


@dataclass
class Mandate:
    """One mandate. constraints: in their wire form; fixed: its operation's amount, if any.

    signatures: how many it was given; the last one counts unless its key was found compromised.
    """

    constraints: dict[str, Any]
    fixed: int | None
    lease: timedelta
    last_at: datetime
    around: Around
    holds: set[str] = field(default_factory=set)
    cancelled_at: datetime | None = None
    signatures: int = 1
    believed: bool = True
    waits_for_signature: bool = False
    system_holds_too: bool = False
    unable: list[tuple[datetime, bool]] = field(default_factory=list)
    passed: str = ""  # which limit the last refusal for a limit was about
    lowered: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, Taken] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay out the slots, which nothing ever changes."""
        self.issued_at = self.last_at
        self.slots = slow_model.slots(self.constraints)
        self.valid_from = slow_model.read(self.constraints["valid_from"])
        self.valid_to = slow_model.read(self.constraints["valid_to"])
        most = len(self.slots)
        self.capacity = min(most, self.constraints.get("max_occurrences", most))
        self._note(self.last_at)

    @property
    def effective(self) -> dict[str, Any]:
        return self.constraints | self.lowered

    def counted(self) -> list[Taken]:
        return [taken for taken in self.taken.values() if taken.status != "released"]

    def settled(self) -> int:
        return sum(taken.status == "settled" for taken in self.taken.values())

    def has_ended(self, at: datetime) -> bool:
        return (
            self.cancelled_at is not None or self.settled() >= self.capacity or at >= self.valid_to
        )

    def tick(self, clock: datetime) -> datetime:
        """Return the instant of a decision: the clock's, but never before the last one (I8)."""
        return max(clock, self.last_at)

    # Redemption

    def redeem(self, request: Request, clock: datetime) -> Answer | Refusal:
        at = self.tick(clock)
        if request.signature != self.signatures - 1 or not self.believed:
            return OperationTokenNotValid
        if request.operation_of != request.mandate or request.edited:
            return OperationMismatch
        if refusal := self._stopped(at):
            return refusal
        minor = self._amount(request.minor)
        if not isinstance(minor, int):
            return minor
        slot = self._choose(minor, at, request.occurrence)
        if not isinstance(slot, slow_model.SlowSlot):
            return slot
        return self._take(slot, minor, at)

    def _stopped(self, at: datetime) -> Refusal | None:
        if self.cancelled_at is not None:
            return OperationRevoked
        if self.holds or self.around.off:
            return OperationHeld
        if self.around.stopped:
            return ExecutorStopped
        return None if self.valid_from <= at < self.valid_to else OutsideValidity

    def _amount(self, named: int | None) -> int | Refusal:
        cap = self.effective.get("max_individual_amount")
        if self.fixed is not None and named not in (None, self.fixed):
            return OperationMismatch
        minor = self.fixed if self.fixed is not None else named
        if minor is None:
            return UnresolvedConstraint
        if cap and minor > cents(cap):
            self.passed = "max_individual"
            return LimitExceeded
        return minor

    def _choose(
        self, minor: int, at: datetime, wanted: str | None
    ) -> slow_model.SlowSlot | Refusal:
        """Choose the earliest open slot that is free; one that was used only at its own amount."""
        open_slots = [
            slot
            for slot in self.slots
            if slot.first <= at <= slot.last and wanted in (None, slot.name)
        ]
        for slot in open_slots:
            former = self.taken.get(slot.name)
            if former is None:
                return slot
            if former.status_at(at) in ("released", "in_doubt"):
                if former.minor == minor:
                    return slot
                if wanted:
                    return OperationMismatch
        return SlotAlreadyRedeemed if open_slots else OutsideValidity

    def _take(self, slot: slow_model.SlowSlot, minor: int, at: datetime) -> Answer | Refusal:
        former = self.taken.get(slot.name)
        counts_at = slot.first if "schedule" in self.constraints else at
        if former and former.status_at(at) == "in_doubt":
            counts_at = former.counts_at
        others = [
            (taken.counts_at, taken.minor)
            for name, taken in self.taken.items()
            if name != slot.name and taken.status != "released"
        ]
        lefts = slow_model.lefts(self.effective, [*others, (counts_at, minor)])
        self.passed = next((name for name, left in lefts if left < 0), "")
        if self.passed:
            return LimitExceeded
        counts = not former or former.status == "released"
        if counts and not self.around.count(at, minor):
            return ExecutorStopped
        self.last_at = at
        attempt = former.attempt + 1 if former else 1
        releases = former.releases if former else 0
        self.taken[slot.name] = Taken(
            minor, counts_at, at + self.lease, attempt=attempt, releases=releases
        )
        self._note(at)
        return Answer(slot.name, attempt, created=former is None, proceed=True)

    def forbids(self, slot: str, attempt: int, clock: datetime) -> str:
        """Say why an earlier answer permits nothing now; "" where it still does (I6)."""
        at, taken = self.tick(clock), self.taken[slot]
        if refusal := self._stopped(at):
            return refusal.__name__
        if taken.attempt != attempt:
            return "a later attempt"
        status = taken.status_at(at)
        return "" if status == "reserved" else status

    def settle(self, slot: str, attempt: int, note: str, clock: datetime) -> Refusal | None:
        taken = self.taken[slot]
        if taken.attempt != attempt or taken.status == "released":
            return LeaseLost
        if taken.status == "settled":
            return None if taken.note == note else IdempotencyMismatch
        self.last_at = self.tick(clock)
        taken.settle(note, self.last_at)
        return None

    def release(self, slot: str, attempt: int, note: str, clock: datetime) -> Refusal | None:
        taken = self.taken[slot]
        if taken.attempt != attempt or taken.status == "settled":
            return LeaseLost
        if taken.status == "released":
            return None if taken.note == note else IdempotencyMismatch
        if taken.releases >= RELEASES:
            return ReleaseLimitReached
        taken.status, taken.note, self.last_at = "released", note, self.tick(clock)
        taken.releases += 1
        self._note(self.last_at)
        return None

    # What people decide

    def _hold(self, holds: set[str], at: datetime) -> None:
        self.holds, self.last_at = holds, at
        self._note(at)

    def _note(self, at: datetime) -> None:
        """Note whether from now on a run is held or, whatever its amount, too much."""
        one_more = [*self.counted(), Taken(self.fixed or 1, at, at)]
        caps = {"max_individual_amount": one_more[-1:], "max_total": one_more}
        total = any(
            sum(taken.minor for taken in of) > cents(self.effective[name])
            for name, of in caps.items()
            if name in self.effective
        )
        count = len(one_more) > self.effective.get("max_occurrences", len(one_more))
        self.unable.append((at, bool(self.holds) or total or count))

    def hold(self, by: str, clock: datetime) -> Refusal | None:
        at = self.tick(clock)
        if self.has_ended(at):
            return OperationFinal
        again = by == "system" and self.waits_for_signature  # not the same hold: this one stays
        self.system_holds_too |= again
        if by not in self.holds or again:
            self._hold(self.holds | {by}, at)
        return None

    def resume(self, by: str, clock: datetime) -> Refusal | None:
        at = self.tick(clock)
        if self.has_ended(at):
            return OperationFinal
        if by == "user" and "user" in self.around.off:
            return AccountInactive
        liftable = self.holds & MAY_LIFT[by]
        if self.waits_for_signature:
            liftable -= {"system"}  # until it has a new signature
        if not liftable:
            return HoldNotAllowed
        self._hold(self.holds - liftable, at)
        return None

    def freeze(self, clock: datetime) -> None:
        """Hold for the person, where it has not ended by the clock."""
        if not self.has_ended(clock) and "user" not in self.holds:
            self._hold(self.holds | {"user"}, self.tick(clock))

    def cancel(self, clock: datetime) -> Refusal | None:
        if self.has_ended(self.tick(clock)):
            return OperationFinal
        self.cancelled_at = self.last_at = self.tick(clock)
        return None

    def disown(self, clock: datetime) -> None:
        """Believe its signature no more: a live one waits, held by the system, for another."""
        self.believed = False
        if not self.has_ended(clock):
            self.waits_for_signature, self.system_holds_too = True, "system" in self.holds
            self._hold(self.holds | {"system"}, self.tick(clock))

    def reissue(self, clock: datetime) -> bool:
        """Sign it anew, if it waits for that: no slot opens again."""
        if not self.waits_for_signature or self.has_ended(clock):
            return False
        self.waits_for_signature, self.believed = False, True
        self.signatures += 1
        stays = self.system_holds_too or "user" in self.around.off
        self._hold(self.holds if stays else self.holds - {"system"}, self.tick(clock))
        return True

    def lower(self, name: str, limit: Any, clock: datetime) -> Refusal | None:
        """Lower a limit: an amount of money, or max_occurrences. A raise is refused."""
        if self.has_ended(self.tick(clock)):
            return OperationFinal
        now = self.effective.get(name)
        if name == "max_occurrences":
            now, wanted = now or self.capacity, limit
        else:
            fixed = self.fixed if name == "max_individual_amount" else None
            now, wanted = cents(now) if now else fixed, cents(limit)
        if now is not None and wanted > now:
            return LimitNotLower
        if wanted != now:
            self.lowered, self.last_at = self.lowered | {name: limit}, self.tick(clock)
            self._note(self.last_at)
        return None
