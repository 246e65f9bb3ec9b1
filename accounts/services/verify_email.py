"""Let somebody show that an address is theirs."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import EmailKind, LinkPurpose, RequestContext, User
from accounts.services.check_email import check_email
from accounts.services.draw_link import spend_link
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, record_event
from accounts.services.refuse_link import refuse_link
from batchtokens_verifier.errors import InvalidFieldsError


def verify_email(
    *, token: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> User:
    """Use the link up; the address counts as verified if it is the person's still.

    Raises LinkNotValid, WaitForAttempt.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        link = spend_link(purpose=LinkPurpose.VERIFY_EMAIL, token=token, now=now)
        verified = link is not None and _verify(link.user, link.email, context, now)
    if link is None or not verified:
        refuse_link(context=context, now=now)
    return link.user


def resend_verification(*, email: str, context: RequestContext = NOWHERE) -> None:
    """Queue one message to whoever has the address and has not verified it; to nobody else.

    Raises InvalidFieldsError for what is no address.
    """
    queue_to_address(kind=EmailKind.VERIFY_EMAIL, email=email, context=context)


def queue_to_address(*, kind: EmailKind, email: str, context: RequestContext) -> None:
    """Queue a message of which only the worker will ask whose it is: every request costs the same.

    Raises InvalidFieldsError for what is no address.
    """
    if errors := check_email(email):
        raise InvalidFieldsError(errors)
    with transaction.atomic(durable=True):
        queue_email(kind=kind, address=email, context=context)


def _verify(user: User, email: str, context: RequestContext, now: datetime) -> bool:
    """Note it, once: a second link, or one that came before a reset, has nothing left to do."""
    if user.email != email or not user.is_active:
        return False
    if user.email_verified_at is None:
        user.email_verified_at = now
        user.save(update_fields=["email_verified_at"])
        record_event(code="email_verified", user=user, context=context, now=now)
    return True
