"""Let a restored database go on whose ledger ends before the last checkpoint outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import name
from accounts.management.base import ProductCommand, Refused, UsageError
from accounts.management.named import operator
from batchtokens.management.text_files import lines_of
from batchtokens.services.ledger.reconcile_ledger import accept_loss, lost_head
from batchtokens.services.ledger.seal import sealer_lock
from batchtokens.services.recovery.restore_ledger import preview_restore, restore_ledger


class Command(ProductCommand):
    """Restore what an export has; or, without one, declare the loss and hold every live mandate."""

    help = "After a restore: apply what an export has again, or declare what is lost; seal on."
    lists = True
    destructive = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the two ways there are."""
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument(
            "--from",
            dest="source",
            type=name,
            metavar="FILE",
            help="an export_ledger file that reaches the sink's newest checkpoint",
        )
        ways.add_argument(
            "--accept-loss", action="store_true", help="nothing newer than this database exists"
        )

    def handle(
        self,
        *args: Any,
        source: str | None,
        accept_loss: bool,
        dry_run: bool,
        yes: bool,
        reason: str,
        **options: Any,
    ) -> None:
        """Show what is lost or would come back; do what was told."""
        if not dry_run and not ((source or accept_loss) and reason):
            raise UsageError(
                "Say --from FILE or --accept-loss, and give a --reason; the security log keeps it."
            )
        if source:
            self._restore(source, reason, dry_run=dry_run, yes=yes)
        else:
            self._declare(reason, dry_run=dry_run, yes=yes)

    def _restore(self, source: str, reason: str, *, dry_run: bool, yes: bool) -> None:
        lines = list(lines_of(source))
        if dry_run:
            chains = preview_restore(lines).chains
            self.emit(
                [
                    {"id": c.id, "first": c.first, "last": c.last, "kinds": c.kinds, "row": c.known}
                    for c in chains
                ]
            )
            return
        self.confirm("Apply what the export has and this database lacks?", yes=yes)
        with _only_sealer():
            done = restore_ledger(lines, reason=reason, actor=operator())
        for each in done.held:
            self.say(f"{each} is held: it could not be restored whole.")
        self.emit_one(
            {
                "id": done.head.size,
                "epoch": done.head.epoch,
                "kept": done.kept,
                "restored": done.entries,
                "lost_tokens": sum(not chain.known for chain in done.chains),
                "held": len(done.held),
            }
        )

    def _declare(self, reason: str, *, dry_run: bool, yes: bool) -> None:
        lost = lost_head()
        if dry_run:
            self.emit_one({"id": lost.size, "epoch": lost.epoch, "root": lost.root})
            return
        self.confirm(f"Give up what the head of {lost.size} entries held?", yes=yes)
        with _only_sealer():
            done = accept_loss(reason=reason, actor=operator())
        self.emit_one(
            {"id": done.head.size, "epoch": done.head.epoch, "kept": done.kept, "held": done.held}
        )


@contextmanager
def _only_sealer() -> Iterator[None]:
    with sealer_lock() as held:
        if not held:
            raise Refused("Another process is sealing the ledger: stop the workers first.")
        yield
