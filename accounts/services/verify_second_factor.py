"""Judge a code: of the person's authenticator app, or one of their recovery codes.

Every place that asks for a code asks here, so that guesses are counted together wherever they are
made, and nothing opens twice.  Called outside transactions: a counted guess stays counted.
"""

from datetime import datetime

import django_otp
from django.db import transaction
from django.utils import timezone

from accounts.errors import InvalidOtp
from accounts.models import (
    Amr,
    AuthenticatorKind,
    EmailKind,
    RecoveryCode,
    RequestContext,
    TotpDevice,
    User,
)
from accounts.services.claim_attempt import claim_attempt, forgive_attempts
from accounts.services.limit_failures import counted_guess
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, count_refusal, record_event
from accounts.services.spend_recovery_code import (
    looks_like_recovery_code,
    normalise,
    spend_recovery_code,
    without_gaps,
)

SECOND_FACTOR = AuthenticatorKind.SECOND_FACTOR


def verify_second_factor(
    *,
    user: User,
    code: str,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> Amr:
    """Spend a code, typed in any case, with or without spaces and dashes; say which kind it was.

    Raises InvalidOtp, also for a disabled authenticator and for who has none; WaitForAttempt.
    """
    now = now or timezone.now()
    with counted_guess(context=context, now=now):
        return _judge(user, code, context, now)


def _judge(user: User, code: str, context: RequestContext, now: datetime) -> Amr:
    allowed = claim_attempt(user=user, kind=SECOND_FACTOR, context=context, now=now)
    used = _spend(user, code, context, now) if allowed else None
    if used is None:
        reason = "wrong_code" if allowed else "second_factor_disabled"
        count_refusal(
            code="second_factor_refused", reason=reason, user=user, context=context, now=now
        )
        raise InvalidOtp
    forgive_attempts(user=user, kind=SECOND_FACTOR)
    return used


def _spend(user: User, code: str, context: RequestContext, now: datetime) -> Amr | None:
    """Use a code up; None if it opens nothing."""
    device = TotpDevice.objects.in_use().filter(user=user).first()
    if device is None:
        return None
    if looks_like_recovery_code(normalise(code)):
        return Amr.RECOVERY_CODE if _spend_recovery_code(user, code, context, now) else None
    # Its row lock lets each time step open once.
    spent = django_otp.verify_token(user, device.persistent_id, without_gaps(code))
    return Amr.OTP if spent else None


def _spend_recovery_code(user: User, code: str, context: RequestContext, now: datetime) -> bool:
    with transaction.atomic(durable=True):
        spent = spend_recovery_code(user=user, code=code, now=now)
        if spent:
            left = RecoveryCode.objects.unused().filter(user=user).count()
            record_event(
                code="recovery_code_used", user=user, data={"left": left}, context=context, now=now
            )
            kind, data = EmailKind.RECOVERY_CODE_USED, {"left": str(left)}
            queue_email(kind=kind, user=user, data=data, context=context)
    return spent
