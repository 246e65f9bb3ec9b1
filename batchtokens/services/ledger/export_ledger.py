"""Export the ledger as NDJSON that verifies offline (batchtokens_verifier.exports).

No personal value is in it: entries hold salted digests. Notes, which may, are left out unless
asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, groupby
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from accounts.tokens.keyring import current_key_ring
from batchtokens.models import Checkpoint, LedgerEntry, OperationToken, Redemption
from batchtokens.services.ledger.sink import newest_checkpoint
from batchtokens.services.ledger.verify_ledger import as_folded
from batchtokens_verifier.exports import slots_told
from batchtokens_verifier.jws import unverified_kid
from batchtokens_verifier.ledger import Chain

PAGE = 2000


def export_ledger(*, notes: bool = False) -> Iterator[str]:
    """Yield the lines, of one instant even while others write."""
    with _one_instant():
        yield from map(
            _line, chain(_header(), _checkpoints(), _entries(notes=notes), _rows(), _lost_rows())
        )


@contextmanager
def _one_instant() -> Iterator[None]:
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost and connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _line(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _header() -> Iterator[dict[str, Any]]:
    yield {
        "is": "header",
        "v": 1,
        "issuer": settings.ISSUER_URL,
        "entries": LedgerEntry.objects.count(),
        "jwks": current_key_ring().jwks(),
    }


def _checkpoints() -> Iterator[dict[str, Any]]:
    """Tell the heads whose keys the header has: those of a compromised key prove nothing."""
    stored = Checkpoint.objects.order_by("size").values_list("token", flat=True)
    ring, outside, former = current_key_ring(), newest_checkpoint(), ""
    for token in chain(stored.iterator(PAGE), [outside.token] if outside else []):
        if token != former and ring.has(unverified_kid(token) or ""):
            yield {"is": "checkpoint", "token": token}
        former = token  # only the newest can come twice


def _entries(*, notes: bool) -> Iterator[dict[str, Any]]:
    ordered = LedgerEntry.objects.order_by(F("leaf__index").asc(nulls_last=True), "id")
    columns = ordered.values_list("leaf__index", "entry", "hash", "note")
    for index, entry, entry_hash, note in columns.iterator(PAGE):
        told = {"is": "entry", "index": index, "entry": entry, "hash": entry_hash}
        yield told | ({"note": note} if notes and note else {})


def _rows() -> Iterator[dict[str, Any]]:
    last = None
    tokens = OperationToken.objects.order_by("pk")
    while page := list((tokens.filter(pk__gt=last) if last else tokens)[:PAGE]):
        last = page[-1].pk
        taken = Redemption.objects.filter(operation_token__in=page).order_by("operation_token_id")
        slots = {
            pk: list(those) for pk, those in groupby(taken, lambda row: row.operation_token_id)
        }
        for token in page:
            yield _row(token, slots.get(token.pk, []))


def _lost_rows() -> Iterator[dict[str, Any]]:
    """Tell what the row of a lost token would say, so that its chain stands beside the others."""
    entries = LedgerEntry.objects.of_lost_tokens().order_by("lost_token", "seq")
    for name, those in groupby(entries.iterator(PAGE), lambda entry: entry.lost_token):
        folded = Chain(name)
        for entry in those:
            folded.add(entry.entry)
        yield {
            "is": "row",
            "token": name,
            "seq": folded.seq,
            "head": folded.head,
            "state": folded.state,
            "jws": folded.issued["jws"],
            "slots": slots_told(folded),
            "lost": True,
        }


def _row(token: OperationToken, redemptions: list[Redemption]) -> dict[str, Any]:
    folded = {each.slot: as_folded(each) for each in redemptions}
    return {
        "is": "row",
        "token": token.token_hash,
        "seq": token.seq,
        "head": token.head_hash,
        "state": token.state(),
        "jws": token.jws_digest,
        "slots": {
            name: [slot.status, slot.attempt, slot.minor, slot.currency, slot.counts_at]
            for name, slot in folded.items()
        },
    }
