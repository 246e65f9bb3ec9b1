"""Let nobody in before they have shown that their address is theirs, where it is required.

Passwords open nothing before that (`check_password`); here are those whom a provider vouches for.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.errors import EmailNotVerified
from accounts.models import EmailKind, OutgoingEmail, RequestContext, User
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, count_refusal

# Who signs in with somebody else's address is no way to fill their mailbox.
ANOTHER_LINK_AFTER = timedelta(minutes=15)


def require_verified_email(
    *, user: User, context: RequestContext = NOWHERE, now: datetime | None = None
) -> None:
    """Check a person who has shown their first factor: nobody else may learn of it.

    Raises EmailNotVerified; then another link is on its way.
    """
    if user.is_verified:
        return
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        links = OutgoingEmail.objects.filter(user=user, kind=EmailKind.VERIFY_EMAIL)
        if not links.filter(created_at__gt=now - ANOTHER_LINK_AFTER).exists():
            queue_email(kind=EmailKind.VERIFY_EMAIL, user=user, context=context)
    count_refusal(
        code="sign_in_refused", reason="email_not_verified", user=user, context=context, now=now
    )
    raise EmailNotVerified
