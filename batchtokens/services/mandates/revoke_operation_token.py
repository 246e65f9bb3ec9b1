"""Cancel the operation that a token stands for: its trigger gives the token back (RFC 7009)."""

from __future__ import annotations

import json

from accounts.models import ServiceClient
from batchtokens.errors import OperationFinal
from batchtokens.models import EntryKind, HoldKind, OperationToken
from batchtokens.services.digests import text_digest
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.mandates.words import Words
from batchtokens_verifier.claims import token_hash
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.jws import decode_object, unverified_kid


def revoke_operation_token(*, by: ServiceClient, token: str) -> bool:
    """Cancel for ever, if exactly this token was issued to `by`; False where nothing changed.

    The bytes decide, not their signature: a key that was found out must not keep alive what its
    trigger gives back. Its executor, other clients and a token that nobody knows change nothing, by
    the same steps.
    """
    row = OperationToken.objects.filter(client=by, token_hash=_unverified_hash(token)).first()
    if row is None or not _was_issued(row, token):
        return False
    try:
        cancel_operation(operation_id=row.pk, by=HoldKind.CLIENT, words=Words(by.public_id))
    except OperationFinal:
        return False
    return True


def _unverified_hash(token: str) -> str:
    """Return the hash of the jti that the claims name; nothing else in them is looked at."""
    try:
        if unverified_kid(token) is None:
            return ""
        return token_hash(str(decode_object(token.split(".")[1]).get("jti")))
    except VerificationError:
        return ""


def _was_issued(row: OperationToken, token: str) -> bool:
    """Look for the bytes among all that were ever signed for the row."""
    signed = row.ledger_entries.filter(kind__in=[EntryKind.ISSUED, EntryKind.REISSUED])
    digest = text_digest(token)
    return any(json.loads(each.entry)["data"].get("jws") == digest for each in signed)
