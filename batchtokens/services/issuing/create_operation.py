"""The built-in trigger, for first-party apps: allow, issue and queue in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.tokens.access import Grant
from batchtokens.models import OperationToken
from batchtokens.services.consent.draft_operation import draft_operation
from batchtokens.services.issuing.allow import allow_operation
from batchtokens.services.issuing.issue import Origin, issue_operation_token
from batchtokens.services.issuing.repeats import RequestDigests, issue_once, request_digests
from batchtokens.services.queue.enqueue import enqueue_runs


@dataclass(frozen=True)
class OperationRequest:
    """What the person asks for; `constraints` as in the token, valid_from optional."""

    type: str
    operation: Mapping[str, Any]
    constraints: Mapping[str, Any]
    idempotency_key: str = ""
    consent_id: str | None = None

    def digests(self, *, sender: str) -> RequestDigests:
        """Return what a retry must repeat."""
        return request_digests(
            self.type,
            self.operation,
            self.constraints,
            consent_id=self.consent_id,
            sender=sender,
            idempotency_key=self.idempotency_key,
        )


def create_operation(
    *, by: Grant, request: OperationRequest, now: dt.datetime | None = None
) -> OperationToken:
    """Issue and queue a mandate of the person's own; the same key and body again get the first one.

    The token itself is never handed out: it exists only sealed, in the queue.
    """
    digests = request.digests(sender=by.subject.public_id)

    def repeat(earlier: OperationToken) -> OperationToken:
        digests.check_same(earlier)
        return earlier

    return issue_once(digests, issue=lambda: _create(by, request, digests, now), repeat=repeat)


def _create(
    by: Grant, request: OperationRequest, digests: RequestDigests, now: dt.datetime | None
) -> OperationToken:
    with transaction.atomic(durable=True):
        allowance = allow_operation(
            grant=by,
            type_name=request.type,
            trigger=None,
            idempotency_digest=digests.key,
            consent_id=request.consent_id,
            now=now,
        )
        if allowance.earlier is not None:
            digests.check_same(allowance.earlier)
            return allowance.earlier
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
            origin=Origin(idempotency_digest=digests.key, request_digest=digests.body),
            status_list_id=allowance.status_list_id,
            consent=allowance.consent,
        )
        enqueue_runs(issued.row, issued.token, at=allowance.at, limits=draft.constraints)
        return issued.row
