"""Open a signed-in place after the first factor, or ask for the second one.

Whatever the first factor was, whoever has an authenticator app shows a code.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from accounts.crypto import secret_digest
from accounts.errors import MfaRequired
from accounts.models import Amr, RequestContext, SignInChallenge, TotpDevice, User
from accounts.services.lock_person import lock_unchanged
from accounts.services.open_session import open_mobile_session, refuse_changed
from accounts.services.require_verified_email import require_verified_email
from accounts.services.verify_second_factor import verify_second_factor
from accounts.tokens.pair import TokenPair

MFA_TOKEN_BYTES = 32
CHALLENGE_LIFETIME = timedelta(minutes=5)


def begin_session(
    *,
    user: User,
    audience: str,
    scope: str,
    amr: Sequence[Amr],
    context: RequestContext,
    now: datetime,
    otp: str = "",
) -> TokenPair:
    """Sign in who has shown the first factor; `amr` says how.  An `otp` nobody needs is ignored.

    Raises EmailNotVerified; MfaRequired where a code is needed and none was sent; InvalidOtp,
    WaitForAttempt; InvalidCredentials where the password was changed meanwhile.
    """
    require_verified_email(user=user, context=context, now=now)
    methods = list(amr)
    if TotpDevice.objects.is_on_for(user.pk):
        if not otp:
            challenge = SignInChallenge(
                user=user,
                audience=audience,
                scope=scope,
                amr=methods,
                created_at=now,
                expires_at=now + CHALLENGE_LIFETIME,
            )
            raise _challenge(challenge, context)
        second = verify_second_factor(user=user, code=otp, context=context, now=now)
        methods += [second, Amr.SEVERAL]
    return open_mobile_session(
        user=user, audience=audience, scope=scope, amr=methods, context=context, now=now
    )


def _challenge(challenge: SignInChallenge, context: RequestContext) -> MfaRequired:
    """Remember what was asked for until the code comes; the token that finds it is kept nowhere.

    Whoever changes a password ends the sign-ins that wait: none begins with the former one later.
    """
    mfa_token = secrets.token_urlsafe(MFA_TOKEN_BYTES)
    challenge.token_digest = secret_digest(mfa_token)
    with transaction.atomic(durable=True):
        unchanged = lock_unchanged(user=challenge.user)
        if unchanged:
            challenge.save(force_insert=True)
    if not unchanged:
        refuse_changed(user=challenge.user, context=context, now=challenge.created_at)
    return MfaRequired(mfa_token, expires_in=CHALLENGE_LIFETIME.seconds)
