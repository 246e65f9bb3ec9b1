"""The worker's part that tidies up each hour: what is over goes, what ends or is missed is told."""

import logging
import threading
from collections.abc import Callable

from django.db import Error as DatabaseFault
from django.db import connection

from accounts.services.warn_expiring_keys import warn_expiring_keys
from authproject.management.purging import purge_everything
from batchtokens.services.reports.report_missed import report_missed

FIRST_AFTER = 60.0  # seconds: a worker that has just begun has other things to do
EVERY = 3600.0
AT_A_TIME = 2.0  # seconds that one purge takes at most, so that a signal is heard

logger = logging.getLogger(__name__)


class Chores:
    """Does them now and then until it is told to stop; with `once`, never."""

    def __init__(
        self, *, first_after: float = FIRST_AFTER, every: float = EVERY, once: bool = False
    ) -> None:
        self._first_after, self._every, self._once = first_after, every, once
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Begin nothing more; `run` returns when the batch in hand is done."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped; a chore that fails is tried again the next time."""
        pause = self._first_after
        while not self._once and not self._stopping.wait(pause):
            for chore in (self._purge, self._warn, self._report):
                self._do(chore.__name__.strip("_"), chore)
            pause = self._every

    def _do(self, name: str, chore: Callable[[], None]) -> None:
        try:
            chore()
        except Exception as fault:  # noqa: BLE001 - a thread that ended would never come back
            told = str(fault).strip().partition("\n")[0]
            known = isinstance(fault, DatabaseFault)
            logger.warning("%s failed: %s", name, told if known else type(fault).__name__)
        finally:
            connection.close()  # a thread has its own, and this one waits for an hour

    def _purge(self) -> None:
        while not self._stopping.is_set() and not purge_everything(max_seconds=AT_A_TIME).finished:
            pass

    def _warn(self) -> None:
        while not self._stopping.is_set() and warn_expiring_keys():
            pass

    def _report(self) -> None:
        for _ in report_missed():
            if self._stopping.is_set():
                return
