"""The Merkle tree over all ledger entries, insert-only (RFC 9162 section 2.1).

The sealer alone assigns leaf indexes: a lower entry id may commit later than a higher one.
"""

from __future__ import annotations

from django.db import models

from batchtokens.models.ledger import LedgerEntry


class LedgerLeaf(models.Model):
    """An entry's place in the tree."""

    index = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(LedgerEntry, on_delete=models.PROTECT, related_name="leaf")
    hash = models.CharField(max_length=43, help_text="SHA-256(0x00 || entry), base64url.")

    def __str__(self) -> str:
        return str(self.index)


class LedgerNode(models.Model):
    """The hash of one complete subtree of 2^level leaves; level 0 is LedgerLeaf."""

    id = models.BigAutoField(primary_key=True)
    level = models.PositiveSmallIntegerField()
    position = models.BigIntegerField(help_text="Of the subtree among those of its level.")
    hash = models.CharField(max_length=43)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["level", "position"], name="ledger_node_once"),
        ]

    def __str__(self) -> str:
        return f"{self.level}/{self.position}"


class Checkpoint(models.Model):
    """A signed tree head; it was written to the sink outside of the database before."""

    size = models.BigIntegerField(primary_key=True)
    root = models.CharField(max_length=43)
    token = models.TextField(help_text="checkpoint+jwt")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.size} {self.root}"
