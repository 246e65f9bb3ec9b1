"""Tell a trigger or an executor whether its operation token is active (RFC 7662).

One statement.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import Q

from accounts.models import ServiceClient
from accounts.tokens.backend import verify_token
from batchtokens.models import OperationToken, PublishedStatus, published_status
from batchtokens.models.clock import DatabaseClock
from batchtokens.services.digests import text_digest
from batchtokens_verifier.claims import parse_operation_token
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.jws import Purpose

INACTIVE: dict[str, Any] = {"active": False}


def introspect_operation_token(*, by: ServiceClient, token: str) -> dict[str, Any]:
    """Return the token's claims with `active` and `consumption`, or just `{"active": False}`.

    Held, cancelled, completed, expired, unknown and somebody else's all look the same.
    """
    try:
        payload = verify_token(token, purpose=Purpose.OPERATION)
        claims = parse_operation_token(payload, allow_secondly=settings.ALLOW_SECONDLY_SCHEDULES)
    except VerificationError:
        return INACTIVE
    row = (
        OperationToken.objects.annotate(clock=DatabaseClock(), published=published_status())
        .filter(Q(executor=by) | Q(client=by), token_hash=claims.token_hash)
        .first()
    )
    if row is None or not _is_active(row, token):
        return INACTIVE
    return {**payload, "active": True, "token_type": "Bearer", "consumption": consumption(row)}


def _is_active(row: Any, token: str) -> bool:
    published = row.published == PublishedStatus.VALID and row.clock < row.valid_to
    return bool(published) and row.jws_digest == text_digest(token)


def consumption(row: OperationToken) -> dict[str, Any]:
    """Return how much is used: counts of slots, the sum in minor units.

    occurrences: how many slots there may be used at most, as lowered.
    """
    return {
        "redeemed": row.taken_count,
        "settled": row.settled_count,
        "occurrences": row.most_runs,
        "amount_minor": str(row.taken_minor),
        "currency": row.currency,
    }
