"""Many mandates at once: copies of one, each with a ledger of its own; issuing takes minutes."""

from __future__ import annotations

import json
import uuid

from batchtokens.models import EntryKind, LedgerEntry, OperationToken, chain_entry
from batchtokens.models.writing import insertion, write_together

PAGE = 100


def multiply_mandate(row: OperationToken, count: int) -> None:
    """Store `count` sound copies of a row that was just issued; no token belongs to them."""
    data = json.loads(LedgerEntry.objects.get(operation_token=row).entry)["data"]
    for start in range(0, count, PAGE):
        copies, entries = [], []
        for number in range(start, min(start + PAGE, count)):
            copy = OperationToken.objects.get(pk=row.pk)
            copy.pk, copy.token_hash = uuid.uuid4(), f"copy-{number:038}"
            copy.subject_digest = copy.idempotency_digest = None
            copy.status_list = copy.status_index = None
            copy.seq, copy.head_hash = 0, ""
            entries.append(chain_entry(copy, EntryKind.ISSUED, at=copy.issued_at, data=data))
            copies.append(copy)
        write_together(insertion(*copies))
        write_together(insertion(*entries))
