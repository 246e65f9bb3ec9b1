"""Forget signed-in places that opened nothing for long, and browsers' sessions that ran out."""

from datetime import datetime

from django.contrib.sessions.models import Session
from django.db.models import Q
from django.utils import timezone

from accounts.models import SessionFamily


def purge_sessions(*, before: datetime, limit: int, now: datetime | None = None) -> int:
    """Delete at most so many rows, and return how many; call it until it returns less.

    Places go that ended, or ran out, before the given instant; a browser's own data goes as soon
    as it has run out: nothing can be asked of it any more.
    """
    old = SessionFamily.objects.filter(Q(ended_at__lt=before) | Q(expires_at__lt=before))
    places = list(old.order_by("pk").values_list("pk", flat=True)[:limit])
    SessionFamily.objects.filter(pk__in=places).delete()
    stale = Session.objects.filter(expire_date__lt=now or timezone.now())
    keys = list(stale.values_list("pk", flat=True)[: limit - len(places)])
    Session.objects.filter(pk__in=keys).delete()
    return len(places) + len(keys)
