"""Redeem many operation tokens in one call; each line is decided as if it had come alone.

A chunk is one transaction: its rows are locked by one statement, decided in the lines' order, and
copied in. A chunk that cannot be written as a whole is redeemed line by line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import DatabaseError, IntegrityError, transaction

from accounts.models import ServiceClient
from batchtokens.errors import AuthorityBusy, LedgerBroken
from batchtokens.models import RedemptionAttempt
from batchtokens.models.locking import LockedToken, lock_operation_tokens
from batchtokens.services.redemption.record_refusal import record_refusals
from batchtokens.services.redemption.redeem import Verified, redeem_operation_token, verify_request
from batchtokens.services.redemption.reserve import (
    ENDPOINT,
    RedemptionAnswer,
    RedemptionRequest,
    Reservation,
    repeat_answer,
    reserve_slot,
    write_reservations,
)
from batchtokens_verifier.errors import IdempotencyMismatch, ProblemError, VerificationError

CHUNK = 500


@dataclass(frozen=True)
class Line:
    """One redemption to ask for, with the key that a retry of it repeats."""

    idempotency_key: str
    request: RedemptionRequest


Outcome = RedemptionAnswer | ProblemError | DatabaseError


def redeem_batch(*, by: ServiceClient, lines: Sequence[Line]) -> list[Outcome]:
    """Return each line's answer, or what it was refused with; one line never spoils another.

    A DatabaseError says that nobody knows: the same line again gets its answer.
    """
    chunks = (lines[start : start + CHUNK] for start in range(0, len(lines), CHUNK))
    return [outcome for chunk in chunks for outcome in _redeem_chunk(by, chunk)]


def _redeem_chunk(by: ServiceClient, lines: Sequence[Line]) -> list[Outcome]:
    verified = [verify_request(by, line.request) for line in lines]
    try:
        with transaction.atomic(durable=True):
            decisions = _decide(by, lines, verified)
            if reserved := [each for each in decisions if isinstance(each, Reservation)]:
                write_reservations(reserved)
    except (IntegrityError, AuthorityBusy):
        # A key used meanwhile, a cap reached within the chunk, a row that somebody holds.
        return [_redeem_alone(by, line) for line in lines]
    except DatabaseError as error:
        return [error] * len(lines)
    refusals = {
        line.idempotency_key: each
        for line, each in zip(lines, decisions, strict=True)
        if isinstance(each, VerificationError)
    }
    record_refusals(refusals, by=by)
    return [
        _redeem_alone(by, line) if each is None else _outcome(each)
        for line, each in zip(lines, decisions, strict=True)
    ]


def _outcome(decision: Reservation | Outcome) -> Outcome:
    return decision.answer if isinstance(decision, Reservation) else decision


def _redeem_alone(by: ServiceClient, line: Line) -> Outcome:
    try:
        return redeem_operation_token(
            by=by, request=line.request, idempotency_key=line.idempotency_key
        )
    except (ProblemError, DatabaseError) as error:
        return error


def _decide(
    by: ServiceClient, lines: Sequence[Line], verified: Sequence[Verified]
) -> list[Reservation | Outcome | None]:
    """Decide about all lines under their tokens' locks; None: it must be answered alone."""
    genuine = (each for each in verified if not isinstance(each, VerificationError))
    locked = lock_operation_tokens(token_hashes=[each.token_hash for each in genuine])
    # Read after the locks are held: who held them may have answered these keys.
    keys = {line.idempotency_key for line in lines}
    answered = RedemptionAttempt.objects.filter(
        client=by, endpoint=ENDPOINT, idempotency_key__among=keys
    )
    attempts = {attempt.idempotency_key: attempt for attempt in answered}
    decisions: list[Reservation | Outcome | None] = []
    for line, claims in zip(lines, verified, strict=True):
        try:
            decision = _decide_line(by, line, claims, locked, attempts)
        except ProblemError as refusal:
            decisions.append(refusal)
            continue
        if isinstance(decision, Reservation):
            attempts[line.idempotency_key] = decision.attempt
        decisions.append(decision)
    return decisions


def _decide_line(
    by: ServiceClient,
    line: Line,
    claims: Verified,
    locked: Mapping[str, LockedToken | LedgerBroken],
    attempts: Mapping[str, RedemptionAttempt],
) -> Reservation | RedemptionAnswer | None:
    attempt = attempts.get(line.idempotency_key)
    if isinstance(claims, VerificationError):
        if attempt is None:
            raise claims
        # What was answered once is answered again, whatever became of the token's key.
        return None
    found = locked.get(claims.token_hash)
    if isinstance(found, LedgerBroken):
        raise found
    if attempt is None:
        return reserve_slot(found, claims, by=by, request=line.request, key=line.idempotency_key)
    if found is None:
        raise IdempotencyMismatch
    return repeat_answer(found, attempt, line.request)
