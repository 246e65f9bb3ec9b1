"""Compare a mandate's row, and what its person confirmed, with what the ledger kept at its issue.

The ledger binds all of it by salted digests: who rewrites the sentence afterwards is found (I14).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchtokens.models import Consent, OperationToken, salted_digest
from batchtokens.services.consent.record_consent import consent_record, mandate_digest
from batchtokens_verifier.canonical import canonicalize


def consent_problem(token: OperationToken, issued: Mapping[str, Any]) -> str | None:
    """Return what is wrong, if anything is; `issued`: the data of the ledger's first entry."""
    if _differs(_parties(token), issued):
        return "the parties, the type or the sentence are not those of the issue"
    if issued["consent"] != token.consent_mode:
        return "the mode of consent is not that of the issue"
    if token.consent and not _is_the_confirmed_one(token, token.consent, issued):
        return "the consent is not the one that was confirmed"
    return None


def _differs(found: Mapping[str, str], issued: Mapping[str, Any]) -> bool:
    return any(issued.get(name) != value for name, value in found.items())


def _parties(token: OperationToken) -> dict[str, str]:
    kind, salt = token.operation_type, bytes(token.salt)
    return {
        "client": token.client_name,
        "executor": token.executor.client_id,
        "summary": salted_digest(salt, token.summary),
        "type": f"{kind.name} v{kind.version}",
        "user": salted_digest(salt, token.user.public_id),
    }


def _is_the_confirmed_one(
    token: OperationToken, consent: Consent, issued: Mapping[str, Any]
) -> bool:
    """Compare it with the ledger; what no entry tells of it, with the row that it has bought."""
    own = (consent.user_id, consent.client_id, consent.operation_type_id)
    bought = (token.user_id, token.client_id, token.operation_type_id)
    same = (own, consent.parameter_digest) == (bought, token.parameter_digest)
    spent = consent.spent_at == token.issued_at
    return same and spent and not _differs(_confirmed(token, consent), issued)


def _confirmed(token: OperationToken, consent: Consent) -> dict[str, str]:
    salt, record = bytes(token.salt), canonicalize(consent_record(consent)).decode()
    sub, client_id = token.user.public_id, token.client_name
    return {
        "consent_id": salted_digest(salt, consent.public_id),
        "consent_record": salted_digest(salt, record),
        # Recomputed from what was shown; the signed details are compared elsewhere.
        "mandate_digest": mandate_digest(consent.details, sub=sub, client_id=client_id),
    }
