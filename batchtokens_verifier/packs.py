"""Reads an evidence pack's file: JSON, or a ZIP archive of it with a letter to who opens it."""

import io
import zipfile
import zlib
from typing import Any

from batchtokens_verifier.canonical import parse_json
from batchtokens_verifier.errors import EvidenceNotValid, InvalidOperation
from batchtokens_verifier.evidence import WARNING

MAX_PACK_BYTES = 64 * 1024 * 1024
PACK, LETTER = "evidence.json", "README.txt"
# Whoever reads it will act on it, so it is compared word by word; other words need a new version.
README = f"""The evidence of one mandate.

{PACK} holds what its person agreed to, the claims that were signed, every ledger entry with
its proof, the receipts, the checkpoint and the public keys. Verify it without the service:

    manage.py operations verify_evidence FILE --keys JWKS-FILE

or with batchtokens_verifier.evidence.verify_evidence. {WARNING}
"""
# What zipfile raises for a broken archive: also for one that seems encrypted.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError, ValueError)


def parse_pack(content: bytes) -> Any:
    """Return what a pack's file holds; `verify_evidence` judges it.

    Raises InvalidOperation for what is no pack, EvidenceNotValid for other files beside it.
    """
    try:
        if content.startswith(b"PK"):
            content = _unzipped(content)
    except _BROKEN as error:
        raise InvalidOperation(f"The archive is broken: {error}") from None
    return parse_json(content, max_bytes=MAX_PACK_BYTES)


def _unzipped(content: bytes) -> bytes:
    """Return the pack; what would unfold into too much is read no further."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(each.compress_type not in _METHODS for each in archive.infolist()):
            raise zipfile.BadZipFile("its files are compressed in another way.")
        with archive.open(PACK) as file:
            pack = file.read(MAX_PACK_BYTES + 1)
        if sorted(archive.namelist()) != sorted([PACK, LETTER]):
            raise EvidenceNotValid("The files are not as expected.", pointer="")
        with archive.open(LETTER) as file:
            if file.read(len(README) + 1) != README.encode():
                raise EvidenceNotValid("The letter is another one.", pointer=f"/{LETTER}")
    return pack


def zip_pack(text: bytes) -> bytes:
    """Return the archive of a pack."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PACK, text)
        archive.writestr(LETTER, README)
    return content.getvalue()
