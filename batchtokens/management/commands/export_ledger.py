"""Write the ledger to a file that verifies offline."""

from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand
from batchtokens.management.new_file import new_file
from batchtokens.services.ledger.export_ledger import export_ledger


class Command(ProductCommand):
    """Write NDJSON; the file must not be there yet."""

    help = "Export the ledger, its checkpoints and public keys; verify_ledger --file reads it."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the file."""
        parser.add_argument("--out", required=True, type=Path, help="file to write; must not exist")
        parser.add_argument(
            "--notes", action="store_true", help="with notes, which may be personal"
        )

    def handle(self, *args: Any, out: Path, notes: bool, **options: Any) -> None:
        """Write all or nothing; print how many lines there are, and the file's SHA-256."""
        count = 0
        with new_file(out) as file:
            for line in export_ledger(notes=notes):
                file.write(f"{line}\n".encode())
                count += 1
        self.emit_one({"id": str(out), "lines": count, "sha256": file.sha256})
