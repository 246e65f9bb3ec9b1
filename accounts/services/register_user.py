"""Make an account for somebody who asks for one, and tell nobody else whether there was one.

What is true is told to the mailbox (docs/adr/0012).  Whoever has the name or the address, a request
costs one hash, one insert that the database arbitrates, one look, one event and one message.
"""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import EmailKind, RequestContext, User
from accounts.models.folded import fold, nfkc
from accounts.models.user import USERNAME_MAX_LENGTH, validate_username
from accounts.services.check_email import check_email
from accounts.services.check_new_password import password_errors
from accounts.services.list_field_errors import list_field_errors
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, count_refusal, record_event
from batchtokens_verifier.errors import FieldError, InvalidFieldsError


def register_user(
    *,
    username: str,
    email: str,
    password: str,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> User:
    """Store the person, unless somebody has the name or the address; return who was asked for.

    Only the mailbox learns whether the person returned was stored.
    Raises InvalidFieldsError, with every field that is wrong.
    """
    now = now or timezone.now()
    user = User(username=nfkc(username), email=email, date_joined=now)
    errors = [
        *_check_username(username),
        *check_email(email),
        *password_errors(password=password, user=user),
    ]
    if errors:
        raise InvalidFieldsError(errors)
    user.set_password(password)
    with transaction.atomic(durable=True):
        _store(user, context, now)
    return user


def _store(user: User, context: RequestContext, now: datetime) -> None:
    User.objects.bulk_create([user], ignore_conflicts=True)
    same = User.objects.filter(Q(username_folded=user.username) | Q(email_folded=user.email))
    there = dict(same.values_list("pk", "email_folded"))
    if user.pk in there:
        record_event(code="account_registered", user=user, context=context, now=now)
        queue_email(kind=EmailKind.VERIFY_EMAIL, user=user, context=context)
    elif fold(user.email) in there.values():
        _refuse("email_taken", context, now)
        queue_email(kind=EmailKind.ALREADY_REGISTERED, address=user.email, context=context)
    else:
        _refuse("name_taken", context, now)
        name = {"username": user.username}
        queue_email(kind=EmailKind.NAME_NOT_FREE, address=user.email, data=name, context=context)


def _refuse(reason: str, context: RequestContext, now: datetime) -> None:
    count_refusal(code="registration_refused", reason=reason, context=context, now=now)


def _check_username(username: str) -> list[FieldError]:
    if len(nfkc(username)) > USERNAME_MAX_LENGTH:
        detail = f"Use at most {USERNAME_MAX_LENGTH} characters."
        return [FieldError("/username", "max_length", detail)]
    try:
        validate_username(username)
    except ValidationError as refusal:
        return list_field_errors(refusal, pointer="/username")
    return []
