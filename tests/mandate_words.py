"""The words that a model of mandates and the services have in common: what is asked and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from batchtokens_verifier.errors import ProblemError

Refusal = type[ProblemError]
MAY_LIFT: dict[str, set[str]] = {
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
    """A redemption as it is sent: for which mandate, with whose operation, what amount and slot.

    signature: which of the mandate's tokens, 0 the one that was issued first.
    """

    mandate: int
    operation_of: int
    minor: int | None
    occurrence: str | None
    signature: int = 0


@dataclass(frozen=True)
class Answer:
    """What an executor is told."""

    slot: str
    attempt: int
    created: bool
    proceed: bool


@dataclass
class Around:
    """What all mandates share: their person and their executor, switched off or not, and its cap.

    used: by UTC day, what was reserved while a cap was set.
    """

    off: bool = False
    stopped: bool = False
    most_a_day: int | None = None
    used: Counter[date] = field(default_factory=Counter)

    def count(self, at: datetime) -> bool:
        """Count one more; one too many stops the executor instead."""
        if self.most_a_day is not None:
            self.stopped = self.used[at.date()] + 1 > self.most_a_day
            self.used[at.date()] += not self.stopped
        return not self.stopped
