"""A token's sealed copy in its row, from which the same bytes can be given again.

To a retry, and to its trigger once another key has signed it.
"""

from __future__ import annotations

import datetime as dt

from accounts.crypto import open_sealed, seal
from batchtokens.models import OperationToken

KEPT_FOR_RETRIES = dt.timedelta(hours=24)


def keep_token(row: OperationToken, token: str, *, until: dt.datetime) -> None:
    """Set the columns that give this token again until then."""
    row.sealed_token = seal(token.encode(), context=kept_token_context(row.public_id))
    row.sealed_until = until


def kept_token(row: OperationToken, *, at: dt.datetime) -> str | None:
    """Return the copy; None where there is none, or its time is over.

    Raises SealBroken.
    """
    if row.sealed_token is None or row.sealed_until is None or at >= row.sealed_until:
        return None
    return open_sealed(row.sealed_token, context=kept_token_context(row.public_id)).decode()


def kept_token_context(operation_id: str) -> str:
    """Return the associated data that ties a sealed copy to one operation."""
    return f"issued:{operation_id}"
