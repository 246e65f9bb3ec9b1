"""Lower the limits of a live operation: at once, for good, and without a new consent.

A raise needs a new consent, hence a new operation. A limit may go below what is already taken:
then nothing more runs.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from batchtokens.errors import LimitNotLower
from batchtokens.models import EntryKind, HoldKind, OperationToken
from batchtokens.services.mandates.hold import lock_live, record
from batchtokens.services.mandates.limits import effective_limits, signed_limits
from batchtokens.services.mandates.words import UNSAID, Words
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import InvalidConstraints


@dataclass(frozen=True)
class Limits:
    """New limits; None leaves one as it is."""

    max_individual_amount: Amount | None = None
    max_total: Amount | None = None
    max_occurrences: int | None = None


def lower_limits(
    *,
    operation_id: uuid.UUID,
    limits: Limits,
    words: Words = UNSAID,
    now: dt.datetime | None = None,
) -> OperationToken:
    """Lower what is named, for the person whose operation it is; the same again changes nothing.

    Raises LimitNotLower for anything above what binds now, InvalidConstraints for another
    currency, OperationFinal.
    """
    with transaction.atomic(durable=True):
        locked = lock_live(operation_id, now)
        token = locked.token
        wanted = _lowered(token, limits)
        if wanted == {name: token.lowered.get(name) for name in wanted}:
            return token
        token.lowered = {**token.lowered, **wanted}
        return record(locked, EntryKind.LOWERED, by=HoldKind.USER, words=words)


def _lowered(token: OperationToken, limits: Limits) -> dict[str, Any]:
    """Return the members that change, as they are signed elsewhere."""
    current = effective_limits(signed_limits(token), token.lowered)
    changed: dict[str, Any] = {}
    # Without a cap the fixed amount is what a run moves at most.
    fixed = Amount(token.amount_minor, token.currency) if token.amount_minor else None
    amounts = {
        "max_individual_amount": current.max_individual_amount or fixed,
        "max_total": current.max_total,
    }
    for name, now in amounts.items():
        amount: Amount | None = getattr(limits, name)
        if amount is not None and _is_lower(amount, now, token.currency, f"/{name}"):
            changed[name] = amount.as_json()
    count, most = limits.max_occurrences, current.max_occurrences or token.max_occurrences
    if count is not None and count > most:
        raise LimitNotLower(pointer="/max_occurrences")
    return changed | ({"max_occurrences": count} if count is not None and count < most else {})


def _is_lower(amount: Amount, current: Amount | None, currency: str, pointer: str) -> bool:
    """Say whether it lowers; the limit that binds already does not. Raises LimitNotLower."""
    if amount.currency != currency:
        raise InvalidConstraints("A token has one currency.", pointer=f"{pointer}/currency")
    if current is not None and amount.minor > current.minor:
        raise LimitNotLower(pointer=pointer)
    return current is None or amount.minor < current.minor
