"""The embedded worker: threads that claim due runs and deliver them until they are told to stop.

It keeps nothing that matters in memory: a worker that is killed leaves leases, and those end.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait

import httpx
from django.db import Error as DatabaseFault
from django.db import connection

from batchtokens.models import QueuedRun, RunState
from batchtokens.services.issuing.erase_sealed_tokens import erase_sealed_tokens
from batchtokens.services.queue.deliver import NOT_VALID, deliver_run, delivery_client
from batchtokens.services.queue.dispatch import Outcome, claim_runs, finish_run

LONGEST_DEAFNESS = 1.0  # seconds until a signal is heard
ERASE_EVERY = 60.0  # seconds
LONGEST_PAUSE = 30.0  # seconds between two tries while the database is away
MOST_DOUBLINGS = 6  # of the poll; without an end, a float overflows
# What a row that is not what it should be makes Python and httpx raise.
POISON = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, httpx.InvalidURL)

logger = logging.getLogger(__name__)


class Worker:
    """Delivers on `threads` threads; looks each `poll` seconds, with `once` until none is due."""

    def __init__(self, *, threads: int, poll: float, once: bool = False) -> None:
        self.owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(8)}"
        self._threads, self._poll, self._once = threads, poll, once
        self._stopping = threading.Event()
        # One thread at a time asks for work, so that an idle worker costs one query a poll.
        self._turn = threading.Lock()
        self._faults = 0
        self._erase_at = 0.0

    def stop(self) -> None:
        """Claim nothing more; `run` returns when what is in flight is finished."""
        self._stopping.set()

    def run(self) -> Counter[RunState]:
        """Work until stopped; return how many deliveries ended in which state.

        Raises the database's fault with `once`; else the worker waits until the database is back.
        """
        with delivery_client() as http, ThreadPoolExecutor(self._threads, "worker") as pool:
            threads = [pool.submit(self._work, http) for _ in range(self._threads)]
            # A signal's handler runs when the main thread's wait ends, so it waits in steps: an
            # endless wait that begins just after the signal came would never end.
            while wait(threads, timeout=LONGEST_DEAFNESS).not_done:
                pass
        return sum((thread.result() for thread in threads), Counter[RunState]())

    def _work(self, http: httpx.Client) -> Counter[RunState]:
        outcomes = Counter[RunState]()
        try:
            while (run := self._next()) is not None:
                outcomes[self._deliver(run, http)] += 1
        finally:
            connection.close()  # each thread has its own
        return outcomes

    def _next(self) -> QueuedRun | None:
        """Wait for a due run; None when it is time to end."""
        with self._turn:
            while not self._stopping.is_set():
                if claimed := self._claim():
                    return claimed[0]
                if self._once:
                    break
                doublings = min(self._faults, MOST_DOUBLINGS)
                self._stopping.wait(min(self._poll * 2**doublings, LONGEST_PAUSE))
        return None

    def _claim(self) -> list[QueuedRun]:
        try:
            self._erase()
            claimed = claim_runs(owner=self.owner, limit=1)
        except Exception as fault:  # a thread that ended would never come back
            connection.close()  # the next try opens a new one
            if self._once:
                raise
            self._faults += 1
            logger.warning("no runs can be claimed: %s", _told(fault))
            return []
        self._faults = 0
        return claimed

    def _erase(self) -> None:
        """Now and then, forget what was kept for retries alone."""
        if time.monotonic() >= self._erase_at:
            self._erase_at = time.monotonic() + ERASE_EVERY
            erase_sealed_tokens()

    def _deliver(self, run: QueuedRun, http: httpx.Client) -> RunState:
        """Deliver; whatever happens, the thread goes on to the next run."""
        try:
            outcome = self._attempt(run, http)
        except Exception as fault:  # noqa: BLE001 - a thread that ended would never come back
            # Nobody learns what became of it: the lease ends, the run comes again, and the executor
            # recognises the slot.
            connection.close()
            logger.warning("%s may be delivered again: %s", run.webhook_id, _told(fault))
            return RunState.LEASED
        attempt = f"{run.webhook_id} attempt {run.attempts}"
        logger.info("%s: %s", attempt, f"{outcome.state} {outcome.code}".rstrip())
        return outcome.state

    def _attempt(self, run: QueuedRun, http: httpx.Client) -> Outcome:
        """Deliver; a run that cannot even be sent is set aside, so that the others flow."""
        try:
            return deliver_run(run, http=http)
        except POISON as error:
            logger.warning("%s cannot be sent: %s", run.webhook_id, type(error).__name__)
            outcome = Outcome(RunState.DEAD, NOT_VALID)
            finish_run(run, outcome)
            return outcome


def _told(fault: Exception) -> str:
    """Return what may be logged; other words than these may quote values."""
    if isinstance(fault, DatabaseFault):
        return str(fault).strip().partition("\n")[0]
    return type(fault).__name__
