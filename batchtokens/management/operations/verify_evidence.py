"""`operations verify_evidence`: judge an evidence pack offline; nothing here asks a database."""

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

from django.core.management import CommandParser

from accounts.management.base import Findings, ProductCommand, UsageError
from batchtokens.management.operations.evidence import LETTER, PACK, README
from batchtokens.management.operations.verb import Verb
from batchtokens.management.operations.verify import jwks_of
from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import EvidenceNotValid, InvalidOperation
from batchtokens_verifier.evidence import Evidence, verify_evidence

MAX_BYTES = 64 * 1024 * 1024
# What zipfile raises for a broken archive: also for one that seems encrypted, or of another method.
_BROKEN = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError, ValueError)
_UNREADABLE = (InvalidOperation, *_BROKEN)


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
            content = file.read(MAX_BYTES + 1)
        if content.startswith(b"PK"):
            content = _unzipped(content)
        return parse_json(content, max_bytes=MAX_BYTES)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except _UNREADABLE as error:
        raise UsageError(f"{path} is no evidence pack: {error}") from None


def _unzipped(content: bytes) -> bytes:
    """Return the pack; what would unfold into too much is read no further.

    Raises EvidenceNotValid where the letter that goes with it is another one.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        with archive.open(PACK) as file:
            pack = file.read(MAX_BYTES + 1)
        if sorted(archive.namelist()) != sorted([PACK, LETTER]):
            raise EvidenceNotValid("The files are not as expected.", pointer="")
        with archive.open(LETTER) as file:
            if file.read(len(README) + 1) != README.encode():
                raise EvidenceNotValid("The letter is another one.", pointer=f"/{LETTER}")
    return pack
