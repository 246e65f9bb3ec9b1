"""Reserve slots of locked operation tokens: every rule of a redemption, for one and for many.

Deciding changes only what is in memory, so that the next request on the same token, in the same
transaction, meets the state after it. One is written in one statement, many are copied in.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings

from accounts.models import ServiceClient
from batchtokens.models import (
    STATE_FIELDS,
    EntryKind,
    LedgerEntry,
    Redemption,
    RedemptionAttempt,
    RedemptionStatus,
    chain_entry,
    instant,
)
from batchtokens.models.locking import LockedToken
from batchtokens.models.writing import (
    change_many,
    insert_all,
    insertion,
    new_row,
    write_together,
)
from batchtokens.services.digests import text_digest
from batchtokens.services.ledger.check_ledger_head import check_ledger_head
from batchtokens.services.redemption.count_use import check_caps, count_uses
from batchtokens.services.redemption.receipts import sign_receipt
from batchtokens.services.redemption.slots import Claim, check_allowed, claim_slot, may_proceed
from batchtokens_verifier.claims import OperationTokenClaims, redemption_id
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import IdempotencyMismatch, OperationTokenNotValid
from batchtokens_verifier.policy import check_operation_copy

ENDPOINT = "redemptions"
RESERVED_FIELDS = (
    "status",
    "attempt",
    "counts_at",
    "reserved_at",
    "lease_expires_at",
    "reference",
    "closing_receipt",
)
_write = json.JSONEncoder(sort_keys=True).encode


@dataclass(frozen=True)
class RedemptionRequest:
    """One request's body.

    `operation` is the copy that came along; `amount` None means "as signed".
    """

    operation_token: str = field(repr=False)
    operation: Mapping[str, Any]
    amount: Amount | None = None
    occurrence: str | None = None

    @cached_property
    def token_digest(self) -> str:
        return text_digest(self.operation_token)

    def digest(self) -> str:
        amount = self.amount.as_json() if self.amount else None
        body = [self.token_digest, self.operation, amount, self.occurrence]
        return text_digest(_write(body))


@dataclass(frozen=True)
class RedemptionAnswer:
    """What the executor is told.

    Only `proceed`, before the lease ends, permits; the receipt proves.
    """

    redemption: Redemption
    attempt: RedemptionAttempt
    proceed: bool
    created: bool
    at: dt.datetime


@dataclass(frozen=True)
class Reservation:
    """What a decision wants written. counts: it takes of the executor's caps."""

    locked: LockedToken
    redemption: Redemption
    attempt: RedemptionAttempt
    entry: LedgerEntry
    created: bool
    counts: bool

    @property
    def answer(self) -> RedemptionAnswer:
        """Return the answer that it becomes when it is written."""
        at = self.locked.at
        return RedemptionAnswer(
            self.redemption, self.attempt, proceed=True, created=self.created, at=at
        )


def repeat_answer(
    locked: LockedToken, attempt: RedemptionAttempt, request: RedemptionRequest
) -> RedemptionAnswer:
    """Answer a key that was answered before, with that attempt's bytes.

    Raises IdempotencyMismatch or LedgerBehind.
    """
    check_ledger_head(locked.sealed_size)
    if attempt.request_digest != request.digest():
        raise IdempotencyMismatch
    redemption = next(r for r in locked.redemptions.values() if r.pk == attempt.redemption_id)
    proceed = may_proceed(locked, redemption, attempt)
    return RedemptionAnswer(redemption, attempt, proceed=proceed, created=False, at=locked.at)


def reserve_slot(
    locked: LockedToken | None,
    claims: OperationTokenClaims,
    *,
    by: ServiceClient,
    request: RedemptionRequest,
    key: str,
) -> Reservation:
    """Decide about a request with a new key, and take the slot in memory.

    Raises a VerificationError or LedgerBehind, with nothing changed.
    """
    # Before anything is refused for good: an older database does not know every token.
    check_ledger_head(locked.sealed_size if locked else 0)
    if locked is None or not _is_issued(locked, by, request):
        raise OperationTokenNotValid
    check_operation_copy(claims, request.operation)
    check_allowed(locked)
    claim = claim_slot(
        locked,
        claims.operation,
        claims.constraints,
        presented=request.amount,
        occurrence=request.occurrence,
    )
    check_caps(locked, claim.amount)
    return _reserve(locked, claim, by=by, request=request, key=key)


