"""What changes of signing keys mean here: entries in the authority's chain, disowned tokens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from django.db.models import Max

from accounts.models import Decision, SigningKey
from batchtokens.models import EntryKind, OperationToken, append_authority_entry
from batchtokens.models.clock import database_now
from batchtokens.services.keys.disown import disown_in_transaction
from batchtokens_verifier.jws import Purpose

_ENTRY_OF = {
    "added": EntryKind.KEY_ADDED,
    "retired": EntryKind.KEY_RETIRED,
    "compromised": EntryKind.KEY_COMPROMISED,
}


def on_signing_keys_changed(
    sender: Any, *, keys: Collection[SigningKey], what: str, decision: Decision, **_: Any
) -> None:
    """Append the keys to the authority's chain, in the transaction that changes them (a receiver).

    With a compromised key, what it signed is disowned. The chain comes last: its writers wait for
    each other.
    """
    for key in keys:
        if what == "compromised" and key.purpose == Purpose.OPERATION:
            disown_in_transaction(kid=key.kid)
    at = database_now()
    for key in keys:
        # A key's id is the thumbprint (RFC 7638): it says which public key is meant.
        names = {"kid": key.kid, "purpose": key.purpose, "thumbprint": key.kid}
        data = {**decision.told(), **names}
        append_authority_entry(_ENTRY_OF[what], at=at, data=data)


def last_expiry(kid: str) -> dt.datetime | None:
    """Tell when the last operation token ends that a key has signed; None where none is known."""
    signed = OperationToken.objects.filter(kid=kid)
    last: dt.datetime | None = signed.aggregate(last=Max("valid_to"))["last"]
    return last
