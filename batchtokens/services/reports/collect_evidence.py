"""Collect the evidence of one mandate, so that it can be verified without this service.

It holds the salt, and so the personal values can be proved; it holds no token that opens a door.
"""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

from accounts.models import SigningKey
from accounts.tokens.key_store import LocalKeyStore
from batchtokens.errors import EvidenceNotReady
from batchtokens.models import Checkpoint, LedgerEntry, OperationToken, RedemptionAttempt
from batchtokens.services.consent.record_consent import consent_record
from batchtokens.services.issuing.signatures import kept_claims
from batchtokens.services.ledger.prove import inclusion_paths
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.evidence import VERSION, WARNING, verify_evidence
from batchtokens_verifier.jws import decode_object, unverified_kid


def collect_evidence(token: OperationToken) -> dict[str, Any]:
    """Return the pack, which was verified before.

    Raises EvidenceNotReady where the sealer has not come by yet, or where nothing kept a part;
    EvidenceNotValid where what is stored does not hold together.
    """
    ledger = LedgerEntry.objects.filter(operation_token=token).select_related("leaf")
    entries = list(ledger.order_by("seq"))
    checkpoint = _covering(entries)
    issued, payload = _issued(entries), kept_claims(token)
    if payload is None:
        raise EvidenceNotReady("The claims were not kept when it was issued.")
    receipts = _receipts(token)
    pack = {
        "v": VERSION,
        "warning": WARNING,
        "issuer": settings.ISSUER_URL,
        "salt": b64url(bytes(token.salt)),
        "mandate": _mandate(token, issued),
        "payload": payload,
        "claims": decode_object(payload),
        "consent": consent_record(token.consent) if token.consent else None,
        "entries": _entries(entries, checkpoint.size),
        "receipts": receipts,
        "checkpoint": checkpoint.token,
        "keys": {"keys": _keys(entries, [checkpoint.token, *receipts])},
    }
    verify_evidence(pack)
    return pack


def _covering(entries: list[LedgerEntry]) -> Checkpoint:
    """Return the newest checkpoint, if all entries are in its tree."""
    newest = Checkpoint.objects.order_by("-size").first()
    sealed = newest is not None and all(_index(entry) < newest.size for entry in entries)
    if newest is None or not entries or not sealed:
        raise EvidenceNotReady("Not sealed yet: ask again when the sealer has run.")
    return newest


def _index(entry: LedgerEntry) -> float:
    return entry.leaf.index if hasattr(entry, "leaf") else float("inf")


def _issued(entries: list[LedgerEntry]) -> dict[str, Any]:
    issued: dict[str, Any] = json.loads(entries[0].entry)["data"]
    if "claims" not in issued:
        raise EvidenceNotReady("It was issued before claims were bound to the ledger.")
    return issued


def _mandate(token: OperationToken, issued: dict[str, Any]) -> dict[str, Any]:
    return {
        "user": token.user.public_id,
        "client": token.client_name,
        "executor": token.executor.client_id,
        "type": issued["type"],
        "summary": token.summary,
        "details": token.details,
    }


def _entries(entries: list[LedgerEntry], size: int) -> list[dict[str, Any]]:
    proofs = inclusion_paths([entry.leaf.index for entry in entries], size=size)
    return [
        {"entry": entry.entry, "index": entry.leaf.index, "proof": proof, "note": entry.note}
        for entry, proof in zip(entries, proofs, strict=True)
    ]


def _receipts(token: OperationToken) -> list[str]:
    """Return the receipt of each attempt, and of each redemption's last closing."""
    attempts = RedemptionAttempt.objects.filter(redemption__operation_token=token)
    opened = attempts.order_by("at", "attempt").values_list("receipt", flat=True)
    closed = token.redemptions.exclude(closing_receipt="").order_by("counts_at")
    return [*opened, *closed.values_list("closing_receipt", flat=True)]


def _keys(entries: list[LedgerEntry], proofs: list[str]) -> list[dict[str, Any]]:
    """Return the public keys that signed anything of it, also those no longer published."""
    told = (json.loads(entry.entry)["data"] for entry in entries)
    used = {data["kid"] for data in told if "jws" in data} | {unverified_kid(t) for t in proofs}
    rows = {row.kid: row for row in SigningKey.objects.filter(kid__in=used)}
    if used != rows.keys():
        raise EvidenceNotReady("A key that signed it is gone.")
    return [_public(rows[kid]) for kid in sorted(rows)]


def _public(row: SigningKey) -> dict[str, Any]:
    public = LocalKeyStore().open(row).public_jwk()
    return {**public, "kid": row.kid, "alg": row.alg, "use": "sig", "purpose": row.purpose}
