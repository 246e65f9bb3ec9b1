"""Sign a person in with username, password and, where it is needed, a code."""

from datetime import datetime

from django.utils import timezone

from accounts.errors import InvalidScope
from accounts.models import Amr, RequestContext
from accounts.scopes import format_scope
from accounts.services.begin_session import begin_session
from accounts.services.check_password import check_password
from accounts.services.choose_audience import choose_audience
from accounts.services.grant_scope import check_scope, grant_scope
from accounts.services.record_event import NOWHERE, count_refusal
from accounts.tokens.pair import TokenPair


def sign_in(
    *,
    username: str,
    password: str,
    scope: str = "",
    resource: str = "",
    otp: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> TokenPair:
    """Check the password, and the code where one is needed; open a session, sign its first pair.

    Raises InvalidScope, InvalidTarget; InvalidCredentials for unknown user, wrong password,
    inactive user and unverified address alike, after the same work, and WaitForAttempt; behind a
    right password MfaRequired, InvalidOtp.
    """
    now = now or timezone.now()
    asked = check_scope(scope)
    audience = choose_audience(resource)
    user = check_password(username=username, password=password, context=context, now=now)
    try:
        granted = format_scope(grant_scope(user=user, asked=asked))
    except InvalidScope:
        count_refusal(
            code="sign_in_refused", reason="invalid_scope", user=user, context=context, now=now
        )
        raise
    return begin_session(
        user=user,
        audience=audience,
        scope=granted,
        amr=[Amr.PASSWORD],
        context=context,
        now=now,
        otp=otp,
    )
