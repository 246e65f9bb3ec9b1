"""Exchange a person's access token for an operation token (RFC 8693).

One subject token buys at most one operation token of a type.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.errors import AccountsError
from accounts.models import ServiceClient, User
from accounts.scopes import TOKEN_EXCHANGE
from accounts.services.verify_access_token import verify_access_token
from accounts.tokens.access import Grant
from batchtokens.errors import (
    ScopeNotOfType,
    SubjectTokenNotValid,
    SubjectTokenSpent,
    TargetNotValid,
    TriggerNotAllowed,
)
from batchtokens.models import OperationToken
from batchtokens.models.clock import database_now
from batchtokens.models.operation_types import TYPE_NAME
from batchtokens.services.consent.draft_operation import draft_operation
from batchtokens.services.digests import text_digest
from batchtokens.services.issuing.allow import Allowance, allow_operation
from batchtokens.services.issuing.issue import Issued, Origin, issue_operation_token
from batchtokens.services.issuing.kept_tokens import KEPT_FOR_RETRIES, kept_token
from batchtokens.services.issuing.repeats import RequestDigests, issue_once, request_digests
from batchtokens_verifier.errors import (
    IdempotencyMismatch,
    InvalidConstraints,
    VerificationError,
)

_GRANTED_MEMBERS = frozenset({"type", "actions", "locations", "operation"})
_REFUSED_MEMBERS = frozenset({"identifier", "redemption", "consent"})


@dataclass(frozen=True)
class ExchangeRequest:
    """The parameters of one exchange, parsed. `details`: the one authorization_details element."""

    subject_token: str = field(repr=False)
    target: str
    scope: str
    details: Mapping[str, Any]
    idempotency_key: str = ""
    consent_id: str | None = None

    def digests(self, *, sender: str) -> RequestDigests:
        """Return what a retry must repeat; the subject token enters as its own digest."""
        return request_digests(
            text_digest(self.subject_token),
            self.target,
            self.scope,
            self.details,
            consent_id=self.consent_id,
            sender=sender,
            idempotency_key=self.idempotency_key,
        )


def exchange_access_token(
    *, by: ServiceClient, request: ExchangeRequest, now: dt.datetime | None = None
) -> Issued:
    """Issue what the person's token and the type allow, or to a retry the same token again.

    Five statements on PostgreSQL, the client's authentication among them.
    """
    if TOKEN_EXCHANGE not in by.granted_scopes:
        raise TriggerNotAllowed("The client lacks the scope token_exchange.")
    digests = request.digests(sender=by.client_id)
    return issue_once(
        digests,
        issue=lambda: _exchange(by, request, digests, now),
        repeat=lambda earlier: _repeat(earlier, digests, at=now or database_now()),
    )


def _exchange(
    by: ServiceClient, request: ExchangeRequest, digests: RequestDigests, now: dt.datetime | None
) -> Issued:
    grant = _verify_subject(by, request.subject_token)
    type_name = _check_members(request.details)
    try:
        with transaction.atomic(durable=True):
            allowance = allow_operation(
                grant=grant,
                type_name=type_name,
                trigger=by,
                idempotency_digest=digests.key,
                consent_id=request.consent_id,
                now=now,
            )
            if allowance.earlier is not None:
                return _repeat(allowance.earlier, digests, at=allowance.at)
            return _issue(by, request, allowance=allowance, grant=grant, digests=digests)
    except IntegrityError as error:
        # The constraint's name on PostgreSQL, its column's on SQLite.
        if "subject" in str(error):
            raise SubjectTokenSpent from error
        raise IdempotencyMismatch from error


def _verify_subject(by: ServiceClient, token: str) -> Grant:
    audiences = [settings.ISSUER_URL, *([by.audience] if by.audience else [])]
    try:
        grant = verify_access_token(token, audience=audiences)
    except (AccountsError, VerificationError) as error:
        raise SubjectTokenNotValid from error
    if not isinstance(grant.subject, User):
        raise SubjectTokenNotValid
    return grant


def _check_members(details: Mapping[str, Any]) -> str:
    for name in sorted(_REFUSED_MEMBERS & details.keys()):
        raise InvalidConstraints("The authority fills it in.", pointer=f"/{name}")
    wanted = details.get("type")
    if not isinstance(wanted, str) or not TYPE_NAME.fullmatch(wanted):
        raise InvalidConstraints("It is missing, or not the name of a type.", pointer="/type")
    return wanted


def _issue(
    by: ServiceClient,
    request: ExchangeRequest,
    *,
    allowance: Allowance,
    grant: Grant,
    digests: RequestDigests,
) -> Issued:
    kind = allowance.operation_type
    audience = kind.executor.audience or ""
    if request.target != audience:
        raise TargetNotValid
    if request.scope != kind.scope:
        raise ScopeNotOfType
    for name, granted in (("actions", [kind.scope]), ("locations", [audience])):
        if request.details.get(name, granted) != granted:
            raise InvalidConstraints("It is not the operation type's.", pointer=f"/{name}")
    draft = draft_operation(
        kind,
        operation=request.details.get("operation"),
        constraints={k: v for k, v in request.details.items() if k not in _GRANTED_MEMBERS},
        at=allowance.at,
        agreed_at=allowance.agreed_at,
    )
    allowance.check(draft)
    origin = Origin(
        subject_digest=text_digest(grant.jti),
        idempotency_digest=digests.key,
        request_digest=digests.body,
        keep_until=allowance.at + KEPT_FOR_RETRIES if digests.key else None,
    )
    return issue_operation_token(
        draft=draft,
        user=allowance.user,
        client=by,
        at=allowance.at,
        origin=origin,
        status_list_id=allowance.status_list_id,
        consent=allowance.consent,
    )


def _repeat(earlier: OperationToken, digests: RequestDigests, *, at: dt.datetime) -> Issued:
    digests.check_same(earlier)
    token = kept_token(earlier, at=at)
    if token is None:
        raise SubjectTokenSpent
    return Issued(token=token, row=earlier)
