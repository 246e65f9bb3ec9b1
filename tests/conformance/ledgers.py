"""Checkpoints, and entries proved against them (RFC 9162 §2.1), hashed by a model of its own."""

import hashlib
from collections.abc import Iterator
from typing import Any

from tests.conformance.vectors import Vector, vector
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


def _split(count: int) -> int:
    return 1 << (count - 1).bit_length() - 1


def checkpoint(*, key: str = "checkpoint", typ: str = "checkpoint+jwt", **changes: Any) -> str:
    claims = {"iss": ISSUER, "iat": AT, "size": len(ENTRIES), "root": b64(root_of(ENTRIES))}
    found = {n: v for n, v in (claims | changes).items() if v is not None}
    return mint(found, key=key, typ=typ)


def checkpoints() -> Iterator[Vector]:
    """Judge `token`, and by it the `entry` with its `index` and `proof` where they are given."""
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
    yield from _inclusion()


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
