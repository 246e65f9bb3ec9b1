"""The ledger: one hash-chained list of canonical JSON entries per operation token (I2).

What concerns no single token (keys, executors, types, a restore) is in the authority's own chain.
An entry holds no personal value, only digests salted with the token's own salt.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from django.db import connection, models
from django.db.models import F, Q

from batchtokens.models.operation_tokens import OperationToken
from batchtokens.models.writing import new_row
from batchtokens_verifier.canonical import b64url, canonicalize, digest

STATE_FIELDS = (
    "holds",
    "cancelled_at",
    "disowned_at",
    "taken_count",
    "taken_minor",
    "settled_count",
    "lowered",
    "seq",
    "head_hash",
    "last_at",
)
AUTHORITY = "authority"  # what the authority's own entries have in the place of a token's hash


class EntryKind(models.TextChoices):
    ISSUED = "issued"
    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"
    HELD = "held"
    RESUMED = "resumed"
    CANCELLED = "cancelled"
    LOWERED = "lowered"  # a limit, below what was signed
    DISOWNED = "disowned"  # the signature: its key is compromised
    REISSUED = "reissued"  # signed anew, with the same jti
    # The authority's own.
    KEY_ADDED = "key_added"
    KEY_RETIRED = "key_retired"
    KEY_COMPROMISED = "key_compromised"
    EXECUTOR_STOPPED = "executor_stopped"
    EXECUTOR_STARTED = "executor_started"
    EXECUTOR_CAPPED = "executor_capped"  # data.caps: all that hold from then on
    TYPE_STOPPED = "type_stopped"
    TYPE_STARTED = "type_started"
    RECONCILED = "reconciled"


class LedgerEntryQuerySet(models.QuerySet["LedgerEntry"]):
    def of_authority(self) -> LedgerEntryQuerySet:
        """Keep the authority's own chain."""
        return self.filter(operation_token=None, lost_token="")

    def of_lost_tokens(self) -> LedgerEntryQuerySet:
        """Keep the chains that a restored database has no row of."""
        return self.exclude(lost_token="")

    def of_operations(self) -> LedgerEntryQuerySet:
        """Keep the chains of the rows that there are."""
        return self.exclude(operation_token=None)

    def heads_of(self, tokens: Iterable[OperationToken]) -> LedgerEntryQuerySet:
        """Keep the last entry of each row, as the stored row counts them."""
        return self.filter(operation_token__in=tokens, seq=F("operation_token__seq"))


class LedgerEntry(models.Model):
    """One insert-only entry; `entry` is the exact text that `hash` covers."""

    id = models.BigAutoField(primary_key=True)
    operation_token = models.ForeignKey(
        OperationToken,
        null=True,
        on_delete=models.PROTECT,
        related_name="ledger_entries",
        help_text="Empty: the authority's own chain, or a lost token's.",
    )
    lost_token = models.CharField(
        max_length=43,
        blank=True,
        default="",
        db_default="",
        help_text="The hash of a token whose row a restored database has lost.",
    )
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=24, choices=EntryKind.choices)
    at = models.DateTimeField()
    entry = models.TextField()
    hash = models.CharField(max_length=43)
    note = models.TextField(blank=True, help_text="What data.note is the salted digest of.")

    objects = LedgerEntryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["operation_token", "seq"], name="ledger_entry_no_fork"),
            models.UniqueConstraint(
                fields=["seq"],
                condition=Q(operation_token=None, lost_token=""),
                name="ledger_entry_authority_no_fork",
            ),
            models.UniqueConstraint(
                fields=["lost_token", "seq"],
                condition=~Q(lost_token=""),
                name="ledger_entry_lost_no_fork",
            ),
            models.CheckConstraint(
                condition=Q(operation_token=None) | Q(lost_token=""),
                name="ledger_entry_one_chain",
            ),
        ]
        indexes = [models.Index(fields=["at"], name="ledger_entry_at")]

    def __str__(self) -> str:
        return f"{self.operation_token_id or self.lost_token or AUTHORITY}#{self.seq} {self.kind}"

    def tells(self, token: OperationToken) -> bool:
        """Say whether this is the head of the row's chain, and its state the row's."""
        told = json.loads(self.entry).get("state")
        return told == token.state() and entry_hash(self.entry) == token.head_hash


def entry_hash(entry: str) -> str:
    return b64url(hashlib.sha256(entry.encode()).digest())


def salted_digest(salt: bytes, value: str) -> str:
    return digest(salt + value.encode())


def instant(at: dt.datetime) -> str:
    """Format an aware instant as RFC 3339 with microseconds, in UTC."""
    utc = at.astimezone(dt.UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='microseconds')}Z"


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
    return new_row(
        LedgerEntry,
        related={"operation_token": token},
        seq=token.seq,
        kind=kind,
        at=token.last_at,
        entry=entry,
        hash=token.head_hash,
        note=note,
    )


def append_authority_entry(
    kind: EntryKind, *, at: dt.datetime, data: dict[str, Any]
) -> LedgerEntry:
    """Store the next entry of the authority's own chain; `data` holds no personal value.

    Call it in a transaction: writers of this chain wait for each other until it ends.
    """
    lock_authority_chain()
    head = LedgerEntry.objects.of_authority().order_by("-seq").first()
    at = max(at, head.at) if head else at
    seq = head.seq + 1 if head else 1
    entry = canonicalize(
        {
            "v": 1,
            "kind": kind.value,
            "token": AUTHORITY,
            "seq": seq,
            "at": instant(at),
            "data": data,
            "state": {},
            "prev": head.hash if head else "",
        }
    ).decode()
    return LedgerEntry.objects.create(
        seq=seq, kind=kind, at=at, entry=entry, hash=entry_hash(entry)
    )


def lock_authority_chain() -> None:
    """Be the only writer of the authority's own chain until the transaction ends."""
    if connection.vendor == "postgresql":  # SQLite's transaction is the only writer
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('authority chain'))")
