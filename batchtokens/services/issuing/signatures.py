"""What a row keeps of its token: the signature as a digest, the claims as they were signed, sealed.

The claims alone are no token; with them, another key can sign the same again.
"""

from __future__ import annotations

from accounts.crypto import open_sealed, seal
from accounts.tokens.backend import SignedToken
from batchtokens.models import OperationToken
from batchtokens.services.digests import text_digest


def keep_signature(row: OperationToken, signed: SignedToken) -> None:
    """Set the columns that tell which bytes are the row's token."""
    row.kid, row.alg = signed.kid, signed.alg
    row.jws_digest = text_digest(signed.token)


def keep_claims(row: OperationToken, signed: SignedToken) -> None:
    """Set the column that lets the same claims be signed again."""
    payload = signed.token.split(".")[1]
    row.claims_sealed = seal(payload.encode(), context=claims_context(row.public_id))


def kept_claims(row: OperationToken) -> str | None:
    """Return the payload segment as it was signed; None where an earlier release kept none.

    Raises SealBroken.
    """
    if row.claims_sealed is None:
        return None
    return open_sealed(row.claims_sealed, context=claims_context(row.public_id)).decode()


def claims_context(operation_id: str) -> str:
    """Return the associated data that ties sealed claims to one operation."""
    return f"claims:{operation_id}"
