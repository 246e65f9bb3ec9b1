"""Disown what a compromised key has signed: the signatures count no more, the mandates wait.

Whoever has the key can sign anything; that an operation was asked for is in our rows and in the
ledger, so its mandate is not cancelled (docs/adr/0029): `reissue` signs it anew.
"""

from __future__ import annotations

import datetime as dt

from accounts.models import SigningKey
from batchtokens.models import EntryKind, HoldKind, LedgerEntry, OperationToken
from batchtokens.models.clock import DatabaseClock
from batchtokens.models.operation_tokens import OperationTokenQuerySet
from batchtokens.services.mandates.change_operations import (
    Change,
    change_operations,
    change_operations_in_batches,
)
from batchtokens.services.mandates.hold import add_hold
from batchtokens.services.mandates.words import Words


def disownable(*, kid: str) -> OperationTokenQuerySet:
    """Return the live operations whose token this key has signed."""
    signed = OperationToken.objects.filter(kid=kid, disowned_at=None)
    return signed.live(DatabaseClock())


def disown_in_transaction(*, kid: str, now: dt.datetime | None = None) -> int:
    """Disown all at once, in the transaction that finds the key compromised."""
    return len(change_operations(disownable(kid=kid), change=_disowning(kid, ""), now=now))


def disown_operations(*, kid: str, reason: str, now: dt.datetime | None = None) -> int:
    """Disown what processes have signed that did not know yet; returns how many there were."""
    change = _disowning(kid, reason)
    batches = change_operations_in_batches(disownable(kid=kid), change=change, now=now)
    return sum(batches)


def is_compromised(*, kid: str) -> bool:
    """Tell whether a key is believed no more."""
    return SigningKey.objects.filter(kid=kid).exclude(compromised_at=None).exists()


def compromised_since(*, kid: str) -> dt.datetime | None:
    """Return when the ledger was told so, by the database's clock: just before it was committed.

    Or when a restore told it again: until then, processes took the key for a good one.
    """
    own = LedgerEntry.objects.of_authority().order_by("-seq").values_list("at", flat=True)
    told = own.filter(kind=EntryKind.KEY_COMPROMISED, entry__contains=f'"kid":"{kid}"').first()
    restored = own.filter(kind=EntryKind.RECONCILED).first()
    return max(told, restored or told) if told else None


def count_disowned(*, kid: str) -> int:
    """Tell how many wait for a new signature."""
    return OperationToken.objects.filter(kid=kid).exclude(disowned_at=None).count()


def _disowning(kid: str, reason: str) -> Change:
    return Change(
        kind=EntryKind.DISOWNED,
        by=HoldKind.SYSTEM,
        apply=_disown,
        words=Words(reason=reason),
        data={"kid": kid},
        fields=("sealed_token", "sealed_until"),
        leave_broken=True,  # or one edited row would keep the key alive
    )


def _disown(token: OperationToken, at: dt.datetime) -> bool:
    token.disowned_at = at
    add_hold(token, HoldKind.SYSTEM)
    token.sealed_token = token.sealed_until = None  # nobody gets these bytes again
    return True
