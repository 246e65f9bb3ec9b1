"""Merkle tree hashes and proofs (RFC 9162 section 2.1): pure functions over hashes of 32 bytes.

`nodes` gives the hash of a complete subtree of 2^level leaves, by its place (level, position).
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from itertools import chain
from typing import TypeAlias

from batchtokens_verifier.errors import ProofNotValid

Place: TypeAlias = tuple[int, int]
Range: TypeAlias = tuple[int, int]  # leaves from the first up to, not including, the second
Nodes: TypeAlias = Callable[[Place], bytes]

EMPTY_ROOT = hashlib.sha256(b"").digest()
_HASH_BYTES = 32


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one leaf's content."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def complete_subtrees(leaves: Range) -> list[Place]:
    """Return the complete subtrees that cover an aligned range, from the left."""
    start, end = leaves
    places = []
    while start < end:
        level = (end - start).bit_length() - 1
        places.append((level, start >> level))
        start += 1 << level
    return places


def range_hash(leaves: Range, nodes: Nodes) -> bytes:
    """Return the Merkle tree hash of an aligned range (section 2.1.1)."""
    hashes = [nodes(place) for place in complete_subtrees(leaves)]
    return reduce(lambda right, left: node_hash(left, right), reversed(hashes))


def root_hash(size: int, nodes: Nodes) -> bytes:
    """Return the hash of the tree's first `size` leaves from O(log size) nodes."""
    return range_hash((0, size), nodes) if size else EMPTY_ROOT


def grow(leaves: Sequence[bytes], start: int, nodes: Nodes) -> dict[Place, bytes]:
    """Return each complete subtree that `leaves` (hashes, from index `start` on) complete.

    nodes: asked only for those at the right edge of the tree so far.
    """
    grown = {(0, start + number): leaf for number, leaf in enumerate(leaves)}
    level, first, end = 0, start, start + len(leaves)
    while end >> 1:
        first, end = first >> 1, end >> 1
        for position in range(first, end):
            left, right = (level, 2 * position), (level, 2 * position + 1)
            grown[level + 1, position] = node_hash(
                grown[left] if left in grown else nodes(left), grown[right]
            )
        level += 1
    return grown


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes."""
    return root_hash(len(leaves), grow(leaves, 0, _no_node).__getitem__)


class RightEdge:
    """Hashes a tree leaf by leaf and remembers O(log n) nodes of it."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    def push(self, leaf: bytes) -> list[tuple[Place, bytes]]:
        """Append a leaf hash; returns the inner nodes that it completes."""
        self.size += 1
        level, found, completed = 0, leaf, []
        while self._peaks and self._peaks[-1][0] == level:
            found = node_hash(self._peaks.pop()[1], found)
            level += 1
            completed.append(((level, (self.size >> level) - 1), found))
        self._peaks.append((level, found))
        return completed

    def root(self) -> bytes:
        """Return the root over what was appended so far."""
        hashes = [found for _, found in self._peaks]
        if not hashes:
            return EMPTY_ROOT
        return reduce(lambda right, left: node_hash(left, right), reversed(hashes))


def _no_node(place: Place) -> bytes:
    raise LookupError(place)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return what the inclusion proof of a leaf hashes, from the leaf up (section 2.1.3.1).

    Raises ProofNotValid where the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ProofNotValid("The tree has no such leaf.")
    start, end, ranges = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """Return what the consistency proof of two sizes hashes (section 2.1.4.1).

    Raises ProofNotValid where 0 < first <= second does not hold.
    """
    if not 0 < first <= second:
        raise ProofNotValid("The first size is between 1 and the second.")
    start, end, ranges, whole = 0, second, [], True
    while end != first:
        middle = start + _split(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:
        ranges.append((start, end))
    return ranges[::-1]


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def places_of(ranges: Iterable[Range]) -> list[Place]:
    """Return the nodes that hashing these ranges asks for, so that they can be read at once."""
    return list(chain.from_iterable(map(complete_subtrees, ranges)))


def verify_inclusion(
    leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf hash is at `index` of the tree (section 2.1.3.2).

    Raises ProofNotValid.
    """
    ranges = inclusion_ranges(index, size)
    _check_shape(proof, len(ranges))
    found = leaf
    for (start, _), sibling in zip(ranges, proof, strict=True):
        found = node_hash(found, sibling) if start > index else node_hash(sibling, found)
    if found != root:
        raise ProofNotValid("The leaf is not in the tree.")


def verify_consistency(
    *, first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the first tree is the beginning of the second (section 2.1.4.2).

    Raises ProofNotValid.
    """
    ranges = consistency_ranges(first, second)
    _check_shape(proof, len(ranges))
    hashes = dict(zip(ranges, proof, strict=True))
    below = [leaves for leaves in ranges if leaves[1] <= first]
    old = new = hashes[below[0]] if below else first_root
    for leaves in ranges[1 if below else 0 :]:
        if leaves[1] <= first:
            old, new = node_hash(hashes[leaves], old), node_hash(hashes[leaves], new)
        else:
            new = node_hash(new, hashes[leaves])
    if (old, new) != (first_root, second_root):
        raise ProofNotValid("The trees are not consistent.")


def _check_shape(proof: Sequence[bytes], length: int) -> None:
    if len(proof) != length or any(len(part) != _HASH_BYTES for part in proof):
        raise ProofNotValid("The proof does not have the right shape.")
