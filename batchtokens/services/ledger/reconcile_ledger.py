"""Declare what a restored database has lost, where nothing newer exists (docs/ledger.md).

The break is told, never hidden: checkpoints go on in a new epoch, whose first tree holds an entry
that names the lost head. Every live mandate is held first, because nobody knows which of its slots
were redeemed in what is lost.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from heapq import merge

from django.db import transaction

from accounts.models import Decision
from accounts.services.record_event import record_event
from batchtokens.errors import NothingToReconcile
from batchtokens.models import Checkpoint, EntryKind, HoldKind, LedgerEntry, OperationToken
from batchtokens.models.clock import database_now
from batchtokens.models.ledger import append_authority_entry
from batchtokens.models.sealing import place_all, stored_root, tree_holds, tree_size
from batchtokens.services.ledger.check_ledger_head import forget_sink
from batchtokens.services.ledger.seal import publish
from batchtokens.services.ledger.sink import (
    checkpoint_files,
    newest_checkpoint,
    own_checkpoint,
    read_checkpoint,
)
from batchtokens.services.mandates.change_operations import Change, change_operations_in_batches
from batchtokens.services.mandates.hold import add_hold
from batchtokens.services.mandates.words import Words
from batchtokens_verifier.checkpoints import TreeHead, VerifiedCheckpoint
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.ledger import Loss


@dataclass(frozen=True)
class Reconciled:
    """What was declared. held: mandates that wait for a person's word."""

    lost: TreeHead
    kept: int
    head: TreeHead
    held: int


def accept_loss(*, reason: str, actor: str = "", now: dt.datetime | None = None) -> Reconciled:
    """Hold every live mandate, declare the loss in the ledger, and sign a head of a new epoch.

    actor: who decides. Call it as the only sealer. Killed at any step, it can be called again.
    Raises NothingToReconcile where the last head outside is in the tree.
    """
    lost = lost_head()
    kept = _kept(lost.epoch)
    held = hold_all(reason, now, actor=actor)
    with transaction.atomic(durable=True):
        if not _is_declared(lost):
            told = {
                "kept": kept,
                "lost": {"epoch": lost.epoch, "size": lost.size, "root": lost.root},
            }
            decision = Decision("staff", actor, reason)
            record_reconciliation(decision, told, code="ledger_loss_declared", now=now)
    place_all()
    size = tree_size()
    head = publish(TreeHead(lost.epoch + 1, size, stored_root(size))).head
    forget_sink()
    return Reconciled(lost, kept, head, held)


def record_reconciliation(
    decision: Decision, told: Mapping[str, object], *, code: str, now: dt.datetime | None
) -> None:
    """Tell it in the ledger, and in the security log as `code`; call it in a transaction."""
    data = {**decision.told(), **told}
    append_authority_entry(EntryKind.RECONCILED, at=now or database_now(), data=data)
    record_event(code=code, correlation=decision.correlation, data={**decision.kept(), **told})


def lost_head() -> TreeHead:
    """Return the last head outside, which the database's tree lacks or contradicts."""
    return lost_checkpoint().head


def lost_checkpoint() -> VerifiedCheckpoint:
    """Return the same as it was signed. Raises NothingToReconcile."""
    newest = newest_checkpoint()
    if newest is None or tree_holds(newest.head):
        raise NothingToReconcile
    return newest


def _kept(epoch: int) -> int:
    """Return the size of the newest head of this epoch that the tree still holds.

    The sink has one an hour; what the database has besides was signed as well.
    """
    sizes = (head.size for head in _known_heads() if head.epoch == epoch and tree_holds(head))
    return next(sizes, 0)


def _known_heads() -> Iterator[TreeHead]:
    """Yield what was signed, the largest first."""
    stored = Checkpoint.objects.order_by("-size").values_list("token", flat=True)
    outside = (read_checkpoint(path).head for path in reversed(checkpoint_files()))
    by_size = sorted(outside, key=lambda head: head.size, reverse=True)
    return merge(_signed(stored.iterator()), by_size, key=lambda head: head.size, reverse=True)


def _signed(tokens: Iterable[str]) -> Iterator[TreeHead]:
    for token in tokens:
        with suppress(VerificationError):
            yield own_checkpoint(token).head


def hold_all(reason: str, now: dt.datetime | None, *, actor: str = "") -> int:
    """Let the system hold every live mandate; returns how many."""

    def hold(token: OperationToken, _: dt.datetime) -> bool:
        return add_hold(token, HoldKind.SYSTEM)

    live = OperationToken.objects.live(now or database_now())
    words = Words(actor, reason)
    change = Change(kind=EntryKind.HELD, by=HoldKind.SYSTEM, words=words, apply=hold)
    return sum(change_operations_in_batches(live, change=change, now=now))


def _is_declared(lost: TreeHead) -> bool:
    """Tell whether a former call came as far as the declaration."""
    own = LedgerEntry.objects.of_authority().filter(kind=EntryKind.RECONCILED)
    last = own.order_by("seq").values_list("entry", flat=True).last()
    loss = Loss.told_by(last) if last else None
    return loss is not None and loss.lost == lost
