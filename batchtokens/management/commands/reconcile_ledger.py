"""Let a restored database go on whose ledger ends before the last checkpoint outside."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, Refused, UsageError
from batchtokens.services.reconcile_ledger import accept_loss, lost_head
from batchtokens.services.seal import sealer_lock


class Command(ProductCommand):
    """Declare the loss; every live mandate is held until somebody has looked at it."""

    help = "After a restore: declare what is lost, hold every live mandate, and seal on."
    lists = True
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the one way there is."""
        parser.add_argument(
            "--accept-loss", action="store_true", help="nothing newer than this database exists"
        )

    def handle(
        self,
        *args: Any,
        accept_loss: bool,
        dry_run: bool,
        yes: bool,
        reason: str,
        **options: Any,
    ) -> None:
        """Show what is lost; declare it when told so."""
        lost = lost_head()
        if dry_run:
            self.emit_one({"id": lost.size, "epoch": lost.epoch, "root": lost.root})
            return
        if not (accept_loss and reason):
            raise UsageError("Say --accept-loss and give a --reason, which the ledger keeps.")
        self.confirm(f"Give up what the head of {lost.size} entries held?", yes=yes)
        self._reconcile(reason)

    def _reconcile(self, reason: str) -> None:
        with sealer_lock() as held:
            if not held:
                raise Refused("Another process is sealing the ledger: stop the workers first.")
            done = accept_loss(reason=reason)
        self.emit_one(
            {"id": done.head.size, "epoch": done.head.epoch, "kept": done.kept, "held": done.held}
        )
