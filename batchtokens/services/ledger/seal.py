"""Seal the ledger: give entries their places in the tree, and sign its head (RFC 9162 section 2.1).

A head is on the disk outside of the database before anybody sees it. One sealer at a time; killed
at any step, the next one goes on from what is stored. The tree is never made smaller or another:
where the database has less than the last checkpoint outside, nothing is sealed (I2).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from accounts.tokens.backend import sign
from batchtokens.errors import LedgerBehind
from batchtokens.models import Checkpoint
from batchtokens.models.clock import database_now
from batchtokens.models.sealing import (
    Watermark,
    next_watermark,
    place_all,
    stored_root,
    tree_size,
)
from batchtokens.services.ledger.sink import (
    latest_checkpoint,
    newest_checkpoint,
    put_checkpoint,
    repair_latest,
    sink_lock,
    thin_out,
)
from batchtokens_verifier.checkpoints import TreeHead, VerifiedCheckpoint
from batchtokens_verifier.jws import Purpose

_LOCK_ID = "hashtextextended('authproject ledger sealer', 0)"


@dataclass(frozen=True)
class Sealed:
    """What one look did. placed: entries that got their leaf; head: the newest one."""

    placed: int
    head: TreeHead | None


@contextmanager
def sealer_lock() -> Iterator[bool]:
    """Be the only sealer while the block lasts; False: another one is."""
    if connection.vendor != "postgresql":
        with sink_lock() as held:
            yield held
        return
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_try_advisory_lock({_LOCK_ID})")
        (held,) = cursor.fetchone()
    try:
        yield held
    finally:
        # A connection that is gone has let go of it.
        if held and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT pg_advisory_unlock({_LOCK_ID})")


class Sealing:
    """One sealer's work between taking the lock and letting go; it remembers where it was.

    Its first look compares the database with the sink and examines every entry.
    """

    def __init__(self) -> None:
        self._watermark: Watermark | None = None
        self._newest: VerifiedCheckpoint | None = None
        self._compared = False

    def look(self) -> Sealed:
        """Place what is new and sign the head. Raises LedgerBehind, and then compares again."""
        if not self._compared:
            self._newest = compare_with_sink()
            self._compared = True
        try:
            placed = self._place()
            if placed or self._unsigned():
                self._sign(tree_size())
        except Exception:
            self._compared = False
            raise
        return Sealed(placed, self._newest.head if self._newest else None)

    def sweep(self) -> None:
        """Let the next look examine every entry, whatever its id."""
        self._watermark = None
        self._compared = False

    def _place(self) -> int:
        coming = next_watermark(self._watermark)
        placed = place_all(after=coming.passed, before=self._check_heads)
        self._watermark = coming
        return placed

    def _check_heads(self) -> None:
        """What new leaves are hashed with must be what was signed, by this one or by another.

        Another one signs into this sink only where there is a copy of the database.
        """
        outside = latest_checkpoint()
        if outside is None and self._newest is not None:
            raise LedgerBehind("The sink was emptied.")
        for signed in (self._newest, outside):
            if signed is not None:
                _check_contains(signed.head)
        if outside and (self._newest is None or self._newest.head < outside.head):
            self._newest = outside

    def _unsigned(self) -> bool:
        """Tell whether leaves were placed by one who did not come to sign."""
        return self._newest is None and tree_size() > 0

    def _sign(self, size: int) -> None:
        former = self._newest
        epoch = former.head.epoch if former else 0
        self._newest = publish(TreeHead(epoch, size, stored_root(size)))
        if former:
            thin_out(former, after=self._newest)


def publish(head: TreeHead) -> VerifiedCheckpoint:
    """Sign a head, write it outside, then store it; returns the one that holds."""
    now = database_now()
    claims = {
        "iss": settings.ISSUER_URL,
        "iat": int(now.timestamp()),
        "size": head.size,
        "root": head.root,
    }
    if head.epoch:
        claims["epoch"] = head.epoch
    written = put_checkpoint(sign(claims, purpose=Purpose.CHECKPOINT).token, head)
    _store(written)
    return written


def _store(checkpoint: VerifiedCheckpoint) -> None:
    head, at = checkpoint.head, dt.datetime.fromtimestamp(checkpoint.iat, dt.UTC)
    values = {"root": head.root, "token": checkpoint.token, "at": at}
    stored, _ = Checkpoint.objects.get_or_create(size=head.size, defaults=values)
    if stored.root != head.root:
        raise LedgerBehind(f"The database has another head of size {head.size}.")


def compare_with_sink() -> VerifiedCheckpoint | None:
    """Check that the newest head outside is in the database's tree, and return the newest signed.

    A head that came to the sink but not to the database is stored. Raises LedgerBehind, OSError.
    """
    outside = newest_checkpoint()
    if outside is None:
        if Checkpoint.objects.exists():
            raise LedgerBehind("The sink is empty, but the database has checkpoints.")
        return None
    _check_contains(outside.head)
    _store(outside)
    repair_latest(outside)
    size = tree_size()
    if size > outside.head.size:  # placed by one that did not come to sign
        return publish(TreeHead(outside.head.epoch, size, stored_root(size)))
    return outside


def _check_contains(head: TreeHead) -> None:
    size = tree_size()
    if head.size > size:
        raise LedgerBehind(f"The checkpoint outside has {head.size} entries, the ledger {size}.")
    if stored_root(head.size) != head.root:
        raise LedgerBehind(f"The ledger's tree is another one at size {head.size}.")
