"""Cancel the operation that a token stands for: its trigger gives the token back (RFC 7009)."""

from __future__ import annotations

from django.conf import settings

from accounts.models import ServiceClient
from accounts.tokens.backend import verify_token
from batchtokens.errors import OperationFinal
from batchtokens.models import HoldKind, OperationToken
from batchtokens.services.digests import text_digest
from batchtokens.services.revoke import cancel_operation
from batchtokens_verifier.claims import parse_operation_token
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.jws import Purpose


def revoke_operation_token(*, by: ServiceClient, token: str) -> bool:
    """Cancel for ever, if exactly this token was issued to `by`; False where nothing changed.

    Its executor, other clients and a token that nobody knows change nothing, by the same steps.
    """
    try:
        payload = verify_token(token, purpose=Purpose.OPERATION)
        claims = parse_operation_token(payload, allow_secondly=settings.ALLOW_SECONDLY_SCHEDULES)
    except VerificationError:
        return False
    own = OperationToken.objects.filter(client=by, token_hash=claims.token_hash)
    row = own.filter(jws_digest=text_digest(token)).first()
    if row is None:
        return False
    try:
        cancel_operation(operation_id=row.pk, by=HoldKind.CLIENT, actor=by.public_id)
    except OperationFinal:
        return False
    return True
