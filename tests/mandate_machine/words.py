"""The words that a model of mandates and the services have in common: what is asked and told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

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


def usd(minor: int) -> dict[str, str]:
    return {"amount": f"{minor // 100}.{minor % 100:02}", "currency": "USD"}


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
    settled_at: datetime | None = None

    def settle(self, note: str, at: datetime) -> None:
        self.status, self.note, self.settled_at = "settled", note, at

    def status_at(self, at: datetime) -> str:
        over = self.status == "reserved" and at >= self.lease_ends
        return "in_doubt" if over else self.status


@dataclass(frozen=True)
class Request:
    """A redemption as it is sent: for which mandate, with whose operation, what amount and slot.

    signature: which of the mandate's tokens, 0 the one that was issued first. edited: the member
    of the copy that somebody changed, "" for none.
    """

    mandate: int
    operation_of: int
    minor: int | None
    occurrence: str | None
    signature: int = 0
    edited: str = ""


@dataclass(frozen=True)
class Answer:
    """What an executor is told."""

    slot: str
    attempt: int
    created: bool
    proceed: bool
