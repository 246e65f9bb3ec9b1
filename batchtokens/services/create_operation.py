"""The built-in trigger, for first-party apps: allow, issue and queue in one transaction."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.tokens.access import Grant
from batchtokens.models import OperationToken
from batchtokens.services.allow import allow_operation
from batchtokens.services.enqueue import enqueue_runs
from batchtokens.services.issue import Origin, draft_operation, issue_operation_token
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.errors import IdempotencyMismatch


@dataclass(frozen=True)
class OperationRequest:
    """What the person asks for; `constraints` as in DESIGN §5.1, valid_from optional."""

    type: str
    operation: Mapping[str, Any]
    constraints: Mapping[str, Any]
    idempotency_key: str = ""

    def digest(self) -> str:
        body = json.dumps([self.type, self.operation, self.constraints], sort_keys=True)
        return _digest(body)


def create_operation(
    *, by: Grant, request: OperationRequest, now: dt.datetime | None = None
) -> OperationToken:
    """Issue and queue a mandate of the person's own; the same key and body again get the first one.

    The token itself is never handed out: it exists only sealed, in the queue.
    """
    subject = by.subject.public_id
    key = _digest(f"{subject}|{request.idempotency_key}") if request.idempotency_key else None
    with transaction.atomic(durable=True):
        allowance = allow_operation(
            grant=by, type_name=request.type, trigger=None, idempotency_digest=key, now=now
        )
        if allowance.earlier is not None:
            if allowance.earlier.request_digest != request.digest():
                raise IdempotencyMismatch
            return allowance.earlier
        draft = draft_operation(
            allowance.operation_type,
            operation=request.operation,
            constraints=request.constraints,
            constraints_at="/constraints",
            at=allowance.at,
        )
        allowance.check(draft)
        issued = issue_operation_token(
            draft=draft,
            user=allowance.user,
            client=None,
            at=allowance.at,
            origin=Origin(idempotency_digest=key, request_digest=request.digest()),
        )
        enqueue_runs(issued, at=allowance.at, limits=draft.constraints)
        return issued.row


def _digest(text: str) -> str:
    return b64url(hashlib.sha256(text.encode()).digest())
