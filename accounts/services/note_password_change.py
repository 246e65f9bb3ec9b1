"""Follow a password's change up: tell the security log, and sign out who knew the old one."""

from accounts.models import RequestContext, SessionFamily, User
from accounts.services.end_session import end_sessions
from accounts.services.record_event import NOWHERE, actor_data, record_event


def note_password_change(*, user: User, by: User, context: RequestContext = NOWHERE) -> None:
    """Record a stored change and end the person's places; Django ends their browser sessions."""
    record_event(code="password_changed", user=user, data=actor_data(by), context=context)
    families = SessionFamily.objects.filter(user=user)
    end_sessions(families=families, why="password_changed", by=by, context=context)
