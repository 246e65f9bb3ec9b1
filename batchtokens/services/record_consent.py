"""Write down what a person confirmed, and when and with what, so that a digest can bind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from batchtokens.models import Consent, instant
from batchtokens_verifier.canonical import canonicalize, digest


def mandate_digest(details: Mapping[str, Any], *, sub: str, client_id: str) -> str:
    """Return the digest of all that one consent is about: whose, through whom, where, what.

    details: the authorization_details element as granted, before it has an identifier.
    """
    (audience,) = details["locations"]
    mandate = {
        "sub": sub,
        "client_id": client_id,
        "aud": audience,
        "authorization_details": [details],
    }
    return digest(canonicalize(mandate))


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
