"""Sign what confirms a cancel: proof for whoever asked that the ledger has it (docs/adr/0028).

It is stored with the cancel, so that whoever asks again gets the same bytes.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from accounts.tokens.backend import sign
from batchtokens.models import OperationToken, instant
from batchtokens.models.writing import change_many, write_together
from batchtokens_verifier.jws import Purpose


def confirm_cancellations(tokens: list[OperationToken], by: str) -> None:
    """Store each one's confirmation; call it in the transaction that has cancelled them.

    by: the kind of who did it. The last entry of each one's ledger is its cancel.
    """
    for token in tokens:
        if token.cancelled_at is None:
            raise ValueError("only a cancelled operation has a confirmation")
        token.cancellation = _sign(token, token.cancelled_at, by)
    write_together(*change_many(tokens, ["cancellation"]))


def _sign(token: OperationToken, cancelled_at: dt.datetime, by: str) -> str:
    claims = {
        "iss": settings.ISSUER_URL,
        "aud": token.client_name,
        "jti": token.public_id,
        "iat": int(token.last_at.timestamp()),
        "status": "cancelled",
        "by": by,
        "cancelled_at": instant(cancelled_at),
        "parameter_digest": token.parameter_digest,
        "token": token.token_hash,
        "seq": token.seq,
        "entry_hash": token.head_hash,
    }
    return sign(claims, purpose=Purpose.RECEIPT).token
