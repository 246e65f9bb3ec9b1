"""Take an API key back; it is read anew with every request, so it opens nothing from now on."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import ApiKey, RequestContext, User
from accounts.services.record_event import NOWHERE, actor_data, record_event


def revoke_api_key(
    *,
    api_key: ApiKey,
    by: User | None = None,
    why: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> bool:
    """Make a key open nothing from now on; False if it was revoked already."""
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        revoked = ApiKey.objects.filter(pk=api_key.pk).unrevoked().update(revoked_at=now) == 1
        if revoked:
            reason = {"why": why} if why else {}
            record_event(
                code="api_key_revoked",
                user=api_key.user,
                client=api_key.client,
                data={"api_key": api_key.public_id, **reason, **actor_data(by)},
                context=context,
                now=now,
            )
    return revoked
