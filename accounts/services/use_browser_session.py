"""Find the place that a browser's session is bound to, each time the browser asks for something."""

import uuid
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import RequestContext, SessionFamily, SessionKind
from accounts.services.record_event import NOWHERE

NOTED_EVERY = timedelta(minutes=1)


def use_browser_session(
    *,
    family_id: uuid.UUID,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> SessionFamily | None:
    """Return the place with its person, in one statement; None if it opens nothing any more.

    At most once a minute one more statement notes when and where it was last seen, so it is idle
    up to a minute early, and never late.
    """
    now = now or timezone.now()
    places = SessionFamily.objects.live(now).filter(kind=SessionKind.BROWSER)
    family = places.select_related("user").filter(pk=family_id).first()
    if family is not None and family.last_used_at <= now - NOTED_EVERY:
        _note(family, context, now)
    return family


def _note(family: SessionFamily, context: RequestContext, now: datetime) -> None:
    """Write it once, however many requests come in this moment."""
    SessionFamily.objects.not_ended().filter(
        pk=family.pk, last_used_at__lte=now - NOTED_EVERY
    ).update(
        last_used_at=now,
        address=context.address or None,
        user_agent=context.user_agent,
    )
    family.last_used_at = now
