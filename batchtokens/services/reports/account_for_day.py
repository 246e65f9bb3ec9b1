"""Account for one day of a time zone: what became of redemptions in it, and what did not run.

An amount belongs to the day of its ledger entry, and once more to the day in which a lease ended
that was begun the day before: it is in doubt since. What is said of a past day never changes,
whatever comes later.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from batchtokens.models import (
    EntryKind,
    LedgerEntry,
    OperationToken,
    Redemption,
    RedemptionAttempt,
    RedemptionStatus,
    instant,
)
from batchtokens.services.mandates.occurrences import GRACE, OccurrenceState
from batchtokens.services.reports.find_missed import Found, Search, find_occurrences
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.constraints.instants import instant_of

PAGE = 500
UTC = ZoneInfo("UTC")
LONG_LEASE = dt.timedelta(hours=1)  # what an earlier setting may have given, where it is less now
_MOVES = (EntryKind.RESERVED, EntryKind.SETTLED, EntryKind.RELEASED)
_UNUSED = frozenset({OccurrenceState.MISSED, OccurrenceState.SKIPPED})


@dataclass(frozen=True)
class Line:
    """One slot on one day. amount_minor: None where nobody ever named an amount.

    operation: its id; of a token whose row a restored database has lost, the token's hash.
    at, seq, entry_hash: the last ledger entry about it by the day's end; where there is none, when
    its window closed, 0 and empty.
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
    """One ledger entry of a redemption. token: its row's key; the hash of a lost token."""

    token: uuid.UUID | str
    seq: int
    kind: str
    data: dict[str, Any]
    at: dt.datetime
    hash: str


def complete_at(day: dt.date, zone: ZoneInfo = UTC) -> dt.datetime:
    """Return the instant from which nothing can change what is said of the day."""
    return _bounds(day, zone)[1] + GRACE


def day_lines(day: dt.date, zone: ZoneInfo = UTC) -> Iterator[Line]:
    """Yield the redemptions of the day by operation, then what was missed or skipped in it."""
    start, end = _bounds(day, zone)
    pages = groupby(_moves(start - _longest_lease(), end), lambda move: move.token)
    last_moves = (_last_of_each_slot(moves) for _, moves in pages)
    while page := list(islice(last_moves, PAGE)):
        yield from _redemption_lines([move for moves in page for move in moves], start, end)
    for found in find_occurrences(Search(states=_UNUSED, since=start, until=end)):
        yield from (_unused_line(each) for each in found)


def _bounds(day: dt.date, zone: ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
    """Return the day's first instant and the next day's: 23 to 25 hours where clocks change."""
    midnights = (dt.datetime.combine(each, dt.time()) for each in (day, day + dt.timedelta(days=1)))
    start, end = (instant_of(midnight, zone) for midnight in midnights)
    return start, end


def _longest_lease() -> dt.timedelta:
    return max(settings.REDEMPTION_LEASE, LONG_LEASE)


def _moves(start: dt.datetime, end: dt.datetime) -> Iterator[_Move]:
    entries = LedgerEntry.objects.filter(at__gte=start, at__lt=end, kind__in=_MOVES)
    columns = ("operation_token_id", "lost_token", "seq", "kind", "entry", "at", "hash")
    rows = entries.order_by("operation_token_id", "lost_token", "seq").values_list(*columns)
    for token, lost, seq, kind, entry, at, hash_ in rows.iterator(chunk_size=2000):
        yield _Move(token or lost, seq, kind, json.loads(entry)["data"], at, hash_)


def _last_of_each_slot(moves: Iterable[_Move]) -> list[_Move]:
    return list({move.data["slot"]: move for move in moves}.values())


def _redemption_lines(moves: list[_Move], start: dt.datetime, end: dt.datetime) -> Iterator[Line]:
    names = [move.data["redemption"] for move in moves]
    amounts = {r.pk: r.amount for r in Redemption.objects.filter(pk__in=names)}
    amounts |= _lost_amounts({move.token for move in moves if isinstance(move.token, str)})
    tokens = OperationToken.objects.select_related("executor").only("executor__client_id")
    rows: dict[Any, OperationToken] = tokens.in_bulk(
        {move.token for move in moves if not isinstance(move.token, str)}
    )
    leases = _leases(names)
    for move in moves:
        name, attempt = move.data["redemption"], move.data["attempt"]
        # A restore brings no answers back: such a lease is the entry's instant and today's setting.
        lease = leases.get((name, attempt), move.at + settings.REDEMPTION_LEASE)
        status = _status(move, lease, end)
        if move.at < start and not (status == RedemptionStatus.IN_DOUBT and lease > start):
            continue  # it is told of the day before
        row = rows.get(move.token)
        yield Line(
            status=status,
            executor=row.executor.client_id if row else move.data["client"],
            currency=amounts[name].currency,
            amount_minor=amounts[name].minor,  # a redemption has one amount for ever (I16)
            operation=row.public_id if row else str(move.token),
            slot=move.data["slot"],
            redemption=name,
            attempt=attempt,
            at=instant(move.at),
            seq=move.seq,
            entry_hash=move.hash,
        )


def _lost_amounts(lost_tokens: Collection[str]) -> dict[str, Amount]:
    """Return the amounts of redemptions of which a restored database has the entries alone."""
    if not lost_tokens:
        return {}
    reserved = LedgerEntry.objects.filter(lost_token__in=lost_tokens, kind=EntryKind.RESERVED)
    told = (json.loads(entry)["data"] for entry in reserved.values_list("entry", flat=True))
    return {data["redemption"]: Amount.parse(data["amount"], "") for data in told}


def _leases(names: list[str]) -> dict[tuple[str, int], dt.datetime]:
    attempts = RedemptionAttempt.objects.filter(redemption__in=names)
    rows = attempts.values_list("redemption_id", "attempt", "lease_expires_at")
    return {(redemption, attempt): lease for redemption, attempt, lease in rows}


def _status(move: _Move, lease: dt.datetime, end: dt.datetime) -> str:
    if move.kind == EntryKind.RESERVED and lease <= end:
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
