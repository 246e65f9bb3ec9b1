"""Verify every operation's ledger and that its row is what the ledger adds up to."""

from typing import Any

from accounts.management.base import Findings, ProductCommand
from batchtokens.services.verify_ledger import verify_ledger


class Command(ProductCommand):
    """Read all chains; a line for each finding, exit 6 if there is one."""

    help = "Verify the hash chains and that rows and redemptions agree with them."
    lists = True

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what is wrong, and where it begins."""
        verified, rows = 0, []
        for count, findings in verify_ledger():
            verified += count
            rows += [
                {"id": found.operation_id, "seq": found.seq, "problem": found.problem}
                for found in findings
            ]
        self.emit(rows)
        if rows:
            raise Findings(f"{len(rows)} of {verified} ledgers are not as they should be.")
        self.say(f"{verified} ledgers verified.")
