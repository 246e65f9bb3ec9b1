"""Verifies receipts, the authority's signed proof of one used slot, and confirmations of a cancel.

A receipt proves, it does not permit: only `proceed` in a redemption's answer permits.
Wire format, append-only: an unknown claim is ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batchtokens_verifier.claims import redemption_id
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import InvalidConstraints, TokenNotValid
from batchtokens_verifier.jws import TOKEN_CLASSES, KeySet, Purpose, verify_jws

_HASH = re.compile(r"[A-Za-z0-9_-]{43}")
_OPERATION_ID = re.compile(r"op_[A-Za-z0-9_-]{1,64}")
_CREDENTIAL_CLAIMS = frozenset({"sub", "exp", "scope", "authorization_details"})


@dataclass(frozen=True, slots=True)
class Receipt:
    """Claims of a receipt. iat, valid_until: seconds since the epoch.

    token: the operation token's hash; entry_hash: of the ledger entry with number seq.
    """

    iss: str
    aud: str
    jti: str
    iat: int
    status: str
    attempt: int
    slot: str
    amount: Amount
    parameter_digest: str
    token: str
    seq: int
    entry_hash: str
    valid_until: int | None = None
    checkpoint: Any = None

    @property
    def redemption_id(self) -> str:
        """Return the redemption that this proves."""
        return self.jti


def verify_receipt(receipt: str, *, keys: KeySet, issuer: str, audience: str) -> Receipt:
    """Return the claims of a receipt that `issuer` gave to the client `audience`.

    Raises TokenNotValid.
    """
    typ = TOKEN_CLASSES[Purpose.RECEIPT]
    claims = verify_jws(receipt, keys=keys, purpose=Purpose.RECEIPT, typ=typ)
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise TokenNotValid("receipt parties")
    if not _CREDENTIAL_CLAIMS.isdisjoint(claims):
        raise TokenNotValid("receipt with a credential's claims")
    parsed = _parsed(claims)
    if not (_HASH.fullmatch(parsed.token) and _HASH.fullmatch(parsed.entry_hash)):
        raise TokenNotValid("receipt hashes")
    if parsed.jti != redemption_id(parsed.token, parsed.slot):
        raise TokenNotValid("receipt jti")
    return parsed


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Claims of the confirmation that an operation was cancelled. iat: seconds since the epoch.

    aud: the client that the operation was issued to; jti: the operation; by: the kind of who
    cancelled it; token: the operation token's hash; entry_hash: of the ledger entry with number
    seq.
    """

    iss: str
    aud: str
    jti: str
    iat: int
    by: str
    cancelled_at: datetime
    parameter_digest: str
    token: str
    seq: int
    entry_hash: str

    @property
    def operation_id(self) -> str:
        """Return the operation that will not run again."""
        return self.jti


def verify_cancellation(
    confirmation: str, *, keys: KeySet, issuer: str, audience: str
) -> Cancellation:
    """Return the claims of the confirmation of a cancel, given to the client `audience`.

    A receipt of a redemption is none, and this is no receipt. Raises TokenNotValid.
    """
    typ = TOKEN_CLASSES[Purpose.RECEIPT]
    claims = verify_jws(confirmation, keys=keys, purpose=Purpose.RECEIPT, typ=typ)
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise TokenNotValid("cancellation parties")
    if not (_CREDENTIAL_CLAIMS | {"slot"}).isdisjoint(claims):
        raise TokenNotValid("cancellation with another's claims")
    if claims.get("status") != "cancelled":
        raise TokenNotValid("cancellation status")
    texts = ("iss", "aud", "jti", "by", "parameter_digest", "token", "entry_hash")
    parsed = Cancellation(
        **{name: _typed(claims, name, str) for name in texts},
        **{name: _typed(claims, name, int) for name in ("iat", "seq")},
        cancelled_at=_instant(claims),
    )
    if not (_HASH.fullmatch(parsed.token) and _HASH.fullmatch(parsed.entry_hash)):
        raise TokenNotValid("cancellation hashes")
    if not _OPERATION_ID.fullmatch(parsed.jti):
        raise TokenNotValid("cancellation jti")
    return parsed


def _instant(claims: Mapping[str, Any]) -> datetime:
    try:
        return datetime.strptime(
            _typed(claims, "cancelled_at", str), "%Y-%m-%dT%H:%M:%S.%fZ"
        ).replace(tzinfo=UTC)
    except ValueError:
        raise TokenNotValid("cancellation cancelled_at") from None


def _parsed(claims: Mapping[str, Any]) -> Receipt:
    texts = ("iss", "aud", "jti", "status", "slot", "parameter_digest", "token", "entry_hash")
    numbers = ("iat", "attempt", "seq")
    try:
        amount = Amount.parse(claims.get("amount"), "/amount")
    except InvalidConstraints:
        raise TokenNotValid("receipt amount") from None
    return Receipt(
        **{name: _typed(claims, name, str) for name in texts},
        **{name: _typed(claims, name, int) for name in numbers},
        amount=amount,
        valid_until=_typed(claims, "valid_until", int) if "valid_until" in claims else None,
        checkpoint=claims.get("checkpoint"),
    )


def _typed(claims: Mapping[str, Any], name: str, kind: type) -> Any:
    value = claims.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TokenNotValid(f"receipt {name}")
    return value
