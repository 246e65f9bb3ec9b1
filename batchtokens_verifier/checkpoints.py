"""Verifies checkpoints, the authority's signed tree heads, and proofs against them (RFC 9162).

Wire format, append-only: `{iss, iat, size, root}` and, after a declared loss, `epoch`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from batchtokens_verifier.canonical import b64url, b64url_decode
from batchtokens_verifier.errors import ProofNotValid, TokenNotValid
from batchtokens_verifier.jws import TOKEN_CLASSES, KeySet, Purpose, verify_jws
from batchtokens_verifier.merkle import leaf_hash, verify_consistency, verify_inclusion

HASH = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, order=True)
class TreeHead:
    """A tree's size and root, base64url; a later epoch begins where a loss was declared."""

    epoch: int
    size: int
    root: str


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """Claims of a checkpoint. iat: seconds since the epoch of 1970."""

    head: TreeHead
    iat: int
    iss: str
    token: str

    @classmethod
    def of(cls, claims: Mapping[str, Any], token: str) -> Self:
        """Read claims whose signature holds.

        Raises TokenNotValid.
        """
        head = TreeHead(
            _number({"epoch": 0} | dict(claims), "epoch"), _number(claims, "size"), _root(claims)
        )
        issuer = claims.get("iss")
        if not isinstance(issuer, str):
            raise TokenNotValid("checkpoint iss")
        return cls(head, _number(claims, "iat"), issuer, token)


def _number(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TokenNotValid(f"checkpoint {name}")
    return value


def _root(claims: Mapping[str, Any]) -> str:
    value = claims.get("root")
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise TokenNotValid("checkpoint root")
    return value


def verify_checkpoint(token: str, *, keys: KeySet, issuer: str) -> VerifiedCheckpoint:
    """Return the claims of a checkpoint that `issuer` signed.

    Raises TokenNotValid.
    """
    typ = TOKEN_CLASSES[Purpose.CHECKPOINT]
    claims = verify_jws(token, keys=keys, purpose=Purpose.CHECKPOINT, typ=typ)
    checkpoint = VerifiedCheckpoint.of(claims, token)
    if checkpoint.iss != issuer:
        raise TokenNotValid("checkpoint issuer")
    return checkpoint


def verify_entry_included(
    entry: bytes, *, index: int, proof: Sequence[str], head: TreeHead
) -> None:
    """Check that these exact bytes are a leaf of the tree with this head.

    Raises ProofNotValid.
    """
    root = _hashes([head.root])[0]
    leaf = leaf_hash(entry)
    verify_inclusion(leaf, index=index, size=head.size, proof=_hashes(proof), root=root)


def verify_heads_consistent(first: TreeHead, second: TreeHead, *, proof: Sequence[str]) -> None:
    """Check that the second tree only grew out of the first; no loss was declared between them.

    Raises ProofNotValid.
    """
    if first.epoch != second.epoch:
        raise ProofNotValid("A loss was declared between the two.")
    first_root, second_root = _hashes([first.root, second.root])
    verify_consistency(
        first=first.size,
        first_root=first_root,
        second=second.size,
        second_root=second_root,
        proof=_hashes(proof),
    )


def _hashes(texts: Sequence[str]) -> list[bytes]:
    try:
        return [b64url_decode(text) for text in texts]
    except (ValueError, TypeError, AttributeError):
        raise ProofNotValid("A hash is not base64url.") from None


def encoded(hashes: Sequence[bytes]) -> list[str]:
    """Write hashes as proofs carry them."""
    return [b64url(each) for each in hashes]
