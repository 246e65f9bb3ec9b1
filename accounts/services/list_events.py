"""A person's own part of the security log."""

from accounts.models import SecurityEvent, User
from accounts.models.security_event import SecurityEventQuerySet


def list_events(*, of: User, code: str = "", outcome: str = "") -> SecurityEventQuerySet:
    """Return what happened to a person's account, refusals by whomever among it."""
    wanted = {"code": code, "outcome": outcome}
    events = SecurityEvent.objects.filter(user=of).select_related("user")
    return events.filter(**{name: value for name, value in wanted.items() if value})
