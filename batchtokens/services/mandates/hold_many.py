"""Hold or resume many operations alike, as `hold.py` does one: those that cannot are left."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

from batchtokens.models import EntryKind, HoldKind, OperationToken
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens.services.mandates.change_operations import Change, change_operations_in_batches
from batchtokens.services.mandates.hold import LIFTS, add_hold, can_change, is_held_by
from batchtokens.services.mandates.words import UNSAID, Words


def hold_operations(
    among: OperationTokenQuerySet,
    *,
    by: HoldKind,
    words: Words = UNSAID,
    now: dt.datetime | None = None,
) -> Iterator[int]:
    """Hold all of `among` that live and are not held so; a transaction for each thousand.

    Yields how many. Interrupted, what was done stays done; the same call again does the rest.
    """

    def hold(token: OperationToken, at: dt.datetime) -> bool:
        return can_change(token, at) and add_hold(token, by)

    change = Change(kind=EntryKind.HELD, by=by, words=words, apply=hold, leave_broken=True)
    return change_operations_in_batches(among, change=change, now=now)


def resume_operations(
    among: OperationTokenQuerySet,
    *,
    by: HoldKind,
    words: Words = UNSAID,
    now: dt.datetime | None = None,
) -> Iterator[int]:
    """Lift what `by` may lift of all of `among` that live; a transaction for each thousand.

    Not for the hold of a person: they are asked one by one. Yields how many. Interrupted, what was
    done stays done; the same call again does the rest.
    """
    if by == HoldKind.USER:
        raise ValueError("a person resumes their operations one by one")
    lifted: dict[uuid.UUID, list[str]] = {}

    def resume(token: OperationToken, at: dt.datetime) -> bool:
        kinds = sorted(kind.value for kind in LIFTS[by] if is_held_by(token, kind))
        if not kinds or not can_change(token, at):
            return False
        token.holds = [kind for kind in token.holds if kind not in kinds]
        lifted[token.pk] = kinds
        return True

    def told(token: OperationToken) -> dict[str, Any]:
        return {"lifted": lifted.pop(token.pk)}

    change = Change(
        kind=EntryKind.RESUMED,
        by=by,
        words=words,
        apply=resume,
        data_of=told,
        leave_broken=True,
    )
    return change_operations_in_batches(among, change=change, now=now)
