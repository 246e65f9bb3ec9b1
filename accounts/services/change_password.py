"""Let somebody who is signed in choose another password."""

import uuid
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.errors import InvalidCredentials
from accounts.models import EmailKind, RequestContext, User
from accounts.services.check_new_password import check_new_password, refuse_same_password
from accounts.services.check_password import verify_password
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, record_event
from accounts.services.shut_out import shut_out


def change_password(
    *,
    by: User,
    current_password: str,
    new_password: str,
    keep: uuid.UUID | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> None:
    """Store the new password and end the person's places, save the one that `keep` names.

    Raises InvalidCredentials, WaitForAttempt; InvalidFieldsError for a password that breaks a rule.
    """
    now = now or timezone.now()
    verify_password(user=by, password=current_password, context=context, now=now)
    check_new_password(password=new_password, user=by, pointer="/new_password")
    refuse_same_password(password=new_password, user=by, pointer="/new_password")
    known = by.password
    by.set_password(new_password)
    replace_password(user=by, known=known, keep=keep, context=context, now=now)


def replace_password(
    *,
    user: User,
    known: str,
    keep: uuid.UUID | None = None,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> None:
    """Store the hash that `user` holds in the place of the known one, which was judged.

    Nothing else of the row is written: others may have changed it meanwhile.
    Raises InvalidCredentials where the person has another password by now, or was disabled.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        # Judged before, written now: of two changes at once, one has judged what is not so any more
        same = User.objects.filter(pk=user.pk, password=known, is_active=True)
        if not same.update(password=user.password):
            raise InvalidCredentials
        shut_out(user=user, keep=keep, why="password_changed", context=context, now=now)
        record_event(code="password_changed", user=user, context=context, now=now)
        queue_email(kind=EmailKind.PASSWORD_CHANGED, user=user, context=context)
