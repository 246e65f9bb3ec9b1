"""Let somebody have another address; the former one stays until the new one was shown to work."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import (
    EmailKind,
    LinkPurpose,
    OneTimeLink,
    OutgoingEmail,
    RequestContext,
    User,
)
from accounts.services.check_email import check_email
from accounts.services.draw_link import spend_link, void_links
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, actor_data, record_event
from accounts.services.refuse_link import refuse_link
from batchtokens_verifier.errors import InvalidFieldsError


def ask_for_email_change(
    *, by: User, email: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> None:
    """Queue a link to the new address; whether somebody has it is asked when it is sent.

    Raises InvalidFieldsError for what is no address.
    """
    if errors := check_email(email):
        raise InvalidFieldsError(errors)
    with transaction.atomic(durable=True):
        record_event(code="email_change_asked", user=by, context=context, now=now)
        queue_email(kind=EmailKind.CHANGE_EMAIL, user=by, address=email, context=context)


def confirm_email_change(
    *, token: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> User:
    """Use the link up and take the address that it was sent to; tell the former one.

    Raises LinkNotValid, WaitForAttempt, also if somebody else has the address by now.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        link = spend_link(purpose=LinkPurpose.CHANGE_EMAIL, token=token, now=now)
        changed = link is not None and _change(link, context, now)
    if link is None or not changed:
        refuse_link(context=context, now=now)
    return link.user


def take_address(user: User, email: str, now: datetime) -> bool:
    """Store an address that was shown to work, in the caller's transaction; False if taken."""
    former, verified_at = user.email, user.email_verified_at
    user.email, user.email_verified_at = email, now
    try:
        with transaction.atomic():
            user.save(update_fields=["email", "email_folded", "email_verified_at"])
    except IntegrityError:
        user.email, user.email_verified_at = former, verified_at
        return False
    return True


def _change(link: OneTimeLink, context: RequestContext, now: datetime) -> bool:
    user, former = link.user, link.user.email
    if not user.is_active or not take_address(user, link.email, now):
        return False
    note_email_change(user=user, former=former, by=user, context=context, now=now)
    return True


def note_email_change(
    *, user: User, former: str, by: User | None, context: RequestContext, now: datetime
) -> None:
    """Tell log and former address of a stored change, inside the caller's transaction.

    Links of the former address, and of other changes that were asked for, open nothing any more.
    """
    # What was not told yet is the former address's news: an intruder's arrival, perhaps.
    untold = OutgoingEmail.objects.unsent().filter(user=user, address="")
    untold.exclude(kind=EmailKind.VERIFY_EMAIL).update(address=former)
    OutgoingEmail.objects.unsent().filter(user=user, kind=EmailKind.CHANGE_EMAIL).delete()
    void_links(user=user, purposes=_OF_ONE_ADDRESS, now=now)
    own = by == user
    data = {} if own else actor_data(by)
    record_event(code="email_changed", user=user, data=data, context=context, now=now)
    where = context if own else NOWHERE  # where staff sat when they did it is theirs
    queue_email(kind=EmailKind.EMAIL_CHANGED, user=user, address=former, context=where)


_OF_ONE_ADDRESS = [
    LinkPurpose.VERIFY_EMAIL,
    LinkPurpose.CHANGE_EMAIL,
    LinkPurpose.RESET_PASSWORD,
]
