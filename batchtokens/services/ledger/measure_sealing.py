"""Tell how far the sealer is behind the ledger; a few index look-ups, whatever the tables' size."""

from __future__ import annotations

import datetime as dt

from batchtokens.models import Checkpoint, LedgerEntry, LedgerLeaf
from batchtokens.models.clock import database_now


def seconds_unsealed() -> float:
    """Return for how long the first entry after the last sealed one has waited; 0: none does."""
    last = LedgerLeaf.objects.order_by("-index").values_list("entry_id", flat=True).first()
    waiting = LedgerEntry.objects.filter(pk__gt=last or 0).order_by("pk")
    at = waiting.values_list("at", flat=True).first()
    return max(0.0, (database_now() - at).total_seconds()) if at else 0.0


def checkpoint_age(*, now: dt.datetime) -> float | None:
    """Return how many seconds old the newest checkpoint is; None where there is none."""
    newest = Checkpoint.objects.order_by("-size").values_list("at", flat=True).first()
    return max(0.0, (now - newest).total_seconds()) if newest else None
