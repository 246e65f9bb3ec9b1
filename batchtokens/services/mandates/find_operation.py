"""Find what a principal may see: a person's or trigger's operations, an executor's redemptions.

Somebody else's is not found (I10).
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import OuterRef, Q, Subquery

from accounts.errors import InsufficientScope
from accounts.ids import parse_public_id
from accounts.models import ServiceClient, User
from accounts.scopes import ACCOUNT, TOKEN_EXCHANGE
from accounts.tokens.access import Grant
from batchtokens.errors import OperationNotFound, RedemptionNotFound
from batchtokens.models import HoldKind, OperationToken, QueuedRun, Redemption
from batchtokens.models.clock import DatabaseClock
from batchtokens.models.operation_tokens import OperationTokenQuerySet


def visible_operations(*, by: User | ServiceClient) -> OperationTokenQuerySet:
    """Return the principal's operations with `clock` and `next_run_at`, the next waiting run."""
    own = Q(user=by) if isinstance(by, User) else Q(client=by)
    waiting = QueuedRun.objects.unfinished().filter(operation_token=OuterRef("pk"))
    return (
        OperationToken.objects.filter(own)
        .select_related("client", "operation_type", "consent")
        .annotate(
            clock=DatabaseClock(),
            next_run_at=Subquery(waiting.order_by("due_at").values("due_at")[:1]),
        )
    )


def find_operation(*, by: User | ServiceClient, public_id: str) -> Any:
    """Return one visible operation by its `op_` id, with `clock` and `next_run_at`.

    Raises OperationNotFound.
    """
    found = visible_operations(by=by).filter(pk=parse_public_id(public_id, "op")).first()
    if found is None:
        raise OperationNotFound
    return found


def find_for_change(*, by: Grant, public_id: str) -> tuple[uuid.UUID, HoldKind]:
    """Return the id of an operation that the grant may hold, resume or cancel, and as which kind.

    A person needs the scope account, or the type's meta-scope: what may start it may stop it.
    """
    subject = by.subject
    operation = find_operation(by=subject, public_id=public_id)
    if isinstance(subject, ServiceClient):
        if TOKEN_EXCHANGE not in by.scope:
            raise InsufficientScope(TOKEN_EXCHANGE)
        return operation.pk, HoldKind.CLIENT
    if not by.scope & {ACCOUNT, operation.operation_type.meta_scope}:
        raise InsufficientScope(ACCOUNT)
    return operation.pk, HoldKind.USER


def find_redemption(*, by: ServiceClient, redemption_id: str) -> Redemption:
    """Return an executor's own redemption, with `clock`. Raises RedemptionNotFound."""
    found = (
        Redemption.objects.annotate(clock=DatabaseClock())
        .filter(pk=redemption_id, operation_token__executor=by)
        .first()
    )
    if found is None:
        raise RedemptionNotFound
    return found
