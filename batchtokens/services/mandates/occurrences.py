"""What became of each due occurrence of a mandate: I7's partition, one class each.

`classify` is a pure function of the slots, the redemptions and what the ledger says of holds and of
used-up limits; `tell_occurrences` reads these for many mandates in two statements.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db.models import Q

from batchtokens.models import EntryKind, LedgerEntry, OperationToken, Redemption
from batchtokens.services.mandates.limits import (
    can_run_out,
    effective_limits,
    has_room,
    signed_limits,
)
from batchtokens_verifier.constraints import Constraints, Slot, SlotPlan, plan_slots

GRACE = dt.timedelta(hours=1)  # after a window: the run's word, and the clocks, have time to settle

_HOLDING = (EntryKind.HELD, EntryKind.RESUMED, EntryKind.DISOWNED, EntryKind.REISSUED)
_TAKING = (EntryKind.ISSUED, EntryKind.RESERVED, EntryKind.RELEASED, EntryKind.LOWERED)


class OccurrenceState(StrEnum):
    """Every due occurrence has exactly one; of an open or just closed one it may still change."""

    SETTLED = "settled"
    RESERVED = "reserved"
    IN_DOUBT = "in_doubt"
    RELEASED = "released"
    SKIPPED = "skipped"  # its window closed while a hold was set, or the limits had no room for it
    MISSED = "missed"  # its window closed, and nothing stood in the way
    EXPIRED = "expired"  # the mandate ended before its window would have
    CANCELLED = "cancelled"  # the mandate was cancelled before its window closed
    WAITING = "waiting"  # its window, or the grace after it, is not over


@dataclass(frozen=True)
class Occurrence:
    """One due occurrence; `redemption` where its slot was ever taken."""

    slot: Slot
    state: OccurrenceState
    redemption: Redemption | None = None


@dataclass(frozen=True)
class Pause:
    """A time in which nothing more could run; `end` None: it lasts."""

    start: dt.datetime
    end: dt.datetime | None = None


Pauses = Mapping[uuid.UUID, list[Pause]]


@dataclass(frozen=True)
class History:
    """What the ledger says of when a mandate could not run.

    pauses: when at least one hold was set, or the limits, as lowered by then, let no run of any
    amount through; ascending, disjoint.
    """

    pauses: Sequence[Pause] = ()
    cancelled_at: dt.datetime | None = None
    redemptions: Mapping[str, Redemption] = field(default_factory=dict)


def is_paused(pauses: Iterable[Pause], at: dt.datetime) -> bool:
    return any(each.start <= at and (each.end is None or at < each.end) for each in pauses)


def classify(
    plan: SlotPlan, history: History, *, at: dt.datetime, grace: dt.timedelta = GRACE
) -> Iterator[Occurrence]:
    """Yield every occurrence that is due at `at`, earliest first, with its one state.

    Without a schedule the first slot is due, as the queue has it, and every other one once it was
    taken: an executor need not use a period.
    """
    for slot in _slots(plan, history):
        if slot.opens_at > at:
            return
        redemption = history.redemptions.get(slot.name)
        if redemption is not None:
            state = OccurrenceState(redemption.status_at(at).value)
        else:
            state = _untaken(plan, slot, history, at, grace)
        yield Occurrence(slot, state, redemption)


def _slots(plan: SlotPlan, history: History) -> Iterable[Slot]:
    if plan.scheduled:
        return plan.slots
    taken = {plan.named(name) for name in history.redemptions}
    return sorted(
        {*plan.open_at(plan.constraints.valid_from)[:1], *taken}, key=lambda slot: slot.opens_at
    )


def _untaken(
    plan: SlotPlan, slot: Slot, history: History, at: dt.datetime, grace: dt.timedelta
) -> OccurrenceState:
    last = _last_instant(plan, slot)
    if history.cancelled_at is not None and history.cancelled_at <= min(last, at):
        return OccurrenceState.CANCELLED
    if at <= slot.closes_at + grace:
        return OccurrenceState.WAITING
    if is_paused(history.pauses, last):
        return OccurrenceState.SKIPPED
    return OccurrenceState.EXPIRED if _is_cut_short(plan, slot) else OccurrenceState.MISSED


def _last_instant(plan: SlotPlan, slot: Slot) -> dt.datetime:
    """Return the last instant at which the slot could be taken; the ledger counts microseconds."""
    end = slot.closes_at
    return end if plan.is_open(slot, end) else end - dt.timedelta(microseconds=1)


def _is_cut_short(plan: SlotPlan, slot: Slot) -> bool:
    window = plan.constraints.due_window
    return window is not None and slot.opens_at + window > plan.valid_to


def tell_occurrences(
    tokens: Iterable[OperationToken], *, at: dt.datetime, grace: dt.timedelta = GRACE
) -> Iterator[tuple[OperationToken, list[Occurrence]]]:
    """Yield each mandate with its due occurrences. Two statements, for as many as fit in memory.

    at: an instant of the database's clock, not after the rows were read.
    """
    rows = list(tokens)
    signed = {row.pk: signed_limits(row) for row in rows}
    pauses, redemptions = _unable(rows, signed), _redemptions(rows)
    for row in rows:
        history = History(pauses[row.pk], row.cancelled_at, redemptions[row.pk])
        yield row, list(classify(plan_slots(signed[row.pk]), history, at=at, grace=grace))


def fold_pauses(changes: Iterable[tuple[dt.datetime, bool]]) -> list[Pause]:
    """Turn "from then on held, or not", in the ledger's order, into pauses."""
    folded: list[Pause] = []
    for at, held in changes:
        is_open = bool(folded) and folded[-1].end is None
        if held and not is_open:
            folded.append(Pause(at))
        elif is_open and not held:
            folded[-1] = Pause(folded[-1].start, at)
    return folded


