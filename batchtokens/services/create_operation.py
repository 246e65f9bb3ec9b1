"""The built-in trigger, for first-party apps: allow, issue and queue in one transaction."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.tokens.access import Grant
from batchtokens.models import OperationToken
from batchtokens.services.allow import allow_operation
from batchtokens.services.digests import text_digest
from batchtokens.services.draft_operation import draft_operation
from batchtokens.services.enqueue import enqueue_runs
from batchtokens.services.issue import Origin, issue_operation_token
from batchtokens_verifier.errors import IdempotencyMismatch, ProblemError


@dataclass(frozen=True)
class OperationRequest:
    """What the person asks for; `constraints` as in the token, valid_from optional."""

    type: str
    operation: Mapping[str, Any]
    constraints: Mapping[str, Any]
    idempotency_key: str = ""
    consent_id: str | None = None

    def digest(self) -> str:
        body: list[Any] = [self.type, self.operation, self.constraints]
        if self.consent_id is not None:
            body.append(self.consent_id)
        return text_digest(json.dumps(body, sort_keys=True))


def create_operation(
    *, by: Grant, request: OperationRequest, now: dt.datetime | None = None
) -> OperationToken:
    """Issue and queue a mandate of the person's own; the same key and body again get the first one.

    The token itself is never handed out: it exists only sealed, in the queue.
    """
    key = _key_digest(by, request)
    try:
        return _create(by, request, key, now)
    except ProblemError:
        # A retry is answered although the sign-in is too old, or a cap is reached, by now.
        earlier = OperationToken.objects.filter(idempotency_digest=key).first() if key else None
        if earlier is None:
            raise
        return _repeat(earlier, request)


def _key_digest(by: Grant, request: OperationRequest) -> str | None:
    key = request.idempotency_key
    return text_digest(f"{by.subject.public_id}|{key}") if key else None


def _repeat(earlier: OperationToken, request: OperationRequest) -> OperationToken:
    if earlier.request_digest != request.digest():
        raise IdempotencyMismatch
    return earlier


def _create(
    by: Grant, request: OperationRequest, key: str | None, now: dt.datetime | None
) -> OperationToken:
    with transaction.atomic(durable=True):
        allowance = allow_operation(
            grant=by,
            type_name=request.type,
            trigger=None,
            idempotency_digest=key,
            consent_id=request.consent_id,
            now=now,
        )
        if allowance.earlier is not None:
            return _repeat(allowance.earlier, request)
        draft = draft_operation(
            allowance.operation_type,
            operation=request.operation,
            constraints=request.constraints,
            constraints_at="/constraints",
            at=allowance.at,
            agreed_at=allowance.agreed_at,
        )
        allowance.check(draft)
        issued = issue_operation_token(
            draft=draft,
            user=allowance.user,
            client=None,
            at=allowance.at,
            origin=Origin(idempotency_digest=key, request_digest=request.digest()),
            status_list_id=allowance.status_list_id,
            consent=allowance.consent,
        )
        enqueue_runs(issued, at=allowance.at, limits=draft.constraints)
        return issued.row
