"""Let a person try again whose password or second factor too many failures have disabled."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import AuthenticatorKind, RequestContext, User
from accounts.services.claim_attempt import forgive_attempts
from accounts.services.record_event import NOWHERE, actor_data, record_event


def unlock_user(
    *,
    user: User,
    by: User | None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> None:
    """Forget the failures at both authenticators.  Nothing else opens: the secrets stay."""
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        for kind in AuthenticatorKind:
            forgive_attempts(user=user, kind=kind)
        data = actor_data(by)
        record_event(code="account_unlocked", user=user, data=data, context=context, now=now)
