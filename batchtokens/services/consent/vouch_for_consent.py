"""The authority's own word on what a person confirmed: an HMAC over all that the consent says.

Who can write rows, but has no server key, can so neither edit what was confirmed until it is spent
nor make up a confirmation. Of a spent consent the ledger tells.
"""

from __future__ import annotations

import hmac

from accounts.crypto import keyed_digests
from batchtokens.models import Consent, instant
from batchtokens.services.consent.record_consent import consent_record
from batchtokens_verifier.canonical import canonicalize

_PURPOSE = "confirmed consent"


def vouch_for_consent(consent: Consent) -> None:
    """Set the column that vouches for the others; `confirmed_at` and `_with` are set before."""
    consent.confirmation_mac = keyed_digests(_PURPOSE, _told(consent))[0]


def is_vouched_for(consent: Consent) -> bool:
    """Tell whether the authority has vouched for just this confirmation."""
    if consent.confirmation_mac is None:
        return False
    found = bytes(consent.confirmation_mac)
    known = keyed_digests(_PURPOSE, _told(consent))
    return any(hmac.compare_digest(found, each) for each in known)


def _told(consent: Consent) -> str:
    """Write out everything but that it is spent; the sum is of one row, so its id is in it."""
    told = {
        **consent_record(consent),
        "user": str(consent.user_id),
        "client": str(consent.client_id or ""),
        "operation_type": str(consent.operation_type_id),
        "details": consent.details,
        "parameter_digest": consent.parameter_digest,
        "expires_at": instant(consent.expires_at),
    }
    return canonicalize(told).decode()
