"""Bring an operation's row and redemptions to what entries say that it has lost (I15).

What no entry tells cannot come back: the answers to redemption requests, and the bytes of a token
that was signed anew. Closing receipts are signed again: other bytes, the same claims.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from batchtokens.errors import LedgerBroken
from batchtokens.models import (
    STATE_FIELDS,
    EntryKind,
    LedgerEntry,
    OperationToken,
    QueuedRun,
    Redemption,
    RedemptionStatus,
    RunState,
)
from batchtokens.services.ledger.verify_ledger import as_folded
from batchtokens.services.mandates.cancellations import confirm_cancellations
from batchtokens.services.recovery.read_export import ToldEntry
from batchtokens.services.redemption.receipts import sign_receipt
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import OperationRevoked
from batchtokens_verifier.ledger import Chain

SIGNED_FIELDS = ("kid", "jws_digest", "sealed_token", "sealed_until")


@dataclass
class FoldedRow:
    """A locked row as it becomes. signature_lost: nobody here has the bytes that now count.

    chain: what its ledger says so far.
    """

    token: OperationToken
    redemptions: dict[str, Redemption]
    chain: Chain
    new: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    signature_lost: bool = False

    def add(self, entry: ToldEntry) -> None:
        """Fold one entry in that the row lacks; call it in the order of the chain.

        Raises LedgerBroken where the redemption that it is about was not what the ledger says.
        """
        token, state = self.token, entry.body["state"]
        match entry.kind:
            case EntryKind.RESERVED:
                self._reserve(entry)
            case EntryKind.SETTLED | EntryKind.RELEASED:
                self._close(entry)
            case EntryKind.DISOWNED:
                token.disowned_at = entry.at
                token.sealed_token = token.sealed_until = None
            case EntryKind.REISSUED:
                token.kid, token.jws_digest = entry.data["kid"], entry.data["jws"]
                token.sealed_token = token.sealed_until = token.disowned_at = None
                self.signature_lost = True
        token.holds, token.lowered = state["holds"], state.get("lowered", {})
        token.taken_count, token.taken_minor = state["count"], state["sum"]
        token.settled_count = state["settled"]
        token.seq, token.head_hash, token.last_at = entry.seq, entry.hash, entry.at
        if entry.kind == EntryKind.CANCELLED:
            token.cancelled_at = entry.at
            confirm_cancellations([token], entry.data["by"])
        self.chain.add(entry.text)

    def _redemption(self, slot: str) -> Redemption | None:
        """Return a slot's row: of another one than was recorded, no receipt is signed."""
        row = self.redemptions.get(slot)
        if (as_folded(row) if row else None) != self.chain.slots.get(slot):
            raise LedgerBroken(f"{self.token.public_id} {slot}: not what its ledger says.")
        return row

    def _reserve(self, entry: ToldEntry) -> None:
        data, slot = entry.data, entry.data["slot"]
        amount = Amount.parse(data["amount"], "")
        row = self._redemption(slot)
        if row is None:
            row = Redemption(id=data["redemption"], operation_token=self.token, slot=slot)
            self.redemptions[slot] = row
            self.new.add(slot)
        self.touched.add(slot)
        row.status, row.attempt = RedemptionStatus.RESERVED, data["attempt"]
        row.amount_minor, row.currency = amount.minor, amount.currency
        row.counts_at = dt.datetime.fromisoformat(data["counts_at"])
        row.reserved_at = entry.at
        row.lease_expires_at = entry.at + settings.REDEMPTION_LEASE
        row.reference = row.closing_receipt = ""

    def _close(self, entry: ToldEntry) -> None:
        row = self._redemption(entry.data["slot"])
        if row is None:  # the export's own chain would have been broken
            raise LedgerBroken(f"{self.token.public_id} entry {entry.seq} closes nothing.")
        row.operation_token = self.token
        self.touched.add(row.slot)
        row.status = RedemptionStatus(entry.kind)
        row.reference = entry.note_of(self.token)
        proven = LedgerEntry(seq=entry.seq, at=entry.at, hash=entry.hash)
        row.closing_receipt = sign_receipt(row, proven, audience=entry.data["client"])
        if entry.kind == EntryKind.SETTLED:
            row.settled_at = entry.at
        else:
            row.releases += 1

    def store(self) -> None:
        """Write the row, its redemptions, and what that means for its waiting runs."""
        self.token.save(update_fields=[*STATE_FIELDS, *SIGNED_FIELDS])
        Redemption.objects.bulk_create(self.redemptions[slot] for slot in sorted(self.new))
        changed = [self.redemptions[slot] for slot in sorted(self.touched - self.new)]
        columns = [each.name for each in Redemption._meta.concrete_fields if not each.primary_key]
        Redemption.objects.bulk_update(changed, columns)
        self._end_runs()

    def _end_runs(self) -> None:
        """Deliver nothing again that was settled, and nothing of what was cancelled."""
        waiting = QueuedRun.objects.filter(
            operation_token=self.token, state__in=[RunState.PENDING, RunState.LEASED]
        )
        over = {"leased_until": None, "lease_owner": "", "finished_at": self.token.last_at}
        settled = [r.slot for r in self.redemptions.values() if r.settled_at]
        waiting.filter(occurrence__in=settled).update(state=RunState.DONE, **over)
        if self.token.cancelled_at:
            waiting.update(state=RunState.DEAD, code=OperationRevoked.code, **over)


def fold_rows(tokens: Sequence[OperationToken], entries: Iterable[ToldEntry]) -> list[FoldedRow]:
    """Fold the entries that locked rows lack into them, in memory.

    entries: of the whole tree; those that a row has tell what it must be before.
    Raises LedgerBroken where a row does not become what its last entry says (I15).
    """
    taken: dict[object, dict[str, Redemption]] = {token.pk: {} for token in tokens}
    for redemption in Redemption.objects.filter(operation_token__in=tokens):
        taken[redemption.operation_token_id][redemption.slot] = redemption
    rows = {
        token.token_hash: FoldedRow(token, taken[token.pk], Chain(token.token_hash))
        for token in tokens
    }
    for entry in entries:
        row = rows.get(entry.chain)
        if row is None:
            continue
        if entry.seq <= row.token.seq:
            row.chain.add(entry.text)
        else:
            row.add(entry)
            if row.token.state() != entry.body["state"]:
                raise LedgerBroken(f"{row.token.public_id} entry {entry.seq} cannot be applied.")
    return list(rows.values())
