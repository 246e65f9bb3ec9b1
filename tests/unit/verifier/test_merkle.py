"""Tree hashes and proofs: published vectors, and a naive model, RFC 9162 written down as it is."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchtokens_verifier.errors import ProofNotValid
from batchtokens_verifier.merkle import (
    RightEdge,
    consistency_ranges,
    grow,
    inclusion_ranges,
    leaf_hash,
    range_hash,
    root_hash,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.verifier.vectors import load

VECTORS = load("merkle")
LEAVES = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS["leaves"]]
ROOTS = [bytes.fromhex(root) for root in VECTORS["roots"]]


def absent(place: tuple[int, int]) -> bytes:
    raise LookupError(place)


def inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    nodes = grow(leaves, 0, absent).__getitem__
    return [range_hash(each, nodes) for each in inclusion_ranges(index, len(leaves))]


def consistency(leaves: list[bytes], first: int) -> list[bytes]:
    nodes = grow(leaves, 0, absent).__getitem__
    return [range_hash(each, nodes) for each in consistency_ranges(first, len(leaves))]


@pytest.mark.spec("RFC 9162", "2.1.1")
def test_roots_are_those_published() -> None:
    assert [tree_hash(LEAVES[:size]) for size in range(9)] == ROOTS


@pytest.mark.spec("RFC 9162", "2.1.3")
@pytest.mark.parametrize("vector", VECTORS["inclusion"], ids=str)
def test_inclusion_proofs_are_those_published(vector: dict[str, Any]) -> None:
    size, index = vector["size"], vector["index"]
    proof = inclusion(LEAVES[:size], index)

    assert [part.hex() for part in proof] == vector["proof"]
    verify_inclusion(LEAVES[index], index=index, size=size, proof=proof, root=ROOTS[size])


@pytest.mark.spec("RFC 9162", "2.1.4")
@pytest.mark.parametrize("vector", VECTORS["consistency"], ids=str)
def test_consistency_proofs_are_those_published(vector: dict[str, Any]) -> None:
    first, second = vector["first"], vector["second"]
    proof = consistency(LEAVES[:second], first)

    assert [part.hex() for part in proof] == vector["proof"]
    check(first, second, proof)


def check(first: int, second: int, proof: list[bytes], **wrong: bytes) -> None:
    roots = {"first_root": ROOTS[first], "second_root": ROOTS[second]} | wrong
    verify_consistency(first=first, second=second, proof=proof, **roots)


def mth(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word by word, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = split(leaves)
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def split(leaves: list[bytes]) -> int:
    return max(1 << n for n in range(20) if 1 << n < len(leaves))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(leaves)
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(leaves)
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


SIZES = st.integers(1, 130)


def made(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


@given(st.data(), SIZES)
def test_proofs_are_the_models(data: st.DataObject, size: int) -> None:
    leaves, index = made(size), data.draw(st.integers(0, size - 1))

    assert tree_hash(leaves) == mth(leaves)
    proof = inclusion(leaves, index)
    assert proof == path(index, leaves)
    verify_inclusion(leaves[index], index=index, size=size, proof=proof, root=mth(leaves))
    older = consistency(leaves, index + 1)
    assert older == subproof(index + 1, leaves, True)
    roots = {"first_root": mth(leaves[: index + 1]), "second_root": mth(leaves)}
    verify_consistency(first=index + 1, second=size, proof=older, **roots)


@given(st.data(), SIZES)
def test_a_tree_grown_in_steps_is_the_same(data: st.DataObject, size: int) -> None:
    leaves, nodes, start = made(size), dict[tuple[int, int], bytes](), 0
    while start < size:
        end = data.draw(st.integers(start + 1, size))
        nodes |= grow(leaves[start:end], start, nodes.__getitem__)
        start = end

    assert root_hash(size, nodes.__getitem__) == mth(leaves)
    assert nodes == grow(leaves, 0, absent)


@given(SIZES)
def test_hashed_leaf_by_leaf_it_is_the_same(size: int) -> None:
    leaves, edge = made(size), RightEdge()
    completed = dict(node for leaf in leaves for node in edge.push(leaf))

    assert edge.root() == mth(leaves)
    inner = {place: node for place, node in grow(leaves, 0, absent).items() if place[0] > 0}
    assert completed == inner


@given(st.data(), st.integers(2, 40))
def test_an_altered_proof_is_refused(data: st.DataObject, size: int) -> None:
    leaves = made(size)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion(leaves, index)
    flawed = data.draw(st.sampled_from(alterations(proof)))

    with pytest.raises(ProofNotValid):
        verify_inclusion(leaves[index], index=index, size=size, proof=flawed, root=mth(leaves))


@given(st.data(), st.integers(2, 40))
def test_an_altered_consistency_proof_is_refused(data: st.DataObject, size: int) -> None:
    leaves = made(size)
    first = data.draw(st.integers(1, size - 1))
    flawed = data.draw(st.sampled_from(alterations(consistency(leaves, first))))
    roots = {"first_root": mth(leaves[:first]), "second_root": mth(leaves)}

    with pytest.raises(ProofNotValid):
        verify_consistency(first=first, second=size, proof=flawed, **roots)


def alterations(proof: list[bytes]) -> list[list[bytes]]:
    edited = [[*proof[:n], leaf_hash(proof[n]), *proof[n + 1 :]] for n in range(len(proof))]
    return [proof[1:], proof[:-1], [*proof, proof[0]], [proof[0][:31], *proof[1:]], *edited]


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (0, 0)])
def test_a_leaf_outside_is_refused(index: int, size: int) -> None:
    with pytest.raises(ProofNotValid):
        inclusion_ranges(index, size)


@pytest.mark.parametrize(("first", "second"), [(0, 8), (9, 8), (-1, 8), (0, 0)])
def test_sizes_out_of_order_are_refused(first: int, second: int) -> None:
    with pytest.raises(ProofNotValid):
        consistency_ranges(first, second)


def test_another_head_is_refused() -> None:
    proof = consistency(LEAVES, 6)
    for wrong in ({"first_root": ROOTS[5]}, {"second_root": ROOTS[7]}):
        with pytest.raises(ProofNotValid):
            check(6, 8, proof, **wrong)
    with pytest.raises(ProofNotValid):
        check(8, 8, [], first_root=ROOTS[7])
