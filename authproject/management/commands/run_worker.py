"""Deliver due runs of the built-in queue, send the outbox's e-mails, seal the ledger, tidy up."""

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from accounts.management.mailer import Mailer
from authproject.management.chores import Chores
from batchtokens.management.sealer import Sealer
from batchtokens.management.worker import Worker
from batchtokens.models import RunState

Part = Mailer | Sealer | Chores
LONGEST_POLL = 60.0  # seconds: windows may be as short as a minute


class Command(ProductCommand):
    """Run a worker until SIGTERM (exit 0) or SIGINT (exit 130), or once."""

    help = "Deliver due runs and e-mails, seal the ledger; finishes what is in flight when stopped."

    def add_options(self, parser: CommandParser) -> None:
        """Declare threads and rhythm."""
        parser.add_argument("--threads", type=int, default=4, help="deliveries at a time")
        parser.add_argument("--poll", type=float, default=0.5, help="seconds between two looks")
        parser.add_argument(
            "--once", action="store_true", help="deliver and send what is due, then end"
        )

    def handle(self, *args: Any, threads: int, poll: float, once: bool, **options: Any) -> None:
        """Deliver; with --once, print how many runs ended in which state."""
        if not 1 <= threads <= 64:
            raise UsageError("--threads must be between 1 and 64.")
        if not 0 < poll <= LONGEST_POLL:
            raise UsageError(f"--poll must be more than 0 and at most {LONGEST_POLL:.0f} seconds.")
        worker = Worker(threads=threads, poll=poll, once=once)
        beside = (Mailer(poll=poll, once=once), Sealer(once=once), Chores(once=once))
        with stopped_by_signals(worker, *beside):
            outcomes = run_together(worker, *beside)
        if once:
            states = (RunState.DONE, RunState.PENDING, RunState.DEAD)
            self.emit_one({state.value: outcomes[state] for state in states})


def run_together(worker: Worker, *others: Part) -> Counter[RunState]:
    """Run all until all have ended; return what became of the deliveries."""
    with ThreadPoolExecutor(len(others), "beside") as pool:
        beside = [pool.submit(other.run) for other in others]
        try:
            outcomes = worker.run()
        except BaseException:
            for other in others:
                other.stop()  # else nobody would: the pool waits for them
            raise
        for each in beside:
            each.result()
    return outcomes


@contextmanager
def stopped_by_signals(*parts: Worker | Part) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop all; after SIGINT the command ends as interrupted."""
    received = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        for part in parts:
            part.stop()

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if signal.SIGINT in received:
        raise KeyboardInterrupt
