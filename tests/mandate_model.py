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
from tests.mandate_words import MAY_LIFT, RELEASES, Answer, Around, Refusal, Request, Taken, cents
from tests.unit.verifier import slow_model

GRACE = timedelta(hours=1)  # after a window, before anybody says that its run is missing
SECOND = timedelta(seconds=1)


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
    held: list[tuple[datetime, bool]] = field(default_factory=list)
    passed: str = ""  # which limit the last refusal for a limit was about
    lowered: dict[str, Any] = field(default_factory=dict)
    taken: dict[str, Taken] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Lay out the slots, which nothing ever changes."""
        self.slots = slow_model.slots(self.constraints)
        self.valid_from = slow_model.read(self.constraints["valid_from"])
        self.valid_to = slow_model.read(self.constraints["valid_to"])
        self.capacity = min(
            len(self.slots), self.constraints.get("max_occurrences", len(self.slots))
        )

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
        if request.operation_of != request.mandate:
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
        if counts and not self.around.count(at):
            return ExecutorStopped
        self.last_at = at
        attempt = former.attempt + 1 if former else 1
        releases = former.releases if former else 0
        self.taken[slot.name] = Taken(
            minor, counts_at, at + self.lease, attempt=attempt, releases=releases
        )
        return Answer(slot.name, attempt, created=former is None, proceed=True)

    def permits(self, slot: str, attempt: int, clock: datetime) -> bool:
        """Say whether an earlier answer still lets its executor act (I6)."""
        at, taken = self.tick(clock), self.taken[slot]
        runs = taken.attempt == attempt and taken.status_at(at) == "reserved"
        return runs and self._stopped(at) is None

    def settle(self, slot: str, attempt: int, note: str, clock: datetime) -> Refusal | None:
        taken = self.taken[slot]
        if taken.attempt != attempt or taken.status == "released":
            return LeaseLost
        if taken.status == "settled":
            return None if taken.note == note else IdempotencyMismatch
        taken.status, taken.note, self.last_at = "settled", note, self.tick(clock)
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
        return None

    # What people decide

    def _hold(self, holds: set[str], at: datetime) -> None:
        self.holds, self.last_at = holds, at
        self.held.append((at, bool(holds)))

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
        if by == "user" and self.around.off:
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
        stays = self.system_holds_too or self.around.off
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
        return None

    # What became of what was due (I7)

    def tell(self, at: datetime) -> dict[str, str]:
        """Tell the state of each occurrence that is due at `at`.

        Without a schedule that is the first slot, and each other one that was taken.
        """
        due = [slot for slot in self.slots if slot.first <= at]
        if "schedule" not in self.constraints:
            due = [slot for slot in due if slot is self.slots[0] or slot.name in self.taken]
        return {slot.name: self._state(slot, at) for slot in due}

    def _state(self, slot: slow_model.SlowSlot, at: datetime) -> str:
        if slot.name in self.taken:
            return self.taken[slot.name].status_at(at)
        if self.cancelled_at is not None and self.cancelled_at <= min(slot.last, at):
            return "cancelled"
        window = self.constraints.get("due_window")
        whole = slot.first + timedelta(hours=int(window[2:-1])) if window else slot.last + SECOND
        if at <= min(whole, self.valid_to) + GRACE:
            return "waiting"
        if next((held for since, held in reversed(self.held) if since <= slot.last), False):
            return "skipped"
        return "expired" if whole > self.valid_to else "missed"
