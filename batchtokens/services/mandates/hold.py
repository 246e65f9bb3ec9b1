"""Hold an operation, or lift a hold: only its setter's kind may, staff also a client's (I16)."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.db import transaction

from accounts.errors import AccountInactive
from accounts.models import User
from batchtokens.errors import HoldNotAllowed, OperationFinal, OperationNotFound
from batchtokens.models import (
    STATE_FIELDS,
    STATUS_TRANSITIONS,
    EntryKind,
    HoldKind,
    OperationToken,
    Status,
)
from batchtokens.models.locking import LockedToken, lock_operation_token
from batchtokens.models.writing import change, insertion, write_together
from batchtokens.services.mandates.words import UNSAID, Words, decision_entry

LIFTS: dict[HoldKind, tuple[HoldKind, ...]] = {
    HoldKind.USER: (HoldKind.USER,),
    HoldKind.CLIENT: (HoldKind.CLIENT,),
    HoldKind.STAFF: (HoldKind.STAFF, HoldKind.CLIENT),
    HoldKind.SYSTEM: (HoldKind.SYSTEM,),
}


def hold_operation(
    *, operation_id: uuid.UUID, by: HoldKind, words: Words = UNSAID, now: dt.datetime | None = None
) -> OperationToken:
    """Stop new runs until the hold is lifted; holding twice by one kind changes nothing."""
    with transaction.atomic(durable=True):
        locked = lock_live(operation_id, now)
        if not add_hold(locked.token, by):
            return locked.token
        return record(locked, EntryKind.HELD, by=by, words=words)


def resume_operation(
    *, operation_id: uuid.UUID, by: HoldKind, words: Words = UNSAID, now: dt.datetime | None = None
) -> OperationToken:
    """Lift what `by` may lift.

    Raises HoldNotAllowed where nothing of that kind holds it, AccountInactive where its person was
    switched off while they asked.
    """
    with transaction.atomic(durable=True):
        locked = lock_live(operation_id, now)
        if by == HoldKind.USER:
            _check_active(locked.token)
        lifted = liftable(locked.token, by)
        locked.token.holds = [kind for kind in locked.token.holds if kind not in lifted]
        kinds = sorted(kind.value for kind in lifted)
        return record(locked, EntryKind.RESUMED, by=by, words=words, lifted=kinds)


def _check_active(token: OperationToken) -> None:
    """Ask again, under the lock: a freeze lets nothing through that was on its way."""
    if not User.objects.filter(pk=token.user_id, is_active=True).exists():
        raise AccountInactive


def is_held_by(token: OperationToken, kind: HoldKind) -> bool:
    """Say whether a hold of this kind is set; that of disowning ends with a new signature."""
    return kind in token.holds and not (kind == HoldKind.SYSTEM and token.disowned_at)


def add_hold(token: OperationToken, kind: HoldKind) -> bool:
    """Set a hold of this kind, in memory; say whether that changes anything."""
    if is_held_by(token, kind):
        return False
    token.holds = sorted({*token.holds, kind.value})
    return True


def lock_live(operation_id: uuid.UUID, now: dt.datetime | None) -> LockedToken:
    """Lock an operation that has not ended. Raises OperationNotFound or OperationFinal."""
    locked = lock_operation_token(pk=operation_id, now=now)
    if locked is None:
        raise OperationNotFound
    check_changeable(locked.token, locked.at)
    return locked


def check_changeable(token: OperationToken, at: dt.datetime) -> None:
    """Raise OperationFinal unless somebody may still hold, resume or cancel it.

    What can be cancelled has not ended.
    """
    if Status.CANCELLED not in STATUS_TRANSITIONS[token.status_at(at)]:
        raise OperationFinal


def can_change(token: OperationToken, at: dt.datetime) -> bool:
    """Say whether `check_changeable` lets it pass."""
    try:
        check_changeable(token, at)
    except OperationFinal:
        return False
    return True


def liftable(token: OperationToken, by: HoldKind) -> list[HoldKind]:
    """Return the kinds of its holds that `by` may lift; raise HoldNotAllowed where none is."""
    found = [kind for kind in LIFTS[by] if is_held_by(token, kind)]
    if not found:
        raise HoldNotAllowed("No hold of this kind is set.")
    return found


def record(
    locked: LockedToken, kind: EntryKind, *, by: HoldKind, words: Words, **more: Any
) -> OperationToken:
    """Write the changed row together with the ledger entry of who changed it."""
    token = locked.token
    entry = decision_entry(token, kind, at=locked.at, by=by, words=words, **more)
    write_together(insertion(entry), change(token, STATE_FIELDS))
    return token
