"""What `doctor` says of the checkpoints outside of the database."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Max

from batchtokens.errors import LedgerBehind
from batchtokens.models import Checkpoint
from batchtokens.models.sealing import tree_holds
from batchtokens.services.ledger.sink import newest_checkpoint


def sink_findings() -> Iterator[str]:
    """Yield a sentence for each thing to mend."""
    folder: Path = settings.LEDGER_SINK
    try:
        sealed = Checkpoint.objects.aggregate(size=Max("size"))["size"] or 0
    except (DatabaseError, InterfaceError):
        return  # `services` says so
    if folder.is_dir():
        yield from _rights(folder)
        yield from _place(folder, connection.settings_dict)
    elif sealed:
        yield f"LEDGER_SINK {folder} is not there, but the ledger was sealed: nothing is redeemed."
        return
    yield from _newest(sealed)


def _rights(folder: Path) -> Iterator[str]:
    if not os.access(folder, os.R_OK | os.X_OK):
        yield f"LEDGER_SINK {folder} cannot be read by this account: nothing is redeemed."
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield f"LEDGER_SINK {folder} cannot be written by this account; the worker's must be able."


def _place(folder: Path, database: dict[str, Any]) -> Iterator[str]:
    if connection.vendor != "sqlite" or not Path(database["NAME"]).exists():
        return
    if Path(database["NAME"]).stat().st_dev == folder.stat().st_dev:
        yield "LEDGER_SINK is on the database's file system: what takes one takes both."


def _newest(sealed: int) -> Iterator[str]:
    try:
        newest = newest_checkpoint()
        if newest is not None and not tree_holds(newest.head):
            yield "The ledger lacks the newest checkpoint of LEDGER_SINK: see docs/ledger.md."
    except (OSError, LedgerBehind) as fault:
        detail = fault.detail if isinstance(fault, LedgerBehind) else fault.strerror
        yield f"LEDGER_SINK cannot be read: {detail}"
        return
    size = newest.head.size if newest else 0
    if size < sealed:
        yield f"LEDGER_SINK ends at {size} entries, the database's checkpoints at {sealed}."
