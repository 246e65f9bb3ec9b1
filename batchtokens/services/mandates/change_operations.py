"""Change many operations alike: each gets its own ledger entry, in two statements a thousand.

For what concerns a person, a client, a type or a key as a whole: holds, cancels, disowned keys.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from batchtokens.errors import LedgerBroken
from batchtokens.models import (
    STATE_FIELDS,
    EntryKind,
    HoldKind,
    LedgerEntry,
    OperationToken,
)
from batchtokens.models.clock import database_now
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens.models.writing import change_many, insertion, write_together
from batchtokens.services.mandates.words import UNSAID, Words, decision_entry

BATCH = 1000


@dataclass(frozen=True)
class Change:
    """What happens to each. `apply` sets the row's state columns, or returns False to leave it.

    words: of who decides, if anybody did. fields: columns that `apply` sets beside those of the
    state. data: what every entry says. data_of: what that of one row says, after `apply`. also: is
    called with what changed, in the same transaction. leave_broken: a row that is not what its
    ledger says is left as it is, where the others must not wait for it; it runs nowhere.
    """

    kind: EntryKind
    by: HoldKind
    apply: Callable[[OperationToken, dt.datetime], bool]
    words: Words = UNSAID
    data: dict[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    data_of: Callable[[OperationToken], dict[str, Any]] = field(default=lambda _: {})
    also: Callable[[list[OperationToken], dt.datetime], object] = field(default=lambda _, __: None)
    leave_broken: bool = False


def change_operations(
    among: OperationTokenQuerySet, *, change: Change, now: dt.datetime | None = None
) -> list[OperationToken]:
    """Lock and change all of `among` in the caller's transaction; returns those that changed.

    Raises LedgerBroken where a row is not what its ledger says (I15).
    """
    changed = []
    last = None
    while batch := _lock(among, last):
        changed += _change(batch, change, now)
        last = batch[-1].pk
    return changed


def change_operations_in_batches(
    among: OperationTokenQuerySet, *, change: Change, now: dt.datetime | None = None
) -> Iterator[int]:
    """Do the same in one transaction a batch, for what may be very many; yields how many each."""
    last = None
    while True:
        with transaction.atomic(durable=True):
            batch = _lock(among, last)
            changed = _change(batch, change, now) if batch else []
        if not batch:
            return
        last = batch[-1].pk
        yield len(changed)


def _lock(among: OperationTokenQuerySet, after: Any) -> list[OperationToken]:
    rows = among.order_by("pk").select_for_update(no_key=True, of=("self",))
    return list((rows.filter(pk__gt=after) if after else rows)[:BATCH])


def _change(
    batch: list[OperationToken], change: Change, now: dt.datetime | None
) -> list[OperationToken]:
    at = now or database_now()  # after the locks are held
    sound = _sound(batch)
    if len(sound) < len(batch) and not change.leave_broken:
        raise LedgerBroken
    changed, entries = [], []
    for token in sound:
        if change.apply(token, max(at, token.last_at)):
            changed.append(token)
            entries.append(_entry(token, change, at))
    if changed:
        fields = (*STATE_FIELDS, *change.fields)
        write_together(insertion(*entries), *change_many(changed, fields))
        change.also(changed, at)
    return changed


def _entry(token: OperationToken, change: Change, at: dt.datetime) -> LedgerEntry:
    told = change.data | change.data_of(token)
    return decision_entry(token, change.kind, at=at, by=change.by, words=change.words, **told)


def _sound(batch: list[OperationToken]) -> list[OperationToken]:
    heads = {head.operation_token_id: head for head in LedgerEntry.objects.heads_of(batch)}
    return [t for t in batch if (head := heads.get(t.pk)) is not None and head.tells(t)]