def write_reservations(reservations: Sequence[Reservation]) -> None:
    """Store all of one executor's: on PostgreSQL one by one statement, many by copying them.

    Raises IntegrityError where a key was used meanwhile, or a cap of the executor's is passed: then
    nothing is stored. Call it in a transaction.
    """
    new = [r.redemption for r in reservations if r.created]
    again = [r.redemption for r in reservations if not r.created]
    tokens = list({r.locked.token.pk: r.locked.token for r in reservations}.values())
    attempts, entries = [r.attempt for r in reservations], [r.entry for r in reservations]
    changes = [
        # The executor's rows are everybody's: they are locked last, by what PostgreSQL runs last.
        *count_uses([(r.locked, r.redemption) for r in reservations if r.counts]),
        *(change_many(again, RESERVED_FIELDS) if again else []),
        *change_many(tokens, STATE_FIELDS),
    ]
    if len(reservations) == 1:
        added = [insertion(*rows) for rows in (new, attempts, entries) if rows]
        write_together(*changes[:-1], *added, changes[-1])
        return
    insert_all(Redemption, new)
    insert_all(RedemptionAttempt, attempts)
    insert_all(LedgerEntry, entries)
    write_together(*changes)


def _is_issued(locked: LockedToken, by: ServiceClient, request: RedemptionRequest) -> bool:
    return locked.token.bears(request.token_digest) and locked.token.executor_id == by.pk


def _reserve(
    locked: LockedToken, claim: Claim, *, by: ServiceClient, request: RedemptionRequest, key: str
) -> Reservation:
    token = locked.token
    counts = claim.former is None or claim.former.status == RedemptionStatus.RELEASED
    redemption = _take(locked, claim, counts=counts)
    entry = chain_entry(
        token,
        EntryKind.RESERVED,
        at=locked.at,
        data={
            "amount": claim.amount.as_json(),
            "attempt": redemption.attempt,
            "client": by.client_id,
            "counts_at": instant(redemption.counts_at),
            "redemption": redemption.pk,
            "slot": redemption.slot,
        },
    )
    attempt = new_row(
        RedemptionAttempt,
        related={"redemption": redemption, "client": by},
        endpoint=ENDPOINT,
        idempotency_key=key,
        request_digest=request.digest(),
        attempt=redemption.attempt,
        at=token.last_at,
        lease_expires_at=redemption.lease_expires_at,
        remaining=claim.remaining.as_json(),
        receipt=sign_receipt(redemption, entry, audience=by.client_id),
    )
    created = claim.former is None
    return Reservation(locked, redemption, attempt, entry, created=created, counts=counts)


def _take(locked: LockedToken, claim: Claim, *, counts: bool) -> Redemption:
    """Return the slot's row under a new lease. A slot in doubt is counted already."""
    token, at = locked.token, locked.at
    lease = at + settings.REDEMPTION_LEASE
    if counts:
        token.taken_count += 1
        token.taken_minor += claim.amount.minor
    if claim.former is None:
        new = locked.redemptions[claim.slot] = new_row(
            Redemption,
            related={"operation_token": token},
            id=redemption_id(token.token_hash, claim.slot),
            slot=claim.slot,
            status=RedemptionStatus.RESERVED,
            amount_minor=claim.amount.minor,
            currency=claim.amount.currency,
            counts_at=claim.counts_at,
            reserved_at=at,
            lease_expires_at=lease,
        )
        return new
    former = claim.former
    former.status, former.attempt = RedemptionStatus.RESERVED, former.attempt + 1
    former.counts_at, former.reserved_at, former.lease_expires_at = claim.counts_at, at, lease
    former.reference = former.closing_receipt = ""  # of a release: the slot is open again
    return former
