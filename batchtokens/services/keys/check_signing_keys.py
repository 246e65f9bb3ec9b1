"""Find keys that count again although the ledger says that they ended: a former row was put back.

A seal cannot tell old from new; the authority's own chain only grows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from accounts.models import SigningKey
from batchtokens.models import EntryKind, LedgerEntry


def find_revived_keys() -> Iterator[str]:
    """Yield the id of each key whose row denies an end that the ledger tells of."""
    rows = {row.kid: row for row in SigningKey.objects.all()}
    ended = {EntryKind.KEY_RETIRED: "retired_at", EntryKind.KEY_COMPROMISED: "compromised_at"}
    entries = LedgerEntry.objects.of_authority().filter(kind__in=ended).order_by("seq")
    denied = (
        kid
        for entry in entries
        if (kid := json.loads(entry.entry)["data"]["kid"]) in rows
        and getattr(rows[kid], ended[EntryKind(entry.kind)]) is None
    )
    yield from dict.fromkeys(denied)