def pauses_of(tokens: Iterable[uuid.UUID]) -> Pauses:
    """Return, by the mandates' ids, when each was held, as the ledger tells it. One statement."""
    entries = Q(operation_token__in=list(tokens), kind__in=_HOLDING)
    return _folded(entries, lambda _, state: bool(state["holds"]))


def _unable(rows: Sequence[OperationToken], signed: Mapping[uuid.UUID, Constraints]) -> Pauses:
    """Return when each was held or had no room, whatever was lowered or given back later."""
    by_id = {row.pk: row for row in rows}
    bounded = [row.pk for row in rows if can_run_out(row, signed[row.pk])]

    def stands(token: uuid.UUID, state: Mapping[str, Any]) -> bool:
        limits = effective_limits(signed[token], state.get("lowered", {}))
        taken = {"count": state["count"], "minor": state["sum"]}
        return bool(state["holds"]) or not has_room(by_id[token], limits, **taken)

    entries = Q(operation_token__in=list(by_id), kind__in=_HOLDING)
    return _folded(entries | Q(operation_token__in=bounded, kind__in=_TAKING), stands)


def _folded(which: Q, stands: Callable[[uuid.UUID, Mapping[str, Any]], bool]) -> Pauses:
    """Fold the states of these entries into the times in which, after one of them, it stands."""
    changes: dict[uuid.UUID, list[tuple[dt.datetime, bool]]] = defaultdict(list)
    for entry in LedgerEntry.objects.filter(which).order_by("operation_token", "seq"):
        token = entry.operation_token_id
        if token is not None:  # the authority's own chain holds nothing
            changes[token].append((entry.at, stands(token, json.loads(entry.entry)["state"])))
    folded = {token: fold_pauses(told) for token, told in changes.items()}
    return defaultdict(list, folded)


def _redemptions(rows: Iterable[OperationToken]) -> dict[Any, dict[str, Redemption]]:
    found: dict[Any, dict[str, Redemption]] = defaultdict(dict)
    for redemption in Redemption.objects.filter(operation_token__in=rows):
        found[redemption.operation_token_id][redemption.slot] = redemption
    return found
