"""Write down what a person confirmed, and when and with what, so that a digest can bind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from batchtokens.models import Consent, instant
from batchtokens_verifier import canonical


def mandate_digest(details: Mapping[str, Any], *, sub: str, client_id: str) -> str:
    """Return the digest that a consent to these details is bound by.

    details: the authorization_details element as granted.
    """
    (aud,) = details["locations"]
    return canonical.mandate_digest(sub=sub, client_id=client_id, aud=aud, detail=details)


def consent_record(consent: Consent) -> dict[str, str | int]:
    """Return the record; append-only, because ledgers hold its digest."""
    return {
        "id": consent.public_id,
        "mandate_digest": consent.mandate_digest,
        "summary": consent.summary,
        "language": consent.language,
        "template_version": consent.template_version,
        "shown_at": instant(consent.created_at),
        "confirmed_at": _when(consent.confirmed_at),
        "confirmed_with": consent.confirmed_with,
    }


def _when(at: dt.datetime | None) -> str:
    return instant(at) if at else ""
