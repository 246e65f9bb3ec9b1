"""Redeem an operation token for one slot: at most once, however often asked.

Three statements on PostgreSQL: the caller's authentication, one that locks and reads, one that
writes all.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.errors import IdempotencyKeyMissing
from accounts.models import ServiceClient
from accounts.tokens.keyring import current_key_ring
from batchtokens.models import RedemptionAttempt
from batchtokens.models.locking import LockedToken, lock_operation_token
from batchtokens.services.redemption.count_use import passed_cap
from batchtokens.services.redemption.record_refusal import record_refusal
from batchtokens.services.redemption.reserve import (
    ENDPOINT,
    RedemptionAnswer,
    RedemptionRequest,
    repeat_answer,
    reserve_slot,
    write_reservations,
)
from batchtokens.services.redemption.stop_executor import trip_breaker
from batchtokens_verifier.claims import OperationTokenClaims
from batchtokens_verifier.errors import (
    ExecutorStopped,
    IdempotencyMismatch,
    VerificationError,
)
from batchtokens_verifier.jws import unverified_kid
from batchtokens_verifier.policy import authenticate_operation_token

__all__ = ["RedemptionAnswer", "RedemptionRequest", "redeem_operation_token"]

KEY_ONCE = "redemption_attempt_key_once"
Verified = OperationTokenClaims | VerificationError


def redeem_operation_token(
    *,
    by: ServiceClient,
    request: RedemptionRequest,
    idempotency_key: str,
    now: dt.datetime | None = None,
) -> RedemptionAnswer:
    """Reserve the earliest open slot, or the named one, and store the signed receipt with it.

    Raises a VerificationError; each refusal is recorded once. One redemption more than a cap of the
    executor's stops it.
    """
    if not 1 <= len(idempotency_key) <= 255:
        raise IdempotencyKeyMissing
    verified = verify_request(by, request)
    try:
        return _redeem_or_stop(by, request, verified, idempotency_key, now)
    except VerificationError as refusal:
        record_refusal(refusal, by=by, correlation=idempotency_key)
        raise


def verify_request(by: ServiceClient, request: RedemptionRequest) -> Verified:
    """Return the token's claims, or why it is not a genuine one for this executor."""
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


def _redeem_or_stop(
    by: ServiceClient,
    request: RedemptionRequest,
    verified: Verified,
    key: str,
    now: dt.datetime | None,
) -> RedemptionAnswer:
    try:
        with transaction.atomic(durable=True):
            return _redeem(by, request, verified, key, now)
    except IntegrityError as error:
        if cap := passed_cap(error):
            trip_breaker(executor=by, cap=cap, now=now)
            raise ExecutorStopped from error
        # Two tokens under one key at the same time: under two locks, they met at the constraint.
        # PostgreSQL tells its name, SQLite its columns; "key" alone stands in every duplicate's.
        if not any(name in str(error) for name in (KEY_ONCE, "idempotency_key")):
            raise
        raise IdempotencyMismatch from error


def _redeem(
    by: ServiceClient,
    request: RedemptionRequest,
    verified: Verified,
    key: str,
    now: dt.datetime | None,
) -> RedemptionAnswer:
    locked = _lock(by, verified, key, now)
    if locked is not None and locked.attempt is not None:
        return repeat_answer(locked, locked.attempt, request)
    if isinstance(verified, VerificationError):
        raise verified
    reservation = reserve_slot(locked, verified, by=by, request=request, key=key)
    write_reservations([reservation])
    return reservation.answer


def _lock(
    by: ServiceClient,
    verified: Verified,
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
