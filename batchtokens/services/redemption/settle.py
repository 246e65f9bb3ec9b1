"""Settle or release a redemption: record what the executor did.

Both exclude each other for ever.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import transaction

from accounts.models import ServiceClient
from batchtokens.errors import RedemptionNotFound, ReleaseLimitReached
from batchtokens.models import (
    MAX_RELEASES,
    STATE_FIELDS,
    TRANSITIONS,
    EntryKind,
    Redemption,
    RedemptionStatus,
    chain_entry,
)
from batchtokens.models.locking import LockedToken, lock_operation_token
from batchtokens.models.writing import change, insertion, write_together
from batchtokens.services.ledger.check_ledger_head import check_ledger_head
from batchtokens.services.redemption.receipts import sign_receipt
from batchtokens_verifier.errors import IdempotencyMismatch, LeaseLost

SETTLED_FIELDS = ("status", "settled_at", "reference", "closing_receipt")
RELEASED_FIELDS = ("status", "releases", "reference", "closing_receipt")


@dataclass(frozen=True)
class Closing:
    """What the executor reports of one attempt.

    `note`: its reference, or the reason of a release.
    """

    redemption_id: str
    attempt: int
    note: str = ""


def settle_redemption(
    *, by: ServiceClient, closing: Closing, now: dt.datetime | None = None
) -> Redemption:
    """Record that the effect happened. Accepted after lease end, cancel and exp: it is a fact.

    The same call again gets the same receipt. Raises LeaseLost for an older attempt or a released
    slot.
    """
    with transaction.atomic(durable=True):
        locked, redemption = _lock(by, closing, now)
        if redemption.status == RedemptionStatus.SETTLED:
            return _repeat(redemption, closing)
        _check_transition(redemption, RedemptionStatus.SETTLED, locked.at)
        locked.token.settled_count += 1
        redemption.settled_at = locked.at
        redemption.reference = closing.note
        return _close(locked, redemption, EntryKind.SETTLED, by=by, note=closing.note)


def release_redemption(
    *, by: ServiceClient, closing: Closing, now: dt.datetime | None = None
) -> Redemption:
    """Give the slot back: nothing happened and nothing will under this attempt.

    At most three times a slot.
    """
    with transaction.atomic(durable=True):
        locked, redemption = _lock(by, closing, now)
        if redemption.status == RedemptionStatus.RELEASED:
            return _repeat(redemption, closing)
        _check_transition(redemption, RedemptionStatus.RELEASED, locked.at)
        if redemption.releases >= MAX_RELEASES:
            raise ReleaseLimitReached
        redemption.releases += 1
        redemption.reference = closing.note
        locked.token.taken_count -= 1
        locked.token.taken_minor -= redemption.amount_minor
        return _close(locked, redemption, EntryKind.RELEASED, by=by, note=closing.note)


def _lock(
    by: ServiceClient, closing: Closing, now: dt.datetime | None
) -> tuple[LockedToken, Redemption]:
    """Lock the redemption's token; another client's redemption is not found (I10)."""
    token_id = (
        Redemption.objects.filter(pk=closing.redemption_id, operation_token__executor=by)
        .values_list("operation_token_id", flat=True)
        .first()
    )
    locked = lock_operation_token(pk=token_id, now=now) if token_id else None
    # Before anything is refused for good: an older database may lack the redemption, or its end.
    check_ledger_head(locked.sealed_size if locked else 0)
    if locked is None:
        raise RedemptionNotFound
    redemption = Redemption.objects.get(pk=closing.redemption_id)
    redemption.operation_token = locked.token
    if redemption.attempt != closing.attempt:
        raise LeaseLost(f"Attempt {redemption.attempt} holds the slot.")
    return locked, redemption


def _check_transition(redemption: Redemption, new: RedemptionStatus, at: dt.datetime) -> None:
    if new not in TRANSITIONS[redemption.status_at(at)]:
        raise LeaseLost(f"The redemption is {redemption.status}.")


def _repeat(redemption: Redemption, closing: Closing) -> Redemption:
    if redemption.reference != closing.note:
        raise IdempotencyMismatch
    return redemption


def _close(
    locked: LockedToken, redemption: Redemption, kind: EntryKind, *, by: ServiceClient, note: str
) -> Redemption:
    redemption.status = RedemptionStatus(kind.value)
    entry = chain_entry(
        locked.token,
        kind,
        at=locked.at,
        data={
            "attempt": redemption.attempt,
            "client": by.client_id,
            "redemption": redemption.pk,
            "slot": redemption.slot,
        },
        note=note,
    )
    redemption.closing_receipt = sign_receipt(redemption, entry, audience=by.client_id)
    fields = SETTLED_FIELDS if kind == EntryKind.SETTLED else RELEASED_FIELDS
    write_together(change(redemption, fields), insertion(entry), change(locked.token, STATE_FIELDS))
    return redemption
