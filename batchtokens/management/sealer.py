"""The worker's part that seals the ledger about each second, while no other process does."""

import logging
import threading
import time

from django.db import Error as DatabaseFault
from django.db import connection

from batchtokens.errors import LedgerBehind
from batchtokens.services.ledger.seal import Sealing, sealer_lock

EVERY = 1.0  # seconds
SWEEP_EVERY = 3600.0  # seconds until every entry is examined again
LONGEST_PAUSE = 30.0  # seconds between two tries while the database or the sink is away
MOST_DOUBLINGS = 5

logger = logging.getLogger(__name__)


class Sealer:
    """Seals until it is told to stop; with `once`, looks once."""

    def __init__(self, *, every: float = EVERY, once: bool = False) -> None:
        self._every, self._once = every, once
        self._stopping = threading.Event()
        self._told = ""
        self._faults = 0

    def stop(self) -> None:
        """Seal nothing more; `run` returns when what is in hand is signed."""
        self._stopping.set()

    def run(self) -> None:
        """Wait for the lock, seal while it is held, and begin again after a fault."""
        while not self._stopping.is_set():
            try:
                with sealer_lock() as held:
                    if held:
                        self._seal()
            except Exception as fault:  # noqa: BLE001 - a thread that ended would never come back
                self._tell(fault)
                self._faults += 1
            finally:
                connection.close()  # a thread has its own; the next try opens a new one
            if self._once:
                return
            doublings = min(self._faults, MOST_DOUBLINGS)
            self._stopping.wait(min(self._every * 2**doublings, LONGEST_PAUSE))

    def _seal(self) -> None:
        sealing, sweep_at = Sealing(), time.monotonic() + SWEEP_EVERY
        while not self._stopping.is_set():
            sealing.look()
            self._told, self._faults = "", 0
            if self._once:
                return
            if time.monotonic() >= sweep_at:
                sealing.sweep()
                sweep_at = time.monotonic() + SWEEP_EVERY
            self._stopping.wait(self._every)

    def _tell(self, fault: Exception) -> None:
        """Log a fault when it begins, not each second that it lasts."""
        known = isinstance(fault, DatabaseFault | LedgerBehind | OSError)
        told = str(fault).strip().partition("\n")[0] if known else type(fault).__name__
        if told != self._told:
            logger.error("the ledger is not sealed: %s", told)
        self._told = told
