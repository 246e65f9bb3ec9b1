"""What a mandate is, in memory: the specification that the machine of mandates is held against.

No database, no locks, no signatures: one object a mandate, every rule once. Instants are whole
seconds; amounts are in cents. A refusal is the class of the error that the server must raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from batchtokens.errors import (
    HoldNotAllowed,
    LimitNotLower,
    OperationFinal,
    ReleaseLimitReached,
)
from batchtokens_verifier.errors import (
    IdempotencyMismatch,
    LeaseLost,
    LimitExceeded,
    OperationHeld,
    OperationMismatch,
    OperationRevoked,
    OutsideValidity,
    ProblemError,
    SlotAlreadyRedeemed,
    UnresolvedConstraint,
)
from tests.unit.verifier import slow_model

Refusal = type[ProblemError]
MAY_LIFT = {
    "user": {"user"},
    "client": {"client"},
    "staff": {"staff", "client"},
    "system": {"system"},
}
RELEASES = 3


def cents(amount: Mapping[str, str]) -> int:
    return int(amount["amount"].replace(".", ""))


@dataclass
class Taken:
    """A slot that was taken at least once; its amount is the same for ever."""

    minor: int
    counts_at: datetime
    lease_ends: datetime
    status: str = "reserved"
    attempt: int = 1
    releases: int = 0
    note: str = ""

    def status_at(self, at: datetime) -> str:
        over = self.status == "reserved" and at >= self.lease_ends
        return "in_doubt" if over else self.status


@dataclass(frozen=True)
class Request:
    """A redemption as it is sent: for which mandate, with whose operation, what amount and slot."""

    mandate: int
    operation_of: int
    minor: int | None
    occurrence: str | None


@dataclass(frozen=True)
class Answer:
    """What an executor is told."""

    slot: str
    attempt: int
    created: bool
    proceed: bool


@dataclass
class Mandate:
    """One mandate. constraints: in their wire form; fixed: its operation's amount, if any."""

    constraints: dict[str, Any]
    fixed: int | None
    lease: timedelta
    last_at: datetime
    holds: set[str] = field(default_factory=set)
    cancelled: bool = False
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
        return self.cancelled or self.settled() >= self.capacity or at >= self.valid_to

    def tick(self, clock: datetime) -> datetime:
        """Return the instant of a decision: the clock's, but never before the last one (I8)."""
        return max(clock, self.last_at)

    # Redemption

    def redeem(self, request: Request, clock: datetime, *, off: bool) -> Answer | Refusal:
        at = self.tick(clock)
        if request.operation_of != request.mandate:
            return OperationMismatch
        if self.cancelled:
            return OperationRevoked
        if self.holds or off:
            return OperationHeld
        if not self.valid_from <= at < self.valid_to:
            return OutsideValidity
        minor = self._amount(request.minor)
        if not isinstance(minor, int):
            return minor
        slot = self._choose(minor, at, request.occurrence)
        if not isinstance(slot, slow_model.SlowSlot):
            return slot
        return self._take(slot, minor, at)

    def _amount(self, named: int | None) -> int | Refusal:
        cap = self.effective.get("max_individual_amount")
        if self.fixed is not None and named not in (None, self.fixed):
            return OperationMismatch
        minor = self.fixed if self.fixed is not None else named
        if minor is None:
            return UnresolvedConstraint
        return LimitExceeded if cap and minor > cents(cap) else minor

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
        if slow_model.fits(self.effective, others, (counts_at, minor)) is None:
            return LimitExceeded
        self.last_at = at
        attempt = former.attempt + 1 if former else 1
        releases = former.releases if former else 0
        self.taken[slot.name] = Taken(
            minor, counts_at, at + self.lease, attempt=attempt, releases=releases
        )
        return Answer(slot.name, attempt, created=former is None, proceed=True)

    def permits(self, slot: str, attempt: int, clock: datetime, *, off: bool) -> bool:
        """Say whether an earlier answer still lets its executor act (I6)."""
        at, taken = self.tick(clock), self.taken[slot]
        stopped = self.holds or off or self.cancelled or at >= self.valid_to
        return not stopped and taken.attempt == attempt and taken.status_at(at) == "reserved"

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

    def hold(self, by: str, clock: datetime) -> Refusal | None:
        if self.has_ended(self.tick(clock)):
            return OperationFinal
        if by not in self.holds:
            self.holds, self.last_at = self.holds | {by}, self.tick(clock)
        return None

    def resume(self, by: str, clock: datetime) -> Refusal | None:
        if self.has_ended(self.tick(clock)):
            return OperationFinal
        if not self.holds & MAY_LIFT[by]:
            return HoldNotAllowed
        self.holds, self.last_at = self.holds - MAY_LIFT[by], self.tick(clock)
        return None

    def cancel(self, clock: datetime) -> Refusal | None:
        if self.has_ended(self.tick(clock)):
            return OperationFinal
        self.cancelled, self.last_at = True, self.tick(clock)
        return None

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
