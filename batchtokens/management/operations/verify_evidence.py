"""`operations verify_evidence`: judge an evidence pack offline; nothing here asks a database."""

from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import Findings, ProductCommand, UsageError
from batchtokens.management.operations.verb import Verb
from batchtokens.management.operations.verify import jwks_of
from batchtokens_verifier.errors import EvidenceNotValid, InvalidOperation
from batchtokens_verifier.evidence import Evidence, verify_evidence
from batchtokens_verifier.packs import MAX_PACK_BYTES, parse_pack


class VerifyEvidence(Verb):
    """Exit 6, with where and why, for what does not hold."""

    name = "verify_evidence"
    help = "Verify an evidence pack offline."

    def add_options(self, parser: CommandParser) -> None:
        """Declare the pack, and whose keys to believe."""
        parser.add_argument("file", metavar="FILE", type=Path, help="a .json or .zip pack")
        parser.add_argument(
            "--keys", type=Path, help="the authority's JWKS; without it, the pack's own keys"
        )

    def run(self, command: ProductCommand, options: dict[str, Any]) -> None:
        """Print what it proves."""
        keys = jwks_of(options["keys"]) if options["keys"] else None
        try:
            evidence = verify_evidence(_read(options["file"]), keys=keys)
        except EvidenceNotValid as refusal:
            told = {"id": "", "verdict": "refused", "code": refusal.code}
            command.emit_one({**told, "where": refusal.pointer, "why": str(refusal)})
            raise Findings(f"Refused at {refusal.pointer or '/'}: {refusal}") from None
        command.emit_one(_accepted(evidence))
        if keys is None:
            command.say("Only the pack's own keys were asked: compare them with the authority's.")


def _accepted(evidence: Evidence) -> dict[str, Any]:
    return {
        "id": evidence.operation_id,
        "verdict": "accepted",
        "keys": "the authority's" if evidence.keys_trusted else "the pack's own",
        "entries": evidence.entries,
        "redemptions": evidence.redemptions,
        "checkpoint_size": evidence.head.size,
        "checkpoint_root": evidence.head.root,
    }


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return parse_pack(file.read(MAX_PACK_BYTES + 1))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except InvalidOperation as error:
        raise UsageError(f"{path} is no evidence pack: {error}") from None
