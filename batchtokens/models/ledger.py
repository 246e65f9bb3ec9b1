"""The ledger: one hash-chained list of canonical JSON entries per operation token (DESIGN §6).

An entry holds no personal value, only digests salted with the token's own salt.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from django.db import models

from batchtokens.models.operation_tokens import OperationToken
from batchtokens_verifier.canonical import b64url, canonicalize, digest

STATE_FIELDS = (
    "holds",
    "cancelled_at",
    "taken_count",
    "taken_minor",
    "settled_count",
    "seq",
    "head_hash",
    "last_at",
)


class EntryKind(models.TextChoices):
    ISSUED = "issued"
    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"
    HELD = "held"
    RESUMED = "resumed"
    CANCELLED = "cancelled"


class LedgerEntry(models.Model):
    """One insert-only entry; `entry` is the exact text that `hash` covers."""

    id = models.BigAutoField(primary_key=True)
    operation_token = models.ForeignKey(
        OperationToken, on_delete=models.PROTECT, related_name="ledger_entries"
    )
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=EntryKind.choices)
    at = models.DateTimeField()
    entry = models.TextField()
    hash = models.CharField(max_length=43)
    note = models.TextField(blank=True, help_text="What data.note is the salted digest of.")

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["operation_token", "seq"], name="ledger_entry_no_fork"),
        ]

    def __str__(self) -> str:
        return f"{self.operation_token_id}#{self.seq} {self.kind}"


def entry_hash(entry: str) -> str:
    return b64url(hashlib.sha256(entry.encode()).digest())


def salted_digest(salt: bytes, value: str) -> str:
    return digest(salt + value.encode())


def instant(at: dt.datetime) -> str:
    """Format an aware instant as RFC 3339 with microseconds, in UTC."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def chain_entry(
    token: OperationToken, kind: EntryKind, *, at: dt.datetime, data: dict[str, Any], note: str = ""
) -> LedgerEntry:
    """Return the next, unsaved entry and move `token`'s chain head (in memory) onto it.

    Call it under the row's lock, after the state columns have their new values. `at` never
    decreases.
    """
    token.last_at = max(at, token.last_at)
    token.seq += 1
    if note:
        data = {**data, "note": salted_digest(bytes(token.salt), note)}
    entry = canonicalize(
        {
            "v": 1,
            "kind": kind.value,
            "token": token.token_hash,
            "seq": token.seq,
            "at": instant(token.last_at),
            "data": data,
            "state": token.state(),
            "prev": token.head_hash,
        }
    ).decode()
    token.head_hash = entry_hash(entry)
    return LedgerEntry(
        operation_token=token,
        seq=token.seq,
        kind=kind,
        at=token.last_at,
        entry=entry,
        hash=token.head_hash,
        note=note,
    )
