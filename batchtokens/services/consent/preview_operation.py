"""Show a person what they would sign: the sentence, the bytes, the digests. Nothing is stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts.errors import InsufficientScope
from accounts.models import FIRST_PARTY, ServiceClient
from accounts.scopes import ACCOUNT
from accounts.tokens.access import Grant
from batchtokens.errors import OperationTypeUnknown, TriggerNotAllowed
from batchtokens.models import OperationType
from batchtokens.models.clock import database_now
from batchtokens.services.consent.draft_operation import LANGUAGE, Draft, draft_operation
from batchtokens_verifier.canonical import digest


@dataclass(frozen=True)
class MandateRequest:
    """What a person wants to see or confirm; `client`: the trigger's client_id, "" the built-in."""

    type: str
    operation: Mapping[str, Any]
    constraints: Mapping[str, Any]
    client: str = ""


@dataclass(frozen=True)
class Preview:
    """A draft, for one person through one trigger, as it would be granted at `at`."""

    draft: Draft
    client: ServiceClient | None
    client_id: str
    subject: str
    at: dt.datetime
    language: str = LANGUAGE

    @property
    def operation_type(self) -> OperationType:
        return self.draft.operation_type

    @property
    def summary(self) -> str:
        return self.draft.words(client_id=self.client_id)

    @property
    def canonical_operation(self) -> str:
        return self.draft.canonical.decode()

    @property
    def parameter_digest(self) -> str:
        return digest(self.draft.canonical)

    @property
    def mandate(self) -> dict[str, Any]:
        return self.draft.granted()

    @property
    def mandate_digest(self) -> str:
        return self.draft.mandate_digest(sub=self.subject, client_id=self.client_id)


def preview_operation(
    *, by: Grant, request: MandateRequest, now: dt.datetime | None = None
) -> Preview:
    """Draft what is asked for, as it would be granted now.

    A person needs the scope account, or the type's meta-scope. Raises what issuing would.
    """
    kind = _find_type(by, request.type)
    client = _find_trigger(kind, request.client)
    at = now or database_now()
    draft = draft_operation(
        kind,
        operation=request.operation,
        constraints=request.constraints,
        constraints_at="/constraints",
        at=at,
    )
    client_id = client.client_id if client else FIRST_PARTY
    return Preview(draft, client, client_id, by.subject.public_id, at)


def _find_type(by: Grant, name: str) -> OperationType:
    kind = OperationType.objects.active().select_related("executor").filter(name=name).first()
    if kind is None:
        raise OperationTypeUnknown(pointer="/type")
    if by.scope.isdisjoint({ACCOUNT, kind.meta_scope}):
        raise InsufficientScope(kind.meta_scope)
    return kind


def _find_trigger(kind: OperationType, client_id: str) -> ServiceClient | None:
    """Return the trigger; who is none of this type's looks like who does not exist."""
    if client_id in {"", FIRST_PARTY}:
        return None
    client = kind.trigger_clients.filter(client_id=client_id, is_active=True).first()
    if client is None:
        raise TriggerNotAllowed(pointer="/client")
    return client
