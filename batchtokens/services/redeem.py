"""Redeem an operation token for one slot: at most once, however often asked (DESIGN §5.4).

Three statements on PostgreSQL: the caller's authentication, one that locks and reads, one that
writes all.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.errors import IdempotencyKeyMissing
from accounts.models import ServiceClient
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import (
    STATE_FIELDS,
    EntryKind,
    Redemption,
    RedemptionAttempt,
    RedemptionStatus,
    chain_entry,
    instant,
)
from batchtokens.models.locking import LockedToken, lock_operation_token
from batchtokens.models.writing import change, insertion, write_together
from batchtokens.services.digests import text_digest
from batchtokens.services.receipts import sign_receipt
from batchtokens.services.record_refusal import record_refusal
from batchtokens.services.slots import Claim, check_allowed, claim_slot, may_proceed
from batchtokens_verifier.claims import OperationTokenClaims, redemption_id
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import (
    IdempotencyMismatch,
    OperationTokenNotValid,
    VerificationError,
)
from batchtokens_verifier.jws import unverified_kid
from batchtokens_verifier.policy import authenticate_operation_token, check_operation_copy

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


@dataclass(frozen=True)
class RedemptionRequest:
    """One request's body.

    `operation` is the copy that came along; `amount` None means "as signed".
    """

    operation_token: str = field(repr=False)
    operation: Mapping[str, Any]
    amount: Amount | None = None
    occurrence: str | None = None

    def digest(self) -> str:
        amount = self.amount.as_json() if self.amount else None
        body = [text_digest(self.operation_token), self.operation, amount, self.occurrence]
        return text_digest(json.dumps(body, sort_keys=True))


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


def redeem_operation_token(
    *,
    by: ServiceClient,
    request: RedemptionRequest,
    idempotency_key: str,
    now: dt.datetime | None = None,
) -> RedemptionAnswer:
    """Reserve the earliest open slot, or the named one, and store the signed receipt with it.

    Raises a VerificationError of DESIGN §5.6; each refusal is recorded once.
    """
    if not 1 <= len(idempotency_key) <= 255:
        raise IdempotencyKeyMissing
    verified = _verify(by, request)
    try:
        with transaction.atomic(durable=True):
            return _redeem(by, request, verified, idempotency_key, now)
    except IntegrityError as error:
        # Two tokens under one key at the same time: under two locks, they met at the constraint.
        if "key" not in str(error):
            raise
        raise IdempotencyMismatch from error
    except VerificationError as refusal:
        record_refusal(refusal, by=by, correlation=idempotency_key)
        raise


def _verify(
    by: ServiceClient, request: RedemptionRequest
) -> OperationTokenClaims | VerificationError:
    kid = unverified_kid(request.operation_token)
    try:
        return authenticate_operation_token(
            request.operation_token,
            keys=current_key_ring(wanted=kid or "").verification_keys(),
            issuer=settings.ISSUER_URL,
            audience=by.audience or "",
            now=None,
            allow_secondly=settings.ALLOW_SECONDLY_SCHEDULES,
        )
    except VerificationError as error:
        return error


def _redeem(
    by: ServiceClient,
    request: RedemptionRequest,
    verified: OperationTokenClaims | VerificationError,
    key: str,
    now: dt.datetime | None,
) -> RedemptionAnswer:
    locked = _lock(by, verified, key, now)
    if locked is not None and locked.attempt is not None:
        return _repeat(locked, locked.attempt, request)
    if isinstance(verified, VerificationError):
        raise verified
    if locked is None or not _is_issued(locked, by, request):
        raise OperationTokenNotValid
    check_operation_copy(verified, request.operation)
    check_allowed(locked)
    claim = claim_slot(locked, verified, presented=request.amount, occurrence=request.occurrence)
    return _reserve(locked, claim, by=by, request=request, key=key)


def _lock(
    by: ServiceClient,
    verified: OperationTokenClaims | VerificationError,
    key: str,
    now: dt.datetime | None,
) -> LockedToken | None:
    """Lock the token's row, or where the token tells nothing that of an earlier answer."""
    if not isinstance(verified, VerificationError):
        return lock_operation_token(
            token_hash=verified.token_hash, attempt_of=by, idempotency_key=key, now=now
        )
    earlier = RedemptionAttempt.objects.filter(
        client=by, endpoint=ENDPOINT, idempotency_key=key
    ).values_list("redemption__operation_token_id", flat=True)
    pk = earlier.first()
    if pk is None:
        return None
    return lock_operation_token(pk=pk, attempt_of=by, idempotency_key=key, now=now)


def _repeat(
    locked: LockedToken, attempt: RedemptionAttempt, request: RedemptionRequest
) -> RedemptionAnswer:
    if attempt.request_digest != request.digest():
        raise IdempotencyMismatch
    redemption = next(r for r in locked.redemptions.values() if r.pk == attempt.redemption_id)
    proceed = may_proceed(locked, redemption, attempt)
    return RedemptionAnswer(redemption, attempt, proceed=proceed, created=False, at=locked.at)


def _is_issued(locked: LockedToken, by: ServiceClient, request: RedemptionRequest) -> bool:
    presented = text_digest(request.operation_token)
    return presented == locked.token.jws_digest and locked.token.executor_id == by.pk


def _reserve(
    locked: LockedToken, claim: Claim, *, by: ServiceClient, request: RedemptionRequest, key: str
) -> RedemptionAnswer:
    token, at = locked.token, locked.at
    redemption, created = _take(locked, claim)
    entry = chain_entry(
        token,
        EntryKind.RESERVED,
        at=at,
        data={
            "amount": claim.amount.as_json(),
            "attempt": redemption.attempt,
            "client": by.client_id,
            "counts_at": instant(redemption.counts_at),
            "redemption": redemption.pk,
            "slot": redemption.slot,
        },
    )
    attempt = RedemptionAttempt(
        redemption=redemption,
        client=by,
        endpoint=ENDPOINT,
        idempotency_key=key,
        request_digest=request.digest(),
        attempt=redemption.attempt,
        at=token.last_at,
        lease_expires_at=redemption.lease_expires_at,
        remaining=claim.remaining.as_json(),
        receipt=sign_receipt(redemption, entry, audience=by.client_id),
    )
    stored = insertion(redemption) if created else change(redemption, RESERVED_FIELDS)
    write_together(stored, insertion(attempt), insertion(entry), change(token, STATE_FIELDS))
    return RedemptionAnswer(redemption, attempt, proceed=True, created=created, at=at)


def _take(locked: LockedToken, claim: Claim) -> tuple[Redemption, bool]:
    """Return the slot's row under a new lease, and whether it is new.

    A slot in doubt is counted already.
    """
    token, at = locked.token, locked.at
    lease = at + settings.REDEMPTION_LEASE
    former = claim.former
    if former is None or former.status == RedemptionStatus.RELEASED:
        token.taken_count += 1
        token.taken_minor += claim.amount.minor
    if former is None:
        new = Redemption(
            id=redemption_id(token.token_hash, claim.slot),
            operation_token=token,
            slot=claim.slot,
            status=RedemptionStatus.RESERVED,
            amount_minor=claim.amount.minor,
            currency=claim.amount.currency,
            counts_at=claim.counts_at,
            reserved_at=at,
            lease_expires_at=lease,
        )
        return new, True
    former.status, former.attempt = RedemptionStatus.RESERVED, former.attempt + 1
    former.counts_at, former.reserved_at, former.lease_expires_at = claim.counts_at, at, lease
    former.reference = former.closing_receipt = ""  # of a release: the slot is open again
    return former, False
