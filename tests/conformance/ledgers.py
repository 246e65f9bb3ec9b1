"""Checkpoints, and entries proved against them (RFC 9162 §2.1), hashed by a model of its own."""

import hashlib
from collections.abc import Iterator
from typing import Any

from tests.conformance.vectors import Vector, forged, vector
from tests.unit.verifier.minting import ISSUER, NOW, b64, mint

AT = int(NOW.timestamp())
BAD = "token_not_valid"
ENTRIES = [f'{{"kind":"settled","seq":{seq},"v":1}}' for seq in range(7)]


def root_of(entries: list[str]) -> bytes:
    """Return MTH(D[n]), written down as the RFC has it."""
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0].encode()).digest()
    left = _split(len(entries))
    pair = root_of(entries[:left]) + root_of(entries[left:])
    return hashlib.sha256(b"\1" + pair).digest()


def path_of(index: int, entries: list[str]) -> list[str]:
    """Return PATH(m, D[n])."""
    if len(entries) == 1:
        return []
    left = _split(len(entries))
    if index < left:
        return [*path_of(index, entries[:left]), b64(root_of(entries[left:]))]
    return [*path_of(index - left, entries[left:]), b64(root_of(entries[:left]))]


def growth_of(first: int, entries: list[str], *, whole: bool = True) -> list[str]:
    """Return SUBPROOF(m, D[n], b) (RFC 9162 §2.1.4.1)."""
    if first == len(entries):
        return [] if whole else [b64(root_of(entries))]
    left = _split(len(entries))
    if first <= left:
        proof = growth_of(first, entries[:left], whole=whole)
        return [*proof, b64(root_of(entries[left:]))]
    proof = growth_of(first - left, entries[left:], whole=False)
    return [*proof, b64(root_of(entries[:left]))]


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def checkpoint(*, key: str = "checkpoint", typ: str = "checkpoint+jwt", **changes: Any) -> str:
    claims = {"iss": ISSUER, "iat": AT, "size": len(ENTRIES), "root": b64(root_of(ENTRIES))}
    found = {n: v for n, v in (claims | changes).items() if v is not None}
    return mint(found, key=key, typ=typ)


def checkpoints() -> Iterator[Vector]:
    """Judge `token`, and by it the `entry` with its `index` and `proof` where they are given.

    With `earlier`, an older checkpoint: whether by `proof` the tree only grew since.
    """
    yield vector("good", None, token=checkpoint())
    yield vector("after a declared loss", None, token=checkpoint(epoch=1))
    yield vector("an unknown claim", None, token=checkpoint(later="x"))
    changes: dict[str, dict[str, Any]] = {
        "another issuer": {"iss": "https://evil.example"},
        "no issuer": {"iss": None},
        "no size": {"size": None},
        "a negative size": {"size": -1},
        "size is a boolean": {"size": True},
        "a short root": {"root": "short"},
        "no root": {"root": None},
        "no iat": {"iat": None},
        "signed with the receipt key": {"key": "receipt"},
        "signed with the operation key": {"key": "operation"},
        "typ receipt+jwt": {"typ": "receipt+jwt"},
    }
    for name, changed in changes.items():
        yield vector(name, BAD, token=checkpoint(**changed))
    for name, text in forged(checkpoint()):
        yield vector(name, BAD, token=text)
    yield from _inclusion()
    yield from _consistency()


def _inclusion() -> Iterator[Vector]:
    def proved(name: str, code: str | None, entry: str, index: int, proof: list[str]) -> Vector:
        shown: dict[str, Any] = {"entry": entry, "index": index, "proof": proof}
        return vector(name, code, token=checkpoint(), **shown)

    for index in (0, 3, 6):
        entry, proof = ENTRIES[index], path_of(index, ENTRIES)
        yield proved(f"entry {index} of 7", None, entry, index, proof)
    proof, bad = path_of(3, ENTRIES), "proof_not_valid"
    yield proved("an edited entry", bad, ENTRIES[3].replace("3", "4"), 3, proof)
    yield proved("another index", bad, ENTRIES[3], 2, proof)
    yield proved("an index outside", bad, ENTRIES[3], 7, proof)
    yield proved("a proof cut short", bad, ENTRIES[3], 3, proof[:-1])
    yield proved("a proof with one hash more", bad, ENTRIES[3], 3, [*proof, proof[0]])
    yield proved("a proof in another order", bad, ENTRIES[3], 3, proof[::-1])
    yield proved("a proof that is no base64url", bad, ENTRIES[3], 3, ["=", *proof[1:]])


def _consistency() -> Iterator[Vector]:
    def grown(name: str, code: str | None, proof: list[str], **changes: Any) -> Vector:
        changed: dict[str, Any] = {"size": 3, "root": b64(root_of(ENTRIES[:3]))} | changes
        earlier = checkpoint(**changed)
        return vector(name, code, token=checkpoint(), earlier=earlier, proof=proof)

    for size in (1, 3, 4, 6, 7):
        root = b64(root_of(ENTRIES[:size]))
        yield grown(f"{size} to 7", None, growth_of(size, ENTRIES), size=size, root=root)
    proof, bad = growth_of(3, ENTRIES), "proof_not_valid"
    edited = [ENTRIES[0].replace("settled", "released"), *ENTRIES[1:3]]
    yield grown("an entry edited since", bad, proof, root=b64(root_of(edited)))
    yield grown("the sizes of others", bad, proof, size=2)
    yield grown("larger than it is now", bad, proof, size=8)
    yield grown("as large, with another root", bad, [], size=7)
    yield grown("growth: a proof cut short", bad, proof[:-1])
    yield grown("growth: a proof with one hash more", bad, [*proof, proof[0]])
    yield grown("growth: a proof in another order", bad, proof[::-1])
    yield grown("growth: no proof", bad, [])
    yield grown("over a declared loss", bad, proof, epoch=1)
    yield grown("an earlier one of a stranger", BAD, proof, iss="https://evil.example")
