"""Judge a password, so that who guesses learns nothing but that it was wrong.

Each guess is counted before it costs a hash, and costs one whether or not anybody has the name and
whether or not it can still open anything.  Called outside transactions.
"""

from datetime import datetime

from django.utils import timezone

from accounts.errors import InvalidCredentials
from accounts.models import AuthenticatorKind, RequestContext, User
from accounts.services.claim_attempt import claim_attempt, forgive_attempts
from accounts.services.limit_failures import counted_guess
from accounts.services.record_event import NOWHERE, count_refusal

PASSWORD = AuthenticatorKind.PASSWORD


def check_password(
    *, username: str, password: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> User:
    """Find the active person whose password this is.

    Raises InvalidCredentials, whatever was wrong; WaitForAttempt, whether or not there is one.
    """
    now = now or timezone.now()
    with counted_guess(context=context, now=now):
        user = User.objects.filter(username_folded=username).first()
        return _judge(user, username, password, context, now)


def verify_password(
    *, user: User, password: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> None:
    """Let somebody who is known prove it once more; guesses count as those of a sign-in do.

    Raises InvalidCredentials, WaitForAttempt.
    """
    now = now or timezone.now()
    with counted_guess(context=context, now=now):
        _judge(user, user.username, password, context, now)


def _judge(
    user: User | None, name: str, password: str, context: RequestContext, now: datetime
) -> User:
    allowed = claim_attempt(user=user, name=name, kind=PASSWORD, context=context, now=now)
    if user is None or not allowed:
        User().set_password(password)  # costs a hash, like a wrong password
        reason = "password_disabled" if user else "unknown_user"
    elif not user.check_password(password):
        reason = "wrong_password"
    elif not user.is_active:
        reason = "inactive_user"
    elif not user.is_verified:  # else who registers with an address learns whether it was free
        reason = "email_not_verified"
    else:
        forgive_attempts(user=user, kind=PASSWORD)
        return user
    count_refusal(code="sign_in_refused", reason=reason, user=user, context=context, now=now)
    raise InvalidCredentials
