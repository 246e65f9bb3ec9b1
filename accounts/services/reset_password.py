"""The way back in for who has lost the password, or was locked out by a guesser."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import (
    ApiKey,
    AuthenticatorKind,
    EmailKind,
    FederatedIdentity,
    LinkPurpose,
    OneTimeLink,
    RequestContext,
    User,
)
from accounts.services.check_new_password import check_new_password, refuse_same_password
from accounts.services.claim_attempt import forgive_attempts
from accounts.services.disable_totp import forget_second_factor
from accounts.services.draw_link import find_link, spend_link
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, record_event
from accounts.services.refuse_link import refuse_link
from accounts.services.shut_out import shut_out
from accounts.services.verify_email import queue_to_address


def ask_for_reset(*, email: str, context: RequestContext = NOWHERE) -> None:
    """Queue one message to whoever has the address.

    Raises InvalidFieldsError for what is no address.
    """
    queue_to_address(kind=EmailKind.RESET_PASSWORD, email=email, context=context)


def reset_password(
    *,
    token: str,
    new_password: str,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> User:
    """Use the link up and store the new password; whoever was signed in is so no more.

    A password that breaks a rule does not use the link up.  The second factor stays on, unless
    nobody had shown yet that the address is theirs: then nothing of what was there stays.
    Raises LinkNotValid, WaitForAttempt, InvalidFieldsError.
    """
    now = now or timezone.now()
    link = find_link(purpose=LinkPurpose.RESET_PASSWORD, token=token, now=now)
    if link is None or not _may_reset(link):
        refuse_link(context=context, now=now)
    check_new_password(password=new_password, user=link.user, pointer="/new_password")
    if link.user.frozen_at is not None:  # an intruder may know the one that was
        refuse_same_password(password=new_password, user=link.user, pointer="/new_password")
    link.user.set_password(new_password)
    encoded = link.user.password
    with transaction.atomic(durable=True):
        spent = spend_link(purpose=LinkPurpose.RESET_PASSWORD, token=token, now=now)
        done = spent is not None and _may_reset(spent)
        if spent and done:
            _let_back_in(spent.user, encoded, context, now)
    if spent is None or not done:
        refuse_link(context=context, now=now)
    return spent.user


def _may_reset(link: OneTimeLink) -> bool:
    """Say whether the address is the person's still, and no staff have switched them off."""
    open_again = link.user.is_active or link.user.frozen_at is not None
    return open_again and link.user.email == link.email


def _let_back_in(user: User, encoded: str, context: RequestContext, now: datetime) -> None:
    data = {"thawed": user.frozen_at is not None, "first_proof": user.email_verified_at is None}
    user.email_verified_at = user.email_verified_at or now
    user.password, user.is_active, user.frozen_at = encoded, True, None
    user.save(update_fields=["password", "is_active", "frozen_at", "email_verified_at"])
    shut_out(user=user, why="password_reset", context=context, now=now)
    if data["first_proof"]:
        _take_from_strangers(user, now)  # now that no place is left which could link another one
    forgive_attempts(user=user, kind=AuthenticatorKind.PASSWORD)
    record_event(code="password_reset", user=user, data=data, context=context, now=now)
    queue_email(kind=EmailKind.PASSWORD_CHANGED, user=user, context=context)


def _take_from_strangers(user: User, now: datetime) -> None:
    """Undo what others may have prepared who registered somebody's address before its owner did."""
    ApiKey.objects.for_user(user).unrevoked().update(revoked_at=now)
    FederatedIdentity.objects.filter(user=user).delete()
    forget_second_factor(user=user)
