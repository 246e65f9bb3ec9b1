"""Stop everything when somebody says "this wasn't me"; no password is asked for (docs/adr/0014)."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import (
    ApiKey,
    EmailKind,
    FederatedIdentity,
    LinkPurpose,
    OneTimeLink,
    OutgoingEmail,
    RequestContext,
    User,
)
from accounts.services.change_email import take_address
from accounts.services.draw_link import spend_link, void_links
from accounts.services.record_event import NOWHERE, record_event
from accounts.services.refuse_link import refuse_link
from accounts.services.shut_out import shut_out
from accounts.signals import account_frozen

WAY_BACK = (
    "Nobody can use the account now, and everybody is signed out. To use it again, ask for a"
    " password reset: the link goes to the account's e-mail address. If none comes, ask the"
    " operators of this service."
)


def freeze_account(
    *, token: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> User:
    """Make the link's person inactive, end their places, revoke their keys, unlink identities.

    A reset thaws the account, and an intruder's identity must not sign in to it then.
    Sent to a former address, the link puts that address back, so that the reset goes there.
    Raises LinkNotValid, WaitForAttempt.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        link = spend_link(purpose=LinkPurpose.NOT_ME, token=token, now=now)
        if link is not None:
            _freeze(link, context, now)
    if link is None:
        refuse_link(context=context, now=now)
    return link.user


def _freeze(link: OneTimeLink, context: RequestContext, now: datetime) -> None:
    user = link.user
    _stop_plans(link, now)  # before the address: the worker that draws a link waits for neither
    at_home = user.email == link.email or take_address(user, link.email, now)
    _switch_off(user, at_home, now)
    shut_out(user=user, why="not_me", context=context, now=now)
    keys = ApiKey.objects.for_user(user).unrevoked().update(revoked_at=now)
    linked = FederatedIdentity.objects.filter(user=user)  # no place is left to link another one
    identities, _ = linked.delete()
    data = {"api_keys": keys, "identities": identities, "address_is_back": at_home}
    account_frozen.send(User, user=user, context=context, now=now)
    record_event(code="account_frozen", user=user, data=data, context=context, now=now)


def _switch_off(user: User, at_home: bool, now: datetime) -> None:
    """Let the reset link thaw the account only where it goes to who has just spoken.

    Whom staff have switched off stays so.  Where somebody else has the former address by now, the
    present one is the intruder's: staff alone can help.
    """
    by_staff = not user.is_active and user.frozen_at is None
    user.frozen_at = now if at_home and not by_staff else None
    user.is_active = False
    user.save(update_fields=["is_active", "frozen_at"])


def _stop_plans(link: OneTimeLink, now: datetime) -> None:
    """Void what an intruder may have asked for, above all the messages that would undo this.

    What was told earlier stays: who had the account first wins, whoever speaks first.
    """
    waiting = OutgoingEmail.objects.unsent().filter(user=link.user).exclude(address="")
    waiting.filter(Q(pk__gt=link.told_in) | Q(kind=EmailKind.CHANGE_EMAIL)).delete()
    others = OneTimeLink.objects.usable(now)
    others.of_later_messages(link).update(used_at=now)
    void_links(user=link.user, purposes=set(LinkPurpose) - {LinkPurpose.NOT_ME}, now=now)
