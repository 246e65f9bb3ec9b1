"""Sign a receipt: the executor's proof of what the ledger says of one redemption.

It permits nothing. Its claims stand in docs/token-format.md.
"""

from __future__ import annotations

from django.conf import settings

from accounts.tokens.backend import sign
from batchtokens.models import LedgerEntry, Redemption
from batchtokens_verifier.jws import Purpose


def sign_receipt(redemption: Redemption, entry: LedgerEntry, *, audience: str) -> str:
    """Return the receipt's compact JWS; `audience`: the executor's client_id."""
    token = redemption.operation_token
    claims = {
        "iss": settings.ISSUER_URL,
        "aud": audience,
        "jti": redemption.pk,
        "iat": int(entry.at.timestamp()),
        "status": str(redemption.status),
        "attempt": redemption.attempt,
        "slot": redemption.slot,
        "amount": redemption.amount.as_json(),
        "parameter_digest": token.parameter_digest,
        "token": token.token_hash,
        "seq": entry.seq,
        "entry_hash": entry.hash,
    }
    return sign(claims, purpose=Purpose.RECEIPT).token
