"""Verify every operation's ledger, that its row is what the ledger adds up to, and the tree."""

from typing import Any

from django.core.management import CommandParser

from accounts.management.base import Findings, ProductCommand, UsageError
from batchtokens.management.text_files import lines_of, text_of
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.exports import ExportReport, verify_export
from batchtokens_verifier.jws import KeySet


class Command(ProductCommand):
    """Read all; a line for each finding, exit 6 if there is one."""

    help = "Verify chains, rows, redemptions, receipts, the tree and checkpoints; or an export."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare what to compare with, and an export to read instead of the database."""
        parser.add_argument(
            "--checkpoint", action="append", default=[], help="file with one that was kept; repeat"
        )
        parser.add_argument("--sink", action="store_true", help="compare every head of the sink")
        parser.add_argument("--file", default="", help="an export_ledger file; needs no database")
        parser.add_argument("--jwks", default="", help="with --file: keys that were kept")

    def handle(
        self,
        *args: Any,
        checkpoint: list[str],
        sink: bool,
        file: str,
        jwks: str,
        **options: Any,
    ) -> None:
        """Print what is wrong, and where it begins."""
        anchors = [text_of(path).strip() for path in checkpoint]
        if file:
            self._finish(*verified_export(file, jwks, anchors))
            return
        if jwks:
            raise UsageError("--jwks is for --file.")
        verified, rows = 0, []
        for count, findings in verify_ledger():
            verified += count
            rows += [row_of(f.operation_id, f.seq, f.problem) for f in findings]
        for _, findings in verify_tree(tokens=anchors, whole_sink=sink):
            rows += [row_of(f.operation_id, f.seq, f.problem) for f in findings]
        self._finish(rows, verified)

    def _finish(self, rows: list[dict[str, Any]], verified: int) -> None:
        self.emit(rows)
        if rows:
            bad = len({row["id"] for row in rows})
            raise Findings(f"{bad} of {verified} ledgers are not as they should be.")
        self.say(f"{verified} ledgers verified.")


def row_of(name: str, seq: int, problem: str) -> dict[str, Any]:
    return {"id": name, "seq": seq, "problem": problem}


def verified_export(file: str, jwks: str, anchors: list[str]) -> tuple[list[dict[str, Any]], int]:
    """Verify an export; return its findings' rows and how many chains it has."""
    keys = KeySet.from_jwks(parse_json(text_of(jwks))) if jwks else None
    report: ExportReport = verify_export(lines_of(file), keys=keys, anchors=anchors)
    rows = [row_of(found.chain, found.seq, found.problem) for found in report.findings]
    return rows, report.chains
