"""Refuse to decide on a database that is older than the last checkpoint outside of it (I2).

A restored backup has slots open that were redeemed. A process looks at the sink about each second;
where the sink cannot be read, nothing is decided either.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from django.db.models import Max

from batchtokens.errors import LedgerBehind
from batchtokens.models import Checkpoint
from batchtokens.models.sealing import tree_holds
from batchtokens.services.ledger.sink import latest_checkpoint
from batchtokens_verifier.checkpoints import TreeHead

MAX_AGE = 1.0  # seconds

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """head: None where there is no checkpoint outside; held: whether the tree began with it."""

    head: TreeHead | None
    held: bool
    at: float


class _Glance:
    """The process's last look at the sink."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: _Seen | None = None

    def look(self) -> _Seen:
        seen = self._seen
        if seen is None or time.monotonic() - seen.at >= MAX_AGE:
            with self._lock:
                seen = self._seen
                if seen is None or time.monotonic() - seen.at >= MAX_AGE:
                    newest = latest_checkpoint()
                    head = newest.head if newest else None
                    held = head is None or tree_holds(head)
                    seen = self._seen = _Seen(head, held, time.monotonic())
        return seen

    def forget(self) -> None:
        self._seen = None


_glance = _Glance()


def forget_sink() -> None:
    """Look again the next time."""
    _glance.forget()


def check_ledger() -> None:
    """Do the same where no statement has read the size; it takes one. Raises LedgerBehind."""
    check_ledger_head(Checkpoint.objects.aggregate(found=Max("size"))["found"] or 0)


def check_ledger_head(sealed_size: int) -> None:
    """Refuse where the ledger ends before the last checkpoint outside.

    sealed_size: of the newest stored checkpoint, as the caller's statement read it. It shows at
    once that a database was put back; that it was not, the tree itself must show at each look,
    since anybody may have written that row. Raises LedgerBehind.
    """
    try:
        seen = _glance.look()
        if seen.head is None and sealed_size:  # the first checkpoint may have come since that look
            forget_sink()
            seen = _glance.look()
    except (OSError, LedgerBehind) as fault:
        logger.error("the sink of checkpoints cannot be read: %s", fault)  # noqa: TRY400 - expected
        raise LedgerBehind from fault
    if seen.head is None:
        if sealed_size:
            logger.error("the sink is empty, but the ledger was sealed")
            raise LedgerBehind
    elif not (seen.held and seen.head.size <= sealed_size) and not tree_holds(seen.head):
        logger.error("the ledger lacks the checkpoint of %d entries outside", seen.head.size)
        raise LedgerBehind
