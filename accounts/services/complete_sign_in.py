"""Finish a sign-in that waited for its second factor."""

from datetime import datetime

from django.utils import timezone

from accounts.crypto import secret_digest
from accounts.errors import MfaTokenNotValid, WaitForAttempt
from accounts.models import Amr, RequestContext, SignInChallenge
from accounts.services.grant_scope import keep_scope
from accounts.services.limit_failures import count_failure
from accounts.services.open_session import open_mobile_session
from accounts.services.record_event import NOWHERE, count_refusal
from accounts.services.verify_second_factor import verify_second_factor
from accounts.tokens.pair import TokenPair


def complete_sign_in(
    *,
    mfa_token: str,
    otp: str,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> TokenPair:
    """Judge the code, and open what the first factor asked for.

    A token takes one right code or five wrong ones.
    Raises MfaTokenNotValid, InvalidOtp, WaitForAttempt; InvalidCredentials, as a sign-in does.
    """
    now = now or timezone.now()
    digest = secret_digest(mfa_token)
    challenge = _claim(digest, context, now)
    try:
        second = verify_second_factor(user=challenge.user, code=otp, context=context, now=now)
    except WaitForAttempt:  # nothing was judged
        SignInChallenge.objects.give_back_try(digest)
        raise
    if not SignInChallenge.objects.spend(digest, now):
        raise MfaTokenNotValid  # two right codes came at once
    return open_mobile_session(
        user=challenge.user,
        client_id=challenge.client_id,
        audience=challenge.audience,
        # The person may have left a group since the first step.
        scope=keep_scope(user=challenge.user, granted=challenge.scope),
        amr=[*challenge.amr, second, Amr.SEVERAL],
        context=context,
        now=now,
    )


def _claim(digest: str, context: RequestContext, now: datetime) -> SignInChallenge:
    """Take a try of the challenge before it is known whether it succeeds."""
    claimed = SignInChallenge.objects.claim_try(digest, now)
    found = SignInChallenge.objects.select_related("user").filter(token_digest=digest).first()
    if not claimed or found is None or not found.user.is_active:
        user = found.user if found else None
        count_failure(context=context, now=now)
        count_refusal(
            code="sign_in_refused", reason="mfa_token", user=user, context=context, now=now
        )
        raise MfaTokenNotValid
    return found
