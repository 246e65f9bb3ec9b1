"""Account for one day (UTC): each redemption that the ledger has an entry of, and what did not run.

An amount belongs to the day of its ledger entry. What is said of a past day never changes: a
reservation is in doubt if its lease had ended by the day's end, whatever came later.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from batchtokens.models import (
    EntryKind,
    LedgerEntry,
    OperationToken,
    Redemption,
    RedemptionAttempt,
    RedemptionStatus,
    instant,
)
from batchtokens.services.find_missed import Found, Search, find_occurrences
from batchtokens.services.occurrences import GRACE, OccurrenceState
from batchtokens_verifier.constraints import Amount

PAGE = 500
_MOVES = (EntryKind.RESERVED, EntryKind.SETTLED, EntryKind.RELEASED)
_UNUSED = frozenset({OccurrenceState.MISSED, OccurrenceState.SKIPPED})


@dataclass(frozen=True)
class Line:
    """One slot on one day. amount_minor: None where nobody ever named an amount.

    seq, entry_hash: the day's last ledger entry about it; 0 and empty where there is none.
    """

    status: str
    executor: str
    currency: str
    amount_minor: int | None
    operation: str
    slot: str
    redemption: str = ""
    attempt: int = 0
    at: str = ""
    seq: int = 0
    entry_hash: str = ""


@dataclass
class Total:
    """How many, and what they add up to. minor: in minor units, of what has an amount."""

    count: int = 0
    minor: int = 0


@dataclass
class Totals:
    """Sums by (executor, currency, status), as lines go by."""

    lines: int = 0
    by_key: dict[tuple[str, str, str], Total] = field(default_factory=lambda: defaultdict(Total))

    def watch(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Pass the lines on and add them up."""
        for line in lines:
            total = self.by_key[line.executor, line.currency, line.status]
            total.count += 1
            total.minor += line.amount_minor or 0
            self.lines += 1
            yield line


@dataclass(frozen=True)
class _Move:
    """One ledger entry of a redemption."""

    token: Any
    seq: int
    kind: str
    data: dict[str, Any]
    at: dt.datetime
    hash: str


def complete_at(day: dt.date) -> dt.datetime:
    """Return the instant from which nothing can change what is said of the day."""
    return _bounds(day)[1] + GRACE


def day_lines(day: dt.date) -> Iterator[Line]:
    """Yield the redemptions of the day by operation, then what was missed or skipped in it."""
    start, end = _bounds(day)
    pages = groupby(_moves(start, end), lambda move: move.token)
    last_moves = (_last_of_each_slot(moves) for _, moves in pages)
    while page := list(islice(last_moves, PAGE)):
        yield from _redemption_lines([move for moves in page for move in moves], end)
    for found in find_occurrences(Search(states=_UNUSED, since=start, until=end)):
        yield from (_unused_line(each) for each in found)


def _bounds(day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    start = dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)
    return start, start + dt.timedelta(days=1)


def _moves(start: dt.datetime, end: dt.datetime) -> Iterator[_Move]:
    entries = LedgerEntry.objects.filter(at__gte=start, at__lt=end, kind__in=_MOVES)
    columns = ("operation_token_id", "seq", "kind", "entry", "at", "hash")
    rows = entries.order_by("operation_token_id", "seq").values_list(*columns)
    for token, seq, kind, entry, at, hash_ in rows.iterator(chunk_size=2000):
        yield _Move(token, seq, kind, json.loads(entry)["data"], at, hash_)


def _last_of_each_slot(moves: Iterable[_Move]) -> list[_Move]:
    return list({move.data["slot"]: move for move in moves}.values())


def _redemption_lines(moves: list[_Move], end: dt.datetime) -> Iterator[Line]:
    names = [move.data["redemption"] for move in moves]
    redemptions = Redemption.objects.in_bulk(names)
    tokens = OperationToken.objects.select_related("executor").only("executor__client_id")
    whose = tokens.in_bulk({move.token for move in moves})
    leases = _leases(names)
    for move in moves:
        redemption = redemptions[move.data["redemption"]]
        lease = leases.get((redemption.pk, move.data["attempt"]))
        yield Line(
            status=_status(move, lease, end),
            executor=whose[move.token].executor.client_id,
            currency=redemption.currency,
            amount_minor=redemption.amount_minor,  # a redemption has one amount for ever (I16)
            operation=whose[move.token].public_id,
            slot=redemption.slot,
            redemption=redemption.pk,
            attempt=move.data["attempt"],
            at=instant(move.at),
            seq=move.seq,
            entry_hash=move.hash,
        )


def _leases(names: list[str]) -> dict[tuple[str, int], dt.datetime]:
    attempts = RedemptionAttempt.objects.filter(redemption__in=names)
    rows = attempts.values_list("redemption_id", "attempt", "lease_expires_at")
    return {(redemption, attempt): lease for redemption, attempt, lease in rows}


def _status(move: _Move, lease: dt.datetime | None, end: dt.datetime) -> str:
    if move.kind == EntryKind.RESERVED and lease is not None and lease <= end:
        return RedemptionStatus.IN_DOUBT.value
    return move.kind


def _unused_line(found: Found) -> Line:
    slot = found.occurrence.slot
    return Line(
        status=found.occurrence.state.value,
        executor=found.token.executor.client_id,
        currency=found.token.currency,
        amount_minor=found.token.amount_minor,
        operation=found.token.public_id,
        slot=slot.name,
        at=instant(slot.closes_at),
    )


def formatted(minor: int | None, currency: str) -> str:
    """Write minor units with the currency's decimals; nothing for no amount."""
    return str(Amount(minor, currency)) if minor is not None and currency else ""
