"""Find what closed since each mandate was last looked at, at the cost of those mandates alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from batchtokens.models import OperationToken
from batchtokens.models.writing import change_many, write_together
from batchtokens.services.mandates.limits import signed_limits
from batchtokens.services.reports.find_missed import PAGE, UNREAD, Found, Search
from batchtokens_verifier.constraints import plan_slots

LEFT_OUT = 5000  # rows a statement
NEVER = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)  # null is what nobody has looked at


@dataclass(frozen=True)
class Looked:
    """Mandates that were due for a look, and what was found among them."""

    tokens: Sequence[OperationToken]
    found: Sequence[Found]


def find_newly_closed(search: Search, *, at: dt.datetime) -> Iterator[Looked]:
    """Yield a page of mandates at a time; whoever has used what was found notes it.

    A mandate that was over before `search.since` is not looked at again.
    """
    due = OperationToken.objects.filter(
        Q(next_close_at=None) | Q(next_close_at__lt=at - search.grace)
    )
    _leave_out(due, search)
    rows = OperationToken.objects.select_related("user", "executor").defer(*UNREAD)
    # The keys alone first: in their order the database might walk through all that there is.
    keys = sorted(due.values_list("pk", flat=True))
    for start in range(0, len(keys), PAGE):
        tokens = list(rows.filter(pk__in=keys[start : start + PAGE]).order_by("pk"))
        yield Looked(tokens, search.among(tokens, at=at))


def note_next_closes(looked: Looked, *, after: dt.datetime) -> None:
    """Note when the next window of each closes, from `after` on, so that nobody looks before.

    Windows follow from what was signed: nothing that comes meanwhile changes them. A row that is
    locked just now is looked at once more instead.
    """
    closes = {token.pk: _next_close(token, after) for token in looked.tokens}
    with transaction.atomic(durable=True):
        rows = OperationToken.objects.select_for_update(no_key=True, skip_locked=True)
        free = list(rows.filter(pk__in=list(closes)).only("pk").order_by("pk"))
        for row in free:
            row.next_close_at = closes[row.pk]
        if free:
            write_together(*change_many(free, ["next_close_at"]))


def _leave_out(due: Any, search: Search) -> None:
    """Note that nothing more is missed of what was over long ago, so many rows a statement."""
    over = due.filter(Q(valid_to__lt=search.since) | Q(cancelled_at__lt=search.since))
    while keys := list(over.values_list("pk", flat=True)[:LEFT_OUT]):
        OperationToken.objects.filter(pk__among=keys).update(next_close_at=NEVER)


def _next_close(token: OperationToken, after: dt.datetime) -> dt.datetime:
    """Return when the first window closes that may be missed from then on.

    Without a schedule that is the first one alone: an executor need not use a period.
    """
    plan = plan_slots(signed_limits(token))
    slots = plan.slots if plan.scheduled else plan.open_at(plan.constraints.valid_from)[:1]
    return min((slot.closes_at for slot in slots if slot.closes_at >= after), default=NEVER)
