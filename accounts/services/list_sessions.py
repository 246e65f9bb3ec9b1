"""A person's own signed-in places."""

from datetime import datetime

from django.utils import timezone

from accounts.models import SessionFamily, User
from accounts.models.session_family import SessionFamilyQuerySet


def list_sessions(*, of: User, now: datetime | None = None) -> SessionFamilyQuerySet:
    """Return the places that can still open something, browsers and mobile apps alike."""
    return SessionFamily.objects.live(now or timezone.now()).filter(user=of)
