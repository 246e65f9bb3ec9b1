"""Follow the change of somebody's password by staff up: tell both, end what the old one opened."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import EmailKind, RequestContext, User
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, actor_data, record_event
from accounts.services.shut_out import shut_out


def note_password_change(
    *, user: User, by: User, context: RequestContext = NOWHERE, now: datetime | None = None
) -> None:
    """Record a stored change and end the person's places; the mail says not where staff sat."""
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        shut_out(user=user, by=by, why="password_changed", context=context, now=now)
        data = actor_data(by)
        record_event(code="password_changed", user=user, data=data, context=context, now=now)
        queue_email(kind=EmailKind.PASSWORD_CHANGED, user=user)
