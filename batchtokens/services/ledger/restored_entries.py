"""Which entries came back from an export after a restore; their answers and receipts did not."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import reduce
from operator import or_

from django.db.models import Q

from batchtokens.models import EntryKind, LedgerEntry, LedgerLeaf


def restored_hashes(among: Collection[str], *, token_hash: str) -> set[str]:
    """Keep the hashes of a token's entries that the authority's own chain says were restored."""
    ranges = [Q(index__gte=first, index__lt=size) for first, size in _restored()]
    if not ranges or not among:
        return set()
    leaves = LedgerLeaf.objects.filter(
        reduce(or_, ranges), entry__operation_token__token_hash=token_hash
    )
    return set(leaves.values_list("entry__hash", flat=True)).intersection(among)


def _restored() -> list[tuple[int, int]]:
    """Return ranges of leaves, the end not included."""
    own = LedgerEntry.objects.of_authority().filter(kind=EntryKind.RECONCILED)
    told = [json.loads(text)["data"] for text in own.values_list("entry", flat=True)]
    ranges = [data["restored"] for data in told if "restored" in data]
    return [(each["first"], each["size"]) for each in ranges]
