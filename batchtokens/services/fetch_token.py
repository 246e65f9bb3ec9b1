"""Hand a token that was signed anew to the trigger that the first one was issued to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from django.db import transaction

from accounts.crypto import open_sealed
from accounts.ids import parse_public_id
from accounts.models import ServiceClient
from accounts.services.record_event import record_event
from batchtokens.errors import NoNewToken, OperationFinal, OperationNotFound
from batchtokens.models import EntryKind, OperationToken, Status
from batchtokens.models.clock import database_now

KEPT_FOR_RETRIES = dt.timedelta(hours=24)
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
        _check(row, at)
        if row.sealed_until == row.valid_to:  # nobody has fetched it yet
            row.sealed_until = min(row.valid_to, at + KEPT_FOR_RETRIES)
            row.save(update_fields=["sealed_until"])
            record_event(
                code="reissued_token_fetched", client=by, data={"operation": row.public_id}
            )
        return _opened(row)


def _check(row: OperationToken, at: dt.datetime) -> None:
    if row.status_at(at) not in _LIVE:
        raise OperationFinal
    waits = row.sealed_token is not None and row.sealed_until is not None and at < row.sealed_until
    if not waits or not row.ledger_entries.filter(kind=EntryKind.REISSUED).exists():
        raise NoNewToken


def _opened(row: OperationToken) -> Fetched:
    if row.sealed_token is None or row.sealed_until is None:
        raise NoNewToken
    token = open_sealed(row.sealed_token, context=f"issued:{row.public_id}").decode()
    return Fetched(row.public_id, token, row.sealed_until)
