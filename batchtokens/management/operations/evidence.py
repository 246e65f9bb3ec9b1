"""`operations evidence`: everything that proves one mandate, in one file."""

import json
from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import ProductCommand, UsageError
from batchtokens.management.new_file import new_file
from batchtokens.management.operations.named import operation_named
from batchtokens.management.operations.verb import Verb
from batchtokens.services.reports.collect_evidence import collect_evidence
from batchtokens_verifier.evidence import WARNING
from batchtokens_verifier.packs import zip_pack


class EvidencePack(Verb):
    """Refused while the sealer has not come by yet."""

    name = "evidence"
    help = "Write everything that proves one operation into a file that verifies offline."

    def add_options(self, parser: CommandParser) -> None:
        """Declare which, and where to."""
        parser.add_argument("id", metavar="ID", help="an op_ id")
        parser.add_argument("--out", required=True, type=Path, help="a new .json or .zip file")

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Write it, and print its SHA-256."""
        path: Path = options["out"]
        if path.suffix not in (".json", ".zip"):
            raise UsageError("--out is a .json or a .zip file.")
        token = operation_named(options["id"])
        pack = collect_evidence(token)
        text = json.dumps(pack, ensure_ascii=False, indent=2).encode()
        with new_file(path) as file:
            file.write(text if path.suffix == ".json" else zip_pack(text))
        command.say(WARNING)
        command.emit_one(
            {
                "id": token.public_id,
                "file": str(path),
                "sha256": file.sha256,
                "entries": len(pack["entries"]),
                "receipts": len(pack["receipts"]),
            }
        )
