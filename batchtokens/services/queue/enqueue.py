"""Put an operation token into the built-in queue: one sealed row per due run."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.crypto import seal
from accounts.models import FIRST_PARTY, ServiceClient
from accounts.scopes import TOKEN_EXCHANGE
from accounts.tokens.backend import verify_token
from batchtokens.errors import TriggerNotAllowed
from batchtokens.models import OperationToken, QueuedRun, Status
from batchtokens.models.clock import database_now
from batchtokens.services.digests import text_digest
from batchtokens_verifier.claims import OperationTokenClaims, parse_operation_token
from batchtokens_verifier.constraints import Constraints, plan_slots
from batchtokens_verifier.errors import (
    OperationHeld,
    OperationRevoked,
    OperationTokenNotValid,
    OutsideValidity,
    VerificationError,
)
from batchtokens_verifier.jws import Purpose
from batchtokens_verifier.policy import check_operation_copy

BATCH = 500


def enqueue_operation_token(
    *, by: ServiceClient, token: str, operation: Mapping[str, Any]
) -> tuple[OperationToken, int]:
    """Queue every run that is still ahead; the same token again adds nothing.

    Returns the row and how many runs were added.
    Raises OperationTokenNotValid unless `token` is exactly what was issued to this trigger.
    """
    if TOKEN_EXCHANGE not in by.granted_scopes:
        raise TriggerNotAllowed("The client lacks the scope token_exchange.")
    claims = _verify(by, token)
    check_operation_copy(claims, operation)
    with transaction.atomic(durable=True):
        # Under the row's lock, or a cancel in between would leave its runs waiting.
        rows = OperationToken.objects.select_for_update(no_key=True)
        row = rows.filter(token_hash=claims.token_hash, client=by).first()
        if row is None or not row.bears(text_digest(token)):
            raise OperationTokenNotValid
        at = database_now()
        _check_status(row.status_at(at))
        return row, enqueue_runs(row, token, at=at, limits=claims.constraints)


def _verify(by: ServiceClient, token: str) -> OperationTokenClaims:
    """Verify as issued by us to this trigger, for whatever executor."""
    try:
        payload = verify_token(token, purpose=Purpose.OPERATION)
        claims = parse_operation_token(payload, allow_secondly=settings.ALLOW_SECONDLY_SCHEDULES)
    except VerificationError as error:
        raise OperationTokenNotValid from error
    if claims.iss != settings.ISSUER_URL or claims.client_id != by.client_id:
        raise OperationTokenNotValid
    if claims.client_id == FIRST_PARTY:
        raise OperationTokenNotValid
    return claims


def _check_status(status: Status) -> None:
    if status == Status.HELD:
        raise OperationHeld
    if status == Status.CANCELLED:
        raise OperationRevoked
    if status != Status.ACTIVE:
        raise OutsideValidity


def enqueue_runs(row: OperationToken, token: str, *, at: dt.datetime, limits: Constraints) -> int:
    """Store the runs whose window has not closed; call it in a transaction.

    Returns how many were new.
    """
    before = row.queued_runs.count()
    runs = queued_runs(row, token, at=at, limits=limits)
    QueuedRun.objects.bulk_create(runs, batch_size=BATCH, ignore_conflicts=True)
    return row.queued_runs.count() - before


def queued_runs(
    row: OperationToken, token: str, *, at: dt.datetime, limits: Constraints
) -> Iterator[QueuedRun]:
    """Yield the unsaved runs whose window has not closed."""
    plain = job_of(row, token)
    for occurrence, due_at, closes_at in _due_times(limits):
        if closes_at <= at:
            continue
        yield QueuedRun(
            operation_token=row,
            occurrence=occurrence,
            sealed=seal(plain, context=seal_context(row.public_id, occurrence)),
            due_at=due_at,
            closes_at=closes_at,
            next_attempt_at=due_at,
            created_at=at,
        )


def job_of(row: OperationToken, token: str) -> bytes:
    """Return what each run carries, unsealed."""
    body = {"operation_token": token, "operation": json.loads(row.operation)}
    return json.dumps(body).encode()


def _due_times(limits: Constraints) -> Iterator[tuple[str, dt.datetime, dt.datetime]]:
    """Yield (occurrence, due, closes); without a schedule there is one run, in the first slot."""
    slots = plan_slots(limits).slots
    for slot in slots if limits.schedule else slots[:1]:
        yield slot.name, slot.opens_at, slot.closes_at


def seal_context(operation_id: str, occurrence: str) -> str:
    """Return the associated data that ties sealed bytes to one run."""
    return f"queue:{operation_id}:{occurrence}"
