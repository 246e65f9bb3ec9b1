"""Prove what the sealed ledger holds: heads, their consistency, and an entry's place (RFC 9162)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.models import ServiceClient
from batchtokens.errors import CheckpointNotFound, LedgerBroken, NotSealedYet, RedemptionNotFound
from batchtokens.models import Checkpoint, EntryKind, LedgerEntry, Redemption
from batchtokens.models.sealing import stored_hashes
from batchtokens_verifier.checkpoints import encoded
from batchtokens_verifier.merkle import Range, consistency_ranges, inclusion_ranges


@dataclass(frozen=True)
class InclusionProof:
    """An entry's exact text, its leaf, and what leads from there to the checkpoint's root."""

    entry: str
    index: int
    proof: list[str]
    checkpoint: Checkpoint


def find_checkpoint(*, size: int | None = None) -> Checkpoint:
    """Return the newest stored head, or that of one size. Raises CheckpointNotFound."""
    heads = Checkpoint.objects.order_by("-size")
    found = (heads if size is None else heads.filter(size=size)).first()
    if found is None:
        raise CheckpointNotFound
    return found


def prove_consistency(*, first: int, second: int) -> list[str]:
    """Prove that the tree of `second` leaves grew out of that of `first`.

    Both must be sizes of heads that were signed. Raises CheckpointNotFound or ProofNotValid.
    """
    ranges = consistency_ranges(first, second)
    if Checkpoint.objects.filter(size__in={first, second}).count() != len({first, second}):
        raise CheckpointNotFound
    hashes = _hashes(ranges)
    return [hashes[each] for each in ranges]


def prove_redemption(*, by: ServiceClient, redemption_id: str) -> list[InclusionProof]:
    """Prove each ledger entry of a redemption, the oldest first, to its executor or trigger (I10).

    Raises RedemptionNotFound for everybody else, NotSealedYet while none of them is in a tree.
    """
    redemption = Redemption.objects.select_related("operation_token").filter(pk=redemption_id)
    found = redemption.first()
    if found is None or by.pk not in (
        found.operation_token.executor_id,
        found.operation_token.client_id,
    ):
        raise RedemptionNotFound
    proofs = prove_entries(_entries_of(found))
    if not proofs:
        raise NotSealedYet
    return proofs


def _entries_of(redemption: Redemption) -> list[LedgerEntry]:
    kinds = (EntryKind.RESERVED, EntryKind.SETTLED, EntryKind.RELEASED)
    told = redemption.operation_token.ledger_entries.filter(kind__in=kinds)
    about = told.filter(entry__contains=f'"redemption":"{redemption.pk}"')
    return list(about.select_related("leaf").order_by("seq"))


def prove_entries(entries: Iterable[LedgerEntry]) -> list[InclusionProof]:
    """Prove those that are in the newest signed tree; three statements, however many there are."""
    head = Checkpoint.objects.order_by("-size").first()
    if head is None:
        return []
    sealed = [each for each in entries if hasattr(each, "leaf") and each.leaf.index < head.size]
    paths = inclusion_paths([each.leaf.index for each in sealed], size=head.size)
    return [
        InclusionProof(entry.entry, entry.leaf.index, path, head)
        for entry, path in zip(sealed, paths, strict=True)
    ]


def inclusion_paths(indexes: Iterable[int], *, size: int) -> list[list[str]]:
    """Return the proof of each of these leaves in the tree of a size, in two statements.

    Raises ProofNotValid where the tree has no such leaf, LedgerBroken where a node is gone.
    """
    ranges = [inclusion_ranges(index, size) for index in indexes]
    hashes = _hashes({each for path in ranges for each in path})
    return [[hashes[each] for each in path] for path in ranges]


def _hashes(ranges: Iterable[Range]) -> dict[Range, str]:
    wanted = list(ranges)
    try:
        return dict(zip(wanted, encoded(stored_hashes(wanted)), strict=True))
    except LookupError as error:  # a node is gone
        raise LedgerBroken from error
