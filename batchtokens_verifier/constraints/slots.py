"""Slots: what can be redeemed once each. A pure function of the constraints.

A plan makes a slot when it is asked for: a redemption looks at one of thousands.
"""

import re
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from batchtokens_verifier.constraints.periods import period_bounds, period_index
from batchtokens_verifier.constraints.terms import Constraints
from batchtokens_verifier.errors import OutsideValidity

_RUN = re.compile(r"o(0|[1-9][0-9]{0,6})")
_PLACE = re.compile(r"p(0|[1-9][0-9]{0,6})(?:\.(0|[1-9][0-9]{0,6}))?")


@dataclass(frozen=True, slots=True)
class Slot:
    """One due run (o0, o1 …) or one place in a period (p0, or p0.0, p0.1 …)."""

    name: str
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True)
class SlotPlan(ABC):
    """All slots of one operation, earliest first.

    A due run's window includes both of its ends, a period excludes its end; neither reaches
    valid_to, where the token is over.
    """

    constraints: Constraints

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Return every slot; asking for one alone is cheaper."""
        return tuple(self._slot(index) for index in range(self.capacity))

    @property
    def scheduled(self) -> bool:
        """Tell whether the slots are due runs."""
        return self.constraints.schedule is not None

    @property
    def valid_to(self) -> datetime:
        """Return when the last slot is over, at the latest."""
        return self.constraints.valid_to

    @property
    @abstractmethod
    def capacity(self) -> int:
        """Return how many slots there are in the whole life."""

    def named(self, name: str) -> Slot:
        """Return the slot with this name.

        Raises OutsideValidity.
        """
        index = self._index(name)
        if index is not None and index < self.capacity:
            slot = self._slot(index)
            if slot.name == name:
                return slot
        raise OutsideValidity("The operation has no such occurrence.")

    def open_at(self, at: datetime) -> tuple[Slot, ...]:
        """Return the slots that can be redeemed at `at`, earliest first."""
        if not self.constraints.valid_from <= at < self.valid_to:
            return ()
        near = (self._slot(index) for index in self._near(at))
        return tuple(slot for slot in near if self.is_open(slot, at))

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

    @abstractmethod
    def _slot(self, index: int) -> Slot: ...

    @abstractmethod
    def _index(self, name: str) -> int | None: ...

    @abstractmethod
    def _near(self, at: datetime) -> Iterable[int]:
        """Return the indexes of all slots that may be open at `at`, ascending."""


class _DueRuns(SlotPlan):
    """The occurrences of a schedule, named o0, o1 and so on."""

    @property
    def capacity(self) -> int:
        return len(self.constraints.due_times)

    def _slot(self, index: int) -> Slot:
        due = self.constraints.due_times[index]
        return Slot(f"o{index}", due, min(due + self._window, self.valid_to))

    def _index(self, name: str) -> int | None:
        match = _RUN.fullmatch(name)
        return int(match[1]) if match else None

    def _near(self, at: datetime) -> Iterable[int]:
        dues = self.constraints.due_times
        return range(bisect_left(dues, at - self._window), bisect_right(dues, at))

    @property
    def _window(self) -> timedelta:
        window = self.constraints.due_window
        if window is None:
            raise ValueError("a schedule without due_window was never parsed")
        return window


class _Places(SlotPlan):
    """The places in the periods of the first limit: p0, p1, or p0.0, p0.1, p1.0."""

    @property
    def capacity(self) -> int:
        return self.constraints.period_count * self.constraints.slots_per_period

    def _slot(self, index: int) -> Slot:
        places = self.constraints.slots_per_period
        period, place = divmod(index, places)
        start, end = self._bounds(period)
        return Slot(f"p{period}.{place}" if places > 1 else f"p{period}", start, end)

    def _index(self, name: str) -> int | None:
        match, places = _PLACE.fullmatch(name), self.constraints.slots_per_period
        if match is None or (place := int(match[2] or 0)) >= places:
            return None
        return int(match[1]) * places + place

    def _near(self, at: datetime) -> Iterable[int]:
        limits, places = self.constraints.periodic_limits, self.constraints.slots_per_period
        period = period_index(limits[0], self.constraints.valid_from, at) if limits else 0
        return range(period * places, (period + 1) * places)

    def _bounds(self, period: int) -> tuple[datetime, datetime]:
        constraints = self.constraints
        if not constraints.periodic_limits:
            return constraints.valid_from, constraints.valid_to
        limit = constraints.periodic_limits[0]
        start, end = period_bounds(limit, constraints.valid_from, period)
        return max(start, constraints.valid_from), min(end, constraints.valid_to)


def plan_slots(constraints: Constraints) -> SlotPlan:
    """Return the slots of `constraints`, as parsed."""
    return _DueRuns(constraints) if constraints.schedule else _Places(constraints)
