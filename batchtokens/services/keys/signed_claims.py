"""The claims that were signed for many rows, each compared with what its ledger says was signed.

Two statements for as many rows as fit in memory, and one where an earlier release has issued some.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection

from django.db.models import OuterRef, Subquery

from accounts.crypto import open_sealed
from accounts.errors import SealBroken
from batchtokens.models import LedgerEntry, OperationToken, QueuedRun, salted_digest
from batchtokens.services.issuing.signatures import kept_claims
from batchtokens.services.queue.enqueue import seal_context
from batchtokens_verifier.canonical import b64url_decode, parse_json
from batchtokens_verifier.claims import token_hash
from batchtokens_verifier.errors import ProblemError


def signed_claims(tokens: Collection[OperationToken]) -> dict[uuid.UUID, str]:
    """Return the payload segments by the rows' keys; those are left out that nothing has kept."""
    first = LedgerEntry.objects.filter(operation_token__in=tokens, seq=1)
    entries = dict(first.values_list("operation_token", "entry"))
    runs = _first_runs([token for token in tokens if token.claims_sealed is None])
    claims: dict[uuid.UUID, str] = {}
    for token in tokens:
        payload = _opened(token, runs.get(token.pk))
        entry = entries.get(token.pk)  # None: it was taken out
        if payload and entry and _is_of(token, payload, json.loads(entry)["data"]):
            claims[token.pk] = payload
    return claims


def _first_runs(tokens: Collection[OperationToken]) -> dict[uuid.UUID, QueuedRun]:
    """Look into the queue, for what an earlier release has issued."""
    if not tokens:
        return {}
    first = QueuedRun.objects.filter(operation_token=OuterRef("pk")).order_by("pk")[:1]
    rows = OperationToken.objects.filter(pk__in=[token.pk for token in tokens])
    runs = QueuedRun.objects.filter(
        pk__in=rows.annotate(run=Subquery(first.values("pk"))).values("run")
    )
    return {run.operation_token_id: run for run in runs}


def _opened(token: OperationToken, run: QueuedRun | None) -> str | None:
    try:
        return kept_claims(token) or (_queued_claims(token, run) if run else None)
    except SealBroken:
        return None


def _queued_claims(token: OperationToken, run: QueuedRun) -> str:
    context = seal_context(token.public_id, run.occurrence)
    job = json.loads(open_sealed(run.sealed, context=context))
    return str(job["operation_token"]).split(".")[1]


def _is_of(token: OperationToken, payload: str, issued: dict[str, str]) -> bool:
    """Compare the claims with the row, and with what its ledger says was signed."""
    try:
        claims = parse_json(b64url_decode(payload))
    except (ValueError, ProblemError):
        return False
    digest = salted_digest(bytes(token.salt), payload)
    return (
        isinstance(claims, dict)
        and token_hash(claims["jti"]) == token.token_hash
        and claims["authorization_details"] == [token.details]
        # An earlier release's first entry does not tell.
        and issued.get("claims", digest) == digest
    )
