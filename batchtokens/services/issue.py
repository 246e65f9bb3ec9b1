"""Issue an operation token: check what is asked, sign it, open its ledger (DESIGN §5.1, §5.2)."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from accounts import ids
from accounts.crypto import seal
from accounts.models import FIRST_PARTY, ServiceClient, User
from accounts.tokens.backend import sign
from batchtokens.errors import ConsentModeNotSupported, under
from batchtokens.models import (
    ConsentMode,
    EntryKind,
    LedgerEntry,
    OperationToken,
    OperationType,
    chain_entry,
    salted_digest,
)
from batchtokens.models.writing import insertion, write_together
from batchtokens.services.check_operation_type import check_against_schema, member_names
from batchtokens.services.signatures import keep_claims, keep_signature
from batchtokens.services.status_places import Place, take_place
from batchtokens.services.summarise import summarise
from batchtokens_verifier.canonical import (
    MAX_SAFE_INTEGER,
    canonicalize,
    check_operation,
    parameter_digest,
)
from batchtokens_verifier.claims import token_hash
from batchtokens_verifier.constraints import Amount, Constraints, plan_slots
from batchtokens_verifier.errors import InvalidConstraints, InvalidOperation
from batchtokens_verifier.jws import Purpose

LATEST_START = dt.timedelta(minutes=5)  # a given valid_from may be this old
LANGUAGE = "en"


@dataclass(frozen=True)
class Draft:
    """What will be signed: checked, but neither allowed by a cap nor stored."""

    operation_type: OperationType
    operation: dict[str, Any]
    constraints: Constraints
    capacity: int
    amount: Amount | None
    summary: str

    @property
    def currency(self) -> str:
        limit = self.amount or self.constraints.max_individual_amount
        return limit.currency if limit else ""


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


def draft_operation(
    operation_type: OperationType,
    *,
    operation: object,
    constraints: Mapping[str, Any],
    constraints_at: str = "",
    at: dt.datetime,
) -> Draft:
    """Check an operation and its constraints against the type's version.

    Raises InvalidOperation or InvalidConstraints; their pointers begin with /operation and
    `constraints_at`.
    """
    if operation_type.consent != ConsentMode.SCOPE:
        raise ConsentModeNotSupported(
            f"{operation_type.name} asks for exact consent, which this version does not offer."
        )
    with under("/operation"):
        checked = _check_operation(operation_type, operation)
    amount = Amount.parse(checked["amount"], "") if "amount" in checked else None
    with under(constraints_at):
        limits = _parse_constraints(constraints, amount=amount, at=at)
        if limits.valid_to > at + dt.timedelta(days=operation_type.max_lifetime_days):
            raise InvalidConstraints(
                f"At most {operation_type.max_lifetime_days} days.", pointer="/valid_to"
            )
        _check_recordable(limits, amount)
    return Draft(
        operation_type=operation_type,
        operation=checked,
        constraints=limits,
        capacity=_capacity(limits),
        amount=amount,
        summary=summarise(operation_type, checked, limits),
    )


def _check_recordable(limits: Constraints, amount: Amount | None) -> None:
    """Refuse what could add up to more than a ledger entry can say (RFC 8785 §3.2.2.3)."""
    largest = amount or limits.max_individual_amount
    total = limits.max_total.minor if limits.max_total else MAX_SAFE_INTEGER + 1
    if largest and min(total, largest.minor * _capacity(limits)) > MAX_SAFE_INTEGER:
        raise InvalidConstraints("The runs could add up to too much.", pointer="/max_total")


def _capacity(limits: Constraints) -> int:
    slots = plan_slots(limits).capacity
    return min(slots, limits.max_occurrences) if limits.max_occurrences else slots


def _check_operation(operation_type: OperationType, operation: object) -> dict[str, Any]:
    checked = check_operation(operation, known=member_names(operation_type.schema))
    check_against_schema(operation_type.schema, checked)
    if checked["action"] != operation_type.scope:
        raise InvalidOperation("It is not the operation type's.", pointer="/action")
    return checked


def _parse_constraints(
    constraints: Mapping[str, Any], *, amount: Amount | None, at: dt.datetime
) -> Constraints:
    start = at.replace(microsecond=0)
    given = {"valid_from": start.strftime("%Y-%m-%dT%H:%M:%SZ"), **constraints}
    limits = Constraints.parse(
        given, operation_amount=amount, allow_secondly=settings.ALLOW_SECONDLY_SCHEDULES
    )
    if limits.valid_from < at - LATEST_START:
        raise InvalidConstraints("It lies more than 5 minutes back.", pointer="/valid_from")
    if limits.valid_to <= at:
        raise InvalidConstraints("It lies in the past.", pointer="/valid_to")
    return limits


def issue_operation_token(
    *,
    draft: Draft,
    user: User,
    client: ServiceClient | None,
    at: dt.datetime,
    origin: Origin,
    status_list_id: uuid.UUID | None = None,
) -> Issued:
    """Sign the draft and store its row and first ledger entry in one statement.

    status_list_id: the executor's list that gives places; None: it has none yet.
    Call it in a transaction, with the caps checked.
    """
    return take_place(
        status_list_id,
        executor_id=draft.operation_type.executor.pk,
        at=at,
        store=lambda place: _store(
            draft, user=user, client=client, at=at, origin=origin, place=place
        ),
    )


def _store(
    draft: Draft,
    *,
    user: User,
    client: ServiceClient | None,
    at: dt.datetime,
    origin: Origin,
    place: Place,
) -> Issued:
    row, claims = _compose(draft, user=user, client=client, at=at, place=place)
    signed = sign(claims, purpose=Purpose.OPERATION)
    keep_signature(row, signed)
    keep_claims(row, signed)
    row.subject_digest = origin.subject_digest
    row.idempotency_digest = origin.idempotency_digest
    row.request_digest = origin.request_digest
    if origin.keep_until is not None:
        row.sealed_token = seal(signed.token.encode(), context=f"issued:{row.public_id}")
        row.sealed_until = origin.keep_until
    entry = _open_ledger(row, draft)
    write_together(insertion(row), insertion(entry))
    return Issued(token=signed.token, row=row)


def _compose(
    draft: Draft, *, user: User, client: ServiceClient | None, at: dt.datetime, place: Place
) -> tuple[OperationToken, dict[str, Any]]:
    kind, limits = draft.operation_type, draft.constraints
    jti = "opt_" + secrets.token_urlsafe(16)
    row = OperationToken(
        id=ids.new_id(),
        user=user,
        client=client,
        executor=kind.executor,
        operation_type=kind,
        type_name=kind.name,
        token_hash=token_hash(jti),
        operation=canonicalize(draft.operation).decode(),
        parameter_digest=parameter_digest(draft.operation),
        summary=draft.summary,
        language=LANGUAGE,
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
    kind = draft.operation_type
    return {
        "type": kind.name,
        "actions": [kind.scope],
        "locations": [kind.executor.audience],
        "identifier": row.public_id,
        "operation": draft.operation,
        **draft.constraints.as_json(),
        "redemption": {"mode": "issuer", "uri": f"{settings.ISSUER_URL}/api/v1/redemptions"},
    }


def _claims(row: OperationToken, jti: str) -> dict[str, Any]:
    """Return the claims of RFC 9068 and ours.

    The wire format is append-only: a new claim is optional and last.
    """
    issued_at = int(row.issued_at.timestamp())
    claims: dict[str, Any] = {
        "iss": settings.ISSUER_URL,
        "sub": row.user.public_id,
        "aud": row.executor.audience,
        "client_id": row.client_name,
        "iat": issued_at,
        "nbf": max(issued_at, int(row.valid_from.timestamp())),
        "exp": int(row.valid_to.timestamp()),
        "jti": jti,
        "txn": str(uuid.uuid4()),
        "scope": row.operation_type.scope,
        "parameter_digest": row.parameter_digest,
        "consent": {"mode": row.consent_mode},
        "authorization_details": [row.details],
    }
    # The built-in trigger acts for nobody else: its tokens carry no actor.
    if row.client_name != FIRST_PARTY:
        claims["act"] = {"sub": row.client_name}
    return claims


def _open_ledger(row: OperationToken, draft: Draft) -> LedgerEntry:
    kind, salt = draft.operation_type, bytes(row.salt)
    return chain_entry(
        row,
        EntryKind.ISSUED,
        at=row.issued_at,
        data={
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
        },
    )
