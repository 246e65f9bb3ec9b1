"""Delete what is over: challenges, links, counters, sent e-mails, old sessions, unused consents."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from authproject.management.purging import purge_everything

MOST_A_BATCH = 100_000


class Command(ProductCommand):
    """Stops when nothing is left or the time is up; what is left is the next run's."""

    help = "Delete what is over, in batches; security events and the ledger stay."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare how much at a time, and for how long."""
        parser.add_argument("--batch", type=int, default=1000, help="rows a transaction")
        parser.add_argument("--max-seconds", type=float, default=60.0, help="begin no batch later")

    def handle(self, *args: Any, batch: int, max_seconds: float, **options: Any) -> None:
        """Delete, and print how many rows of each kind."""
        if not 1 <= batch <= MOST_A_BATCH:
            raise UsageError(f"--batch must be between 1 and {MOST_A_BATCH}.")
        if not 0 < max_seconds < float("inf"):
            raise UsageError("--max-seconds must be more than 0.")
        purged = purge_everything(batch=batch, max_seconds=max_seconds)
        self.emit([{"id": kind, "deleted": count} for kind, count in purged.counts.items()])
        if not purged.finished:
            self.say("The time is up; the next run goes on.")
