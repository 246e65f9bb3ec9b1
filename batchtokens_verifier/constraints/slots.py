"""Slots: what can be redeemed once each (DESIGN §6). A pure function of the constraints."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from batchtokens_verifier.constraints.periods import period_bounds
from batchtokens_verifier.constraints.terms import Constraints
from batchtokens_verifier.errors import OutsideValidity


@dataclass(frozen=True, slots=True)
class Slot:
    """One due run (o0, o1 …) or one place in a period (p0, or p0.0, p0.1 …)."""

    name: str
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class SlotPlan:
    """All slots of one operation, earliest first.

    A due run's window includes both of its ends, a period excludes its end; neither reaches
    valid_to, where the token is over.
    """

    slots: tuple[Slot, ...]
    scheduled: bool
    valid_to: datetime

    @property
    def capacity(self) -> int:
        """Return how many slots there are in the whole life."""
        return len(self.slots)

    def named(self, name: str) -> Slot:
        """Return the slot with this name.

        Raises OutsideValidity.
        """
        for slot in self.slots:
            if slot.name == name:
                return slot
        raise OutsideValidity("The operation has no such occurrence.")

    def open_at(self, at: datetime) -> tuple[Slot, ...]:
        """Return the slots that can be redeemed at `at`, earliest first."""
        return tuple(slot for slot in self.slots if self.is_open(slot, at))

    def is_open(self, slot: Slot, at: datetime) -> bool:
        """Tell whether `slot` can be redeemed at `at`."""
        if not slot.opens_at <= at < self.valid_to:
            return False
        return at <= slot.closes_at if self.scheduled else at < slot.closes_at

    def counts_at(self, slot: Slot, at: datetime) -> datetime:
        """Return the instant in whose period a redemption at `at` counts.

        A due run counts where it was due, however late in its window it happens.
        """
        return slot.opens_at if self.scheduled else at


@lru_cache(maxsize=64)
def plan_slots(constraints: Constraints) -> SlotPlan:
    """Return all slots of `constraints`, as parsed."""
    slots = _due_runs(constraints) if constraints.schedule else _period_slots(constraints)
    return SlotPlan(slots, constraints.schedule is not None, constraints.valid_to)


def _due_runs(constraints: Constraints) -> tuple[Slot, ...]:
    window = constraints.due_window
    if window is None:
        raise ValueError("a schedule without due_window was never parsed")
    return tuple(
        Slot(f"o{index}", due, min(due + window, constraints.valid_to))
        for index, due in enumerate(constraints.due_times())
    )


def _period_slots(constraints: Constraints) -> tuple[Slot, ...]:
    places = constraints.slots_per_period()
    return tuple(
        Slot(f"p{period}.{place}" if places > 1 else f"p{period}", start, end)
        for period in range(constraints.period_count())
        for start, end in [_bounds(constraints, period)]
        for place in range(places)
    )


def _bounds(constraints: Constraints, period: int) -> tuple[datetime, datetime]:
    if not constraints.periodic_limits:
        return constraints.valid_from, constraints.valid_to
    limit = constraints.periodic_limits[0]
    start, end = period_bounds(limit, constraints.valid_from, period)
    return max(start, constraints.valid_from), min(end, constraints.valid_to)
