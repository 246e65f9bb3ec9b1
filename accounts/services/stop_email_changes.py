"""Take back changes of address that were asked for, inside a transaction that holds the people.

Their links need no session: an intruder who was signed out could still take the account with one.
"""

from datetime import datetime

from django.db.models import QuerySet

from accounts.models import EmailKind, LinkPurpose, OneTimeLink, OutgoingEmail, User


def stop_email_changes(*, users: QuerySet[User], now: datetime) -> None:
    """Let the links that were drawn open nothing, and draw no others."""
    drawn = OneTimeLink.objects.usable(now).filter(purpose=LinkPurpose.CHANGE_EMAIL)
    drawn.filter(user__in=users).update(used_at=now)
    OutgoingEmail.objects.unsent().filter(kind=EmailKind.CHANGE_EMAIL, user__in=users).delete()
