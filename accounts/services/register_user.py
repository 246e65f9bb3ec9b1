"""Make an account for somebody who asks for one."""

from collections.abc import Callable

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts.models import RequestContext, User
from accounts.models.folded import fold, nfkc
from accounts.models.user import EMAIL_MAX_LENGTH, USERNAME_MAX_LENGTH, validate_username
from accounts.services.record_event import NOWHERE, record_event
from batchtokens_verifier.errors import FieldError, InvalidFieldsError

# NIST SP 800-63B section 3.1.1.2: at least 8 characters, no rules of composition.
PASSWORD_MIN_LENGTH = 8
PASSWORD_MAX_LENGTH = 128


def register_user(
    *, username: str, email: str, password: str, context: RequestContext = NOWHERE
) -> User:
    """Check the names and the password, and store the person.

    Raises InvalidFieldsError, with every field that is wrong.
    """
    errors = [
        *_check_username(username),
        *_check_email(email),
        *_check_password(password, User(username=username, email=email)),
    ]
    if errors:
        raise InvalidFieldsError(errors)
    user = User(username=nfkc(username), email=email)
    user.set_password(password)
    try:
        with transaction.atomic(durable=True):
            user.save(force_insert=True)
            record_event(code="account_registered", user=user, context=context)
    except IntegrityError as error:
        raise InvalidFieldsError([_taken(user)]) from error
    return user


def _check_username(username: str) -> list[FieldError]:
    if len(nfkc(username)) > USERNAME_MAX_LENGTH:
        detail = f"Use at most {USERNAME_MAX_LENGTH} characters."
        return [FieldError("/username", "max_length", detail)]
    return _errors_of("/username", lambda: validate_username(username))


def _check_email(email: str) -> list[FieldError]:
    # Some characters fold to many: both forms must fit their columns.
    if max(len(email), len(fold(email))) > EMAIL_MAX_LENGTH:
        detail = f"Use at most {EMAIL_MAX_LENGTH} characters."
        return [FieldError("/email", "max_length", detail)]
    return _errors_of("/email", lambda: validate_email(email))


def _check_password(password: str, user: User) -> list[FieldError]:
    normal = nfkc(password)
    if not PASSWORD_MIN_LENGTH <= len(normal) <= PASSWORD_MAX_LENGTH:
        detail = f"Use {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH} characters."
        return [FieldError("/password", "length", detail)]
    return _errors_of("/password", lambda: validate_password(normal, user))


def _errors_of(pointer: str, check: Callable[[], None]) -> list[FieldError]:
    try:
        check()
    except ValidationError as refusal:
        return [
            FieldError(pointer, error.code or "invalid", " ".join(error.messages))
            for error in refusal.error_list
        ]
    return []


def _taken(user: User) -> FieldError:
    """Name the member that collided; asked after the fact, as only the constraint decides."""
    taken = User.objects.filter(username_folded=user.username).exists()
    member = "username" if taken else "email"
    return FieldError(f"/{member}", "taken", f"Another account has this {member}.")
