"""Issue an operation token: sign what was drafted, open its ledger, spend the consent.

What may be asked for is checked before.
"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from accounts.models import FIRST_PARTY, ServiceClient, User
from accounts.tokens.backend import Signer, signer
from batchtokens.errors import ConsentRequired
from batchtokens.models import (
    Consent,
    ConsentMode,
    EntryKind,
    LedgerEntry,
    OperationToken,
    chain_entry,
    salted_digest,
)
from batchtokens.models.writing import change, insertion, new_row, write_together
from batchtokens.services.consent.draft_operation import LANGUAGE, Draft
from batchtokens.services.consent.record_consent import consent_record
from batchtokens.services.issuing.kept_tokens import keep_token
from batchtokens.services.issuing.signatures import keep_claims, keep_signature
from batchtokens.services.status.status_places import Place, take_place
from batchtokens_verifier.canonical import canonicalize, digest
from batchtokens_verifier.claims import token_hash
from batchtokens_verifier.jws import Purpose


@dataclass(frozen=True)
class Origin:
    """The request behind an issue, as digests, and how long its token may be repeated."""

    subject_digest: str | None = None
    idempotency_digest: str | None = None
    request_digest: str = ""
    keep_until: dt.datetime | None = None


@dataclass(frozen=True)
class Issued:
    """A signed token and its row; `token` is a bearer value and goes to nobody but its trigger."""

    token: str = field(repr=False)
    row: OperationToken


@dataclass(frozen=True)
class Composed:
    """What has to be stored together, and with it `consent.spent_at` where there is a consent."""

    issued: Issued
    entry: LedgerEntry


def issue_operation_token(
    *,
    draft: Draft,
    user: User,
    client: ServiceClient | None,
    at: dt.datetime,
    origin: Origin,
    status_list_id: uuid.UUID | None = None,
    consent: Consent | None = None,
) -> Issued:
    """Sign the draft and store its row and first ledger entry in one statement.

    status_list_id: the executor's list that gives places; None: it has none yet.
    consent: locked, and found to be of just this; the same statement spends it.
    Call it in a transaction, with the caps checked.
    """
    if (consent is None) == (draft.operation_type.consent == ConsentMode.EXACT):
        raise ConsentRequired
    return take_place(
        status_list_id,
        executor_id=draft.operation_type.executor.pk,
        at=at,
        store=lambda place: _store(
            draft, user=user, client=client, at=at, origin=origin, consent=consent, place=place
        ),
    )


def _store(
    draft: Draft,
    *,
    user: User,
    client: ServiceClient | None,
    at: dt.datetime,
    origin: Origin,
    consent: Consent | None,
    place: Place,
) -> Issued:
    composed = compose_operation_token(
        draft,
        user=user,
        client=client,
        at=at,
        origin=origin,
        consent=consent,
        place=place,
        by=signer(Purpose.OPERATION),
    )
    spent = [] if consent is None else [change(consent, ["spent_at"])]
    write_together(*spent, insertion(composed.issued.row), insertion(composed.entry))
    return composed.issued


def compose_operation_token(
    draft: Draft,
    *,
    user: User,
    client: ServiceClient | None,
    at: dt.datetime,
    origin: Origin,
    consent: Consent | None,
    place: Place,
    by: Signer,
    authorised_by: str = "",
) -> Composed:
    """Sign the draft; return its row, first ledger entry and spent consent, none of them stored.

    Asks nothing of the database.
    authorised_by: who decided where the person's own token did not; the ledger keeps it.
    """
    row, claims = _compose(draft, user=user, client=client, at=at, consent=consent, place=place)
    signed = by.sign(claims)
    keep_signature(row, signed)
    keep_claims(row, signed)
    row.subject_digest = origin.subject_digest
    row.idempotency_digest = origin.idempotency_digest
    row.request_digest = origin.request_digest
    if origin.keep_until is not None:
        keep_token(row, signed.token, until=origin.keep_until)
    if consent is not None:
        consent.spent_at = at
    entry = _open_ledger(row, draft, claims=signed.token.split(".")[1], authorised_by=authorised_by)
    return Composed(Issued(token=signed.token, row=row), entry)


def _compose(
    draft: Draft,
    *,
    user: User,
    client: ServiceClient | None,
    at: dt.datetime,
    place: Place,
    consent: Consent | None = None,
) -> tuple[OperationToken, dict[str, Any]]:
    kind, limits = draft.operation_type, draft.constraints
    jti = "opt_" + secrets.token_urlsafe(16)
    parties = {"user": user, "client": client, "executor": kind.executor}
    row = new_row(
        OperationToken,
        related={**parties, "operation_type": kind, "consent": consent},
        type_name=kind.name,
        token_hash=token_hash(jti),
        operation=draft.canonical.decode(),
        parameter_digest=digest(draft.canonical),
        summary=consent.summary if consent else draft.summary,
        language=consent.language if consent else LANGUAGE,
        consent_mode=kind.consent,
        currency=draft.currency,
        amount_minor=draft.amount.minor if draft.amount else None,
        max_total_minor=limits.max_total.minor if limits.max_total else None,
        max_occurrences=draft.capacity,
        issued_at=at,
        valid_from=limits.valid_from,
        valid_to=limits.valid_to,
        salt=secrets.token_bytes(16),
        status_list_id=place.status_list_id,
        status_index=place.index,
        last_at=at,
    )
    row.details = _details(draft, row)
    return row, _claims(row, jti) | {"status": place.claim()}


def _details(draft: Draft, row: OperationToken) -> dict[str, Any]:
    return {
        **draft.granted(),
        "identifier": row.public_id,
        "redemption": {"mode": "issuer", "uri": f"{settings.ISSUER_URL}/api/v1/redemptions"},
    }


def _claims(row: OperationToken, jti: str) -> dict[str, Any]:
    """Return the claims of RFC 9068 and ours.

    The wire format is append-only: a new claim is optional and last.
    """
    issued_at, client = int(row.issued_at.timestamp()), row.client_name
    claims: dict[str, Any] = {
        "iss": settings.ISSUER_URL,
        "sub": row.user.public_id,
        "aud": row.executor.audience,
        "client_id": client,
        "iat": issued_at,
        "nbf": max(issued_at, int(row.valid_from.timestamp())),
        "exp": int(row.valid_to.timestamp()),
        "jti": jti,
        "txn": str(uuid.uuid4()),
        "scope": row.operation_type.scope,
        "parameter_digest": row.parameter_digest,
        "consent": _consent_claim(row),
        "authorization_details": [row.details],
    }
    # The built-in trigger acts for nobody else: its tokens carry no actor.
    if client != FIRST_PARTY:
        claims["act"] = {"sub": client}
    return claims


def _consent_claim(row: OperationToken) -> dict[str, str]:
    if row.consent is None:
        return {"mode": row.consent_mode}
    return {
        "mode": row.consent_mode,
        "id": row.consent.public_id,
        "mandate_digest": row.consent.mandate_digest,
    }


def _open_ledger(
    row: OperationToken, draft: Draft, *, claims: str, authorised_by: str
) -> LedgerEntry:
    kind, salt = draft.operation_type, bytes(row.salt)
    return chain_entry(
        row,
        EntryKind.ISSUED,
        at=row.issued_at,
        data={
            "claims": salted_digest(salt, claims),
            "client": row.client_name,
            "consent": row.consent_mode,
            "details": salted_digest(salt, canonicalize(row.details).decode()),
            "executor": row.executor.client_id,
            "jws": row.jws_digest,
            "kid": row.kid,
            "parameter_digest": row.parameter_digest,
            "summary": salted_digest(salt, row.summary),
            "type": f"{kind.name} v{kind.version}",
            "user": salted_digest(salt, row.user.public_id),
            **_consent_facts(row),
            **({"by": authorised_by} if authorised_by else {}),
        },
    )


def _consent_facts(row: OperationToken) -> dict[str, str]:
    """Return what the ledger keeps of an exact consent; its text is in `summary`, salted."""
    if row.consent is None:
        return {}
    return {
        "consent_id": salted_digest(bytes(row.salt), row.consent.public_id),
        "consent_record": salted_digest(
            bytes(row.salt), canonicalize(consent_record(row.consent)).decode()
        ),
        "mandate_digest": row.consent.mandate_digest,
    }
