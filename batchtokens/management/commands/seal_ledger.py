"""Seal the ledger once, or about each second until stopped."""

import signal
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, Refused, UsageError
from batchtokens.management.sealer import EVERY, Sealer
from batchtokens.services.ledger.seal import Sealed, Sealing, sealer_lock


class Command(ProductCommand):
    """Run a sealer of its own; `run_worker` has one inside."""

    help = "Give ledger entries their leaves and sign checkpoints; one process at a time does."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the rhythm."""
        parser.add_argument("--once", action="store_true", help="seal what is there, then end")
        parser.add_argument("--every", type=float, default=EVERY, help="seconds between two looks")

    def handle(self, *args: Any, once: bool, every: float, **options: Any) -> None:
        """Seal; with --once, print the newest head."""
        if not 0 < every <= 10:
            raise UsageError("--every must be more than 0 and at most 10 seconds.")
        if once:
            self._show(seal_once())
            return
        sealer = Sealer(every=every)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sealer.stop())
        sealer.run()

    def _show(self, sealed: Sealed) -> None:
        head = sealed.head
        size, root = (head.size, head.root) if head else (0, "")
        self.emit_one({"id": size, "placed": sealed.placed, "size": size, "root": root})


def seal_once() -> Sealed:
    """Seal what is there. Raises Refused where another process seals."""
    with sealer_lock() as held:
        if not held:
            raise Refused("Another process is sealing the ledger.")
        return Sealing().look()
