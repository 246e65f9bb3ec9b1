"""Hand a token that was signed anew to the trigger that the first one was issued to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from django.db import transaction

from accounts.ids import parse_public_id
from accounts.models import ServiceClient
from accounts.services.record_event import record_event
from batchtokens.errors import NoNewToken, OperationFinal, OperationNotFound
from batchtokens.models import EntryKind, OperationToken, Status
from batchtokens.models.clock import database_now
from batchtokens.services.issuing.kept_tokens import KEPT_FOR_RETRIES, kept_token

_LIVE = frozenset({Status.ACTIVE, Status.HELD})


@dataclass(frozen=True)
class Fetched:
    """A token for its trigger, until when it can be fetched again."""

    operation_id: str
    operation_token: str = field(repr=False)
    available_until: dt.datetime


def fetch_reissued_token(
    *, by: ServiceClient, public_id: str, now: dt.datetime | None = None
) -> Fetched:
    """Return the newest token; it waits until it is fetched, then for a day of retries.

    Raises OperationNotFound for somebody else's, OperationFinal, NoNewToken.
    """
    with transaction.atomic(durable=True):
        rows = OperationToken.objects.select_for_update(no_key=True)
        row = rows.filter(pk=parse_public_id(public_id, "op"), client=by).first()
        if row is None:
            raise OperationNotFound
        at = now or database_now()
        token = _waiting_token(row, at)
        until = min(row.valid_to, at + KEPT_FOR_RETRIES)
        if row.sealed_until == row.valid_to:  # nobody has fetched it yet
            row.sealed_until = until
            row.save(update_fields=["sealed_until"])
            record_event(
                code="reissued_token_fetched", client=by, data={"operation": row.public_id}
            )
        return Fetched(row.public_id, token, row.sealed_until or until)


def _waiting_token(row: OperationToken, at: dt.datetime) -> str:
    """Return what was signed anew; the copy of a first token is for retries of its exchange."""
    if row.status_at(at) not in _LIVE:
        raise OperationFinal
    token = kept_token(row, at=at)
    if token is None or not row.ledger_entries.filter(kind=EntryKind.REISSUED).exists():
        raise NoNewToken
    return token
