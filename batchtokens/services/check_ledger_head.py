"""Refuse to decide on a database that is older than the last checkpoint outside of it (I2).

A restored backup has slots open that were redeemed. A process looks at the sink about each second;
where the sink cannot be read, nothing is decided either.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from batchtokens.errors import LedgerBehind
from batchtokens.models.sealing import tree_holds
from batchtokens.services.sink import latest_checkpoint
from batchtokens_verifier.checkpoints import TreeHead

MAX_AGE = 1.0  # seconds

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    head: TreeHead | None  # None: there is no checkpoint outside
    at: float


class _Glance:
    """The process's last look at the sink."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: _Seen | None = None

    def head(self) -> TreeHead | None:
        seen = self._seen
        if seen is None or time.monotonic() - seen.at >= MAX_AGE:
            with self._lock:
                seen = self._seen
                if seen is None or time.monotonic() - seen.at >= MAX_AGE:
                    newest = latest_checkpoint()
                    head = newest.head if newest else None
                    seen = self._seen = _Seen(head, time.monotonic())
        return seen.head

    def forget(self) -> None:
        self._seen = None


_glance = _Glance()


def forget_sink() -> None:
    """Look again the next time."""
    _glance.forget()


def check_ledger_head(sealed_size: int) -> None:
    """Refuse where the ledger ends before the last checkpoint outside.

    sealed_size: of the newest stored checkpoint, as the caller's statement read it; the sink may
    have a newer one that is about to be stored, so before refusing the tree itself is asked.
    Raises LedgerBehind.
    """
    try:
        outside = _glance.head()
        if outside is None and sealed_size:  # the first checkpoint may have come since that look
            forget_sink()
            outside = _glance.head()
    except (OSError, LedgerBehind) as fault:
        logger.error("the sink of checkpoints cannot be read: %s", fault)  # noqa: TRY400 - expected
        raise LedgerBehind from fault
    if outside is None:
        if sealed_size:
            logger.error("the sink is empty, but the ledger was sealed")
            raise LedgerBehind
    elif sealed_size < outside.size and not tree_holds(outside):
        logger.error("the ledger lacks the checkpoint of %d entries outside", outside.size)
        raise LedgerBehind
