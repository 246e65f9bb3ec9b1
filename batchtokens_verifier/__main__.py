"""`python -m batchtokens_verifier`: judge an evidence pack, or a ledger's export, offline.

It prints JSON; it ends with 0 where all holds, with 6 and a code where not, with 2 where a file
cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import (
    EvidenceNotValid,
    InvalidKeySet,
    InvalidOperation,
    LedgerNotValid,
)
from batchtokens_verifier.evidence import verify_evidence
from batchtokens_verifier.exports import verify_export
from batchtokens_verifier.jws import KeySet
from batchtokens_verifier.packs import MAX_PACK_BYTES, parse_pack

HOLDS, UNREADABLE, REFUSED = 0, 2, 6
MAX_BYTES = 1024 * 1024  # of a key set, or a checkpoint


class UnreadableError(Exception):
    """A file that was named cannot be read, or is something else."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge what the arguments name; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        keys = _keys(options.keys)
        verdict = options.judge(options, keys)
    except UnreadableError as error:
        sys.stderr.write(f"{error}\n")
        return UNREADABLE
    sys.stdout.write(f"{json.dumps(verdict, indent=2)}\n")
    if keys is None:
        sys.stderr.write("Only the file's own keys were asked: compare them.\n")
    return HOLDS if verdict["verdict"] == "accepted" else REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m batchtokens_verifier", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    evidence = kinds.add_parser("evidence", help="the evidence of one mandate")
    evidence.set_defaults(judge=_judge_evidence)
    ledger = kinds.add_parser("ledger", help="a whole ledger, as export_ledger writes it")
    ledger.set_defaults(judge=_judge_ledger)
    ledger.add_argument(
        "--checkpoint", type=Path, action="append", default=[], help="one that was kept; repeat"
    )
    for kind in (evidence, ledger):
        kind.add_argument("file", metavar="FILE", type=Path)
        kind.add_argument(
            "--keys", type=Path, metavar="JWKS", help="the authority's, from where you trust"
        )
    return parser


def _judge_evidence(options: argparse.Namespace, keys: KeySet | None) -> dict[str, Any]:
    try:
        pack = parse_pack(_read(options.file, MAX_PACK_BYTES))
        proven = verify_evidence(pack, keys=keys)
    except InvalidOperation as error:
        raise UnreadableError(f"{options.file} is no evidence pack: {error}") from None
    except EvidenceNotValid as refusal:
        told = {"code": refusal.code, "where": refusal.pointer, "why": str(refusal)}
        return {"verdict": "refused", **told}
    return {"verdict": "accepted", **asdict(proven)}


def _judge_ledger(options: argparse.Namespace, keys: KeySet | None) -> dict[str, Any]:
    kept = [_text(_read(path, MAX_BYTES), path).strip() for path in options.checkpoint]
    try:
        report = verify_export(_lines(options.file), keys=keys, anchors=kept)
    except LedgerNotValid as refusal:
        return {"verdict": "refused", "code": refusal.code, "why": str(refusal), "findings": []}
    trusted = {"keys_trusted": keys is not None}
    counted = {**trusted, "entries": report.entries, "chains": report.chains}
    if report.findings:
        found = [asdict(each) for each in report.findings]
        return {"verdict": "refused", "code": LedgerNotValid.code, **counted, "findings": found}
    head = asdict(report.head) if report.head else None
    return {"verdict": "accepted", **counted, "head": head, "checkpoints_kept": len(kept)}


def _keys(path: Path | None) -> KeySet | None:
    if path is None:
        return None
    try:
        return KeySet.from_jwks(parse_json(_read(path, MAX_BYTES), max_bytes=MAX_BYTES))
    except (InvalidKeySet, InvalidOperation) as error:
        raise UnreadableError(f"{path} is no key set: {error}") from None


def _read(path: Path, most: int) -> bytes:
    """Return a file's bytes, at most one more than it may have."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from None


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UnreadableError(f"{path} is no text.") from None


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            for line in file:
                yield _text(line, path)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}.") from None


if __name__ == "__main__":
    sys.exit(main())
