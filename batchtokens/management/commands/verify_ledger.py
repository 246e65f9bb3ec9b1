"""Verify every operation's ledger, that its row is what the ledger adds up to, and the tree."""

from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from accounts.management.arguments import name
from accounts.management.base import Findings, ProductCommand, Refused, UsageError
from batchtokens.management.operations.verify import jwks_of
from batchtokens.management.text_files import lines_of, text_of
from batchtokens.services.ledger.sink import own_checkpoint
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.ledger.verify_tree import verify_tree
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.exports import EXPORT, TREE, ExportReport, verify_export
from batchtokens_verifier.ledger import AUTHORITY


class Command(ProductCommand):
    """Read all; a line for each finding, exit 6 if there is one."""

    help = "Verify chains, rows, redemptions, receipts, the tree and checkpoints; or an export."
    lists = True

    def add_options(self, parser: CommandParser) -> None:
        """Declare what to compare with, and an export to read instead of the database."""
        parser.add_argument(
            "--checkpoint",
            action="append",
            type=name,
            default=[],
            help="file with one that was kept; repeat",
        )
        parser.add_argument("--sink", action="store_true", help="compare every head of the sink")
        parser.add_argument("--file", type=name, help="an export_ledger file; needs no database")
        parser.add_argument("--jwks", type=Path, help="with --file: keys that were kept")

    def handle(
        self,
        *args: Any,
        checkpoint: list[str],
        sink: bool,
        file: str | None,
        jwks: Path | None,
        **options: Any,
    ) -> None:
        """Print what is wrong, and where it begins."""
        anchors = [text_of(path).strip() for path in checkpoint]
        if file:
            self._finish(*verified_export(file, jwks, anchors))
            return
        if jwks:
            raise UsageError("--jwks is for --file.")
        for path, token in zip(checkpoint, anchors, strict=True):
            _check_ours(path, token)
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
            bad = len({row["id"] for row in rows} - {EXPORT, TREE, AUTHORITY})
            what = (
                f"{bad} of {verified} ledgers are" if bad else "What holds the ledgers together is"
            )
            raise Findings(f"{what} not as {'they' if bad else 'it'} should be.")
        self.say(f"{verified} ledgers verified.")


def _check_ours(path: str, token: str) -> None:
    try:
        own_checkpoint(token)
    except VerificationError:
        raise Refused(f"{path} is no checkpoint of this authority.") from None


def row_of(ledger: str, seq: int, problem: str) -> dict[str, Any]:
    return {"id": ledger, "seq": seq, "problem": problem}


def verified_export(
    file: str, jwks: Path | None, anchors: list[str]
) -> tuple[list[dict[str, Any]], int]:
    """Verify an export; return its findings' rows and how many chains it has."""
    keys = jwks_of(jwks, "--jwks") if jwks else None
    report: ExportReport = verify_export(lines_of(file), keys=keys, anchors=anchors)
    rows = [row_of(found.chain, found.seq, found.problem) for found in report.findings]
    return rows, report.chains
