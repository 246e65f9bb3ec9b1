"""Deliver due runs of the built-in queue."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from batchtokens.management.worker import Worker
from batchtokens.models import RunState

LONGEST_POLL = 60.0  # seconds: windows may be as short as a minute


class Command(ProductCommand):
    """Run a worker until SIGTERM (exit 0) or SIGINT (exit 130), or once."""

    help = "Deliver due runs of the queue; finishes what is in flight when stopped."

    def add_options(self, parser: CommandParser) -> None:
        """Declare threads and rhythm."""
        parser.add_argument("--threads", type=int, default=4, help="deliveries at a time")
        parser.add_argument("--poll", type=float, default=0.5, help="seconds between two looks")
        parser.add_argument("--once", action="store_true", help="deliver what is due, then end")

    def handle(self, *args: Any, threads: int, poll: float, once: bool, **options: Any) -> None:
        """Deliver; with --once, print how many runs ended in which state."""
        if not 1 <= threads <= 64:
            raise UsageError("--threads must be between 1 and 64.")
        if not 0 < poll <= LONGEST_POLL:
            raise UsageError(f"--poll must be more than 0 and at most {LONGEST_POLL:.0f} seconds.")
        worker = Worker(threads=threads, poll=poll, once=once)
        with stopped_by_signals(worker):
            outcomes = worker.run()
        if once:
            states = (RunState.DONE, RunState.PENDING, RunState.DEAD)
            self.emit_one({state.value: outcomes[state] for state in states})


@contextmanager
def stopped_by_signals(worker: Worker) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop the worker; after SIGINT it ends as interrupted."""
    received = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        worker.stop()

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if signal.SIGINT in received:
        raise KeyboardInterrupt
