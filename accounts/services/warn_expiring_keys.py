"""Tell people, once, that a key of theirs will soon open nothing; of a client's, the log tells."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import ApiKey, EmailKind
from accounts.services.queue_email import queue_email
from accounts.services.record_event import record_event

WARN_BEFORE = timedelta(days=14)
BATCH = 500


def warn_expiring_keys(*, now: datetime | None = None) -> int:
    """Warn of a batch of keys and return of how many; a key is warned of once, ever.

    A key that has a successor needs no warning.
    """
    now = now or timezone.now()
    unwarned = ApiKey.objects.expiring(now, within=WARN_BEFORE).filter(expiry_warned_at=None)
    due = unwarned.select_related("client", "user").order_by("expires_at")[:BATCH]
    return sum(_warn(api_key, now) for api_key in due)


def _warn(api_key: ApiKey, now: datetime) -> bool:
    """Mark and tell in one transaction; of several workers, one does."""
    with transaction.atomic(durable=True):
        unwarned = ApiKey.objects.filter(pk=api_key.pk, expiry_warned_at=None)
        if not unwarned.update(expiry_warned_at=now):
            return False
        _tell(api_key, now)
    return True


def _tell(api_key: ApiKey, now: datetime) -> None:
    expires_at = f"{api_key.expires_at:%Y-%m-%d %H:%M} UTC"
    data = {"api_key": api_key.public_id, "expires_at": expires_at}
    if api_key.user:
        told = {**data, "name": api_key.name}
        queue_email(kind=EmailKind.API_KEY_EXPIRING, user=api_key.user, data=told)
    else:
        record_event(code="api_key_expiring", client=api_key.client, data=data, now=now)
