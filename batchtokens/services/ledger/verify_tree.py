"""Verify the tree over the entries: leaves, nodes, and every checkpoint that is known (I2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_

from django.db import connection
from django.db.models import Q

from batchtokens.errors import LedgerBehind
from batchtokens.models import Checkpoint, EntryKind, LedgerEntry, LedgerLeaf, LedgerNode
from batchtokens.models.sealing import tree_size
from batchtokens.services.ledger.sink import checkpoint_files, own_checkpoint, read_checkpoint
from batchtokens.services.ledger.verify_ledger import Finding
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.checkpoints import TreeHead
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.ledger import AUTHORITY, LedgerFinding, Loss, TreeCheck
from batchtokens_verifier.merkle import Place, leaf_hash

TREE = "tree"
PAGE = 2048


def verify_tree(
    *, tokens: Sequence[str] = (), whole_sink: bool = False
) -> Iterator[tuple[int, list[Finding]]]:
    """Yield, a page at a time, how many leaves were read and what is wrong with them.

    tokens: checkpoints kept elsewhere. whole_sink: compare all of the sink, not its last alone.
    """
    heads, findings = _known_heads(tokens, whole_sink=whole_sink)
    yield 0, findings
    reader = _Reader(TreeCheck(heads, _losses()), tree_size())
    yield from reader.pages()
    yield 0, [*map(_as_finding, reader.tree.finish()), *_surplus_nodes()]


def _losses() -> list[Loss]:
    own = LedgerEntry.objects.of_authority().filter(kind=EntryKind.RECONCILED)
    return [loss for text in own.values_list("entry", flat=True) if (loss := Loss.told_by(text))]


def _known_heads(
    tokens: Sequence[str], *, whole_sink: bool
) -> tuple[list[TreeHead], list[Finding]]:
    findings = []
    heads = [own_checkpoint(token).head for token in tokens]
    for row in Checkpoint.objects.order_by("size").iterator(PAGE):
        try:
            head = own_checkpoint(row.token).head
        except VerificationError:
            head = None
        if head is None or (head.size, head.root) != (row.size, row.root):
            findings.append(Finding(TREE, row.size, "the stored checkpoint is not one of ours"))
        else:
            heads.append(head)
    files = checkpoint_files()
    for path in files if whole_sink else files[-1:]:
        try:
            heads.append(read_checkpoint(path).head)
        except FileNotFoundError:
            continue  # the sealer has put a later one of its hour in its place
        except LedgerBehind as error:
            findings.append(Finding(TREE, int(path.stem[-15:]), error.detail))
    return heads, findings


def _as_finding(found: LedgerFinding) -> Finding:
    return Finding(found.chain, found.seq, found.problem)


class _Reader:
    """Reads leaves in their order; after a gap nothing can be said, so it is the last finding."""

    def __init__(self, tree: TreeCheck, size: int) -> None:
        self.tree, self._size = tree, size

    def pages(self) -> Iterator[tuple[int, list[Finding]]]:
        for start in range(0, self._size, PAGE):
            end = min(start + PAGE, self._size)
            leaves = LedgerLeaf.objects.filter(index__gte=start, index__lt=end)
            page = list(leaves.select_related("entry__operation_token").order_by("index"))
            findings: list[Finding] = []
            nodes: dict[Place, str] = {}
            for place, leaf in enumerate(page, start=start):
                if leaf.index != place:
                    yield len(page), [*findings, Finding(TREE, place, f"leaf {place} is missing")]
                    return
                findings += self._leaf(leaf, nodes)
            if len(page) < end - start:
                lost = start + len(page)
                yield len(page), [*findings, Finding(TREE, lost, f"leaf {lost} is missing")]
                return
            yield len(page), [*findings, *_node_findings(nodes)]

    def _leaf(self, leaf: LedgerLeaf, nodes: dict[Place, str]) -> list[Finding]:
        found = leaf_hash(leaf.entry.entry.encode())
        completed, differing = self.tree.push(found)
        nodes.update({place: b64url(node) for place, node in completed})
        findings = [_as_finding(each) for each in differing]
        if b64url(found) != leaf.hash:
            token = leaf.entry.operation_token
            name = token.public_id if token else leaf.entry.lost_token or AUTHORITY
            problem = f"the entry is not what was sealed as leaf {leaf.index}"
            findings.append(Finding(name, leaf.entry.seq, problem))
        return findings


def _node_findings(expected: dict[Place, str]) -> list[Finding]:
    """Compare the inner nodes that a page of leaves completes with those stored."""
    if not expected:
        return []
    spans: dict[int, list[int]] = {}
    for level, position in expected:
        spans.setdefault(level, []).append(position)
    wanted = [
        Q(level=level, position__gte=min(those), position__lte=max(those))
        for level, those in spans.items()
    ]
    rows = LedgerNode.objects.filter(reduce(or_, wanted))
    stored = {(n.level, n.position): n.hash for n in rows}
    return [
        Finding(TREE, position << level, f"node {level}/{position} is not what it must be")
        for (level, position), node in expected.items()
        if stored.get((level, position)) != node
    ]


def _surplus_nodes() -> list[Finding]:
    """Name nodes that the leaves do not complete; in one statement, for a sealer may be at work."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT level, position FROM batchtokens_ledgernode WHERE level < 1 OR"
            " (position + 1) << level >"
            ' (SELECT coalesce(max("index"), -1) + 1 FROM batchtokens_ledgerleaf)'
            " ORDER BY level, position LIMIT 100"
        )
        return [
            Finding(TREE, position << level, f"node {level}/{position} has no leaves")
            for level, position in cursor.fetchall()
        ]
