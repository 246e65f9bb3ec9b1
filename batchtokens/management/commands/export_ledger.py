"""Write the ledger to a file that verifies offline."""

import os
from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from batchtokens.services.export_ledger import export_ledger


class Command(ProductCommand):
    """Write NDJSON; the file must not be there yet."""

    help = "Export the ledger, its checkpoints and public keys; verify_ledger --file reads it."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare the file."""
        parser.add_argument("--out", required=True, help="file to write; must not exist")
        parser.add_argument(
            "--notes", action="store_true", help="with notes, which may be personal"
        )

    def handle(self, *args: Any, out: str, notes: bool, **options: Any) -> None:
        """Write; print how many lines there are."""
        path, count = Path(out), 0
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}.") from error
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for line in export_ledger(notes=notes):
                file.write(line + "\n")
                count += 1
        self.emit_one({"id": str(path), "lines": count})
