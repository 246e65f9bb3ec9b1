"""Turn an authenticator app on, once its person has shown a code of it.

The code is spent as any other, so it opens nothing a second time.  No session ends, and none
becomes surer: who was signed in with one factor is so still.
"""

from datetime import datetime

import django_otp
from django.db import transaction
from django.utils import timezone

from accounts.errors import InvalidOtp, TotpNotPending
from accounts.models import AuthenticatorKind, EmailKind, RequestContext, TotpDevice, User
from accounts.services.claim_attempt import claim_attempt, forgive_attempts
from accounts.services.limit_failures import counted_guess
from accounts.services.lock_person import lock_person
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, count_refusal, record_event
from accounts.services.replace_recovery_codes import draw_recovery_codes
from accounts.services.spend_recovery_code import without_gaps

SECOND_FACTOR = AuthenticatorKind.SECOND_FACTOR


def confirm_totp(
    *, by: User, otp: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> list[str]:
    """Return ten recovery codes, which are shown this once; of several at once one gets them.

    Raises TotpNotPending, InvalidOtp, WaitForAttempt.
    """
    now = now or timezone.now()
    if not TotpDevice.objects.being_set_up(now).filter(user=by).exists():
        raise TotpNotPending
    with counted_guess(context=context, now=now):
        return _judge(by, otp, context, now)


def _judge(by: User, otp: str, context: RequestContext, now: datetime) -> list[str]:
    allowed = claim_attempt(user=by, kind=SECOND_FACTOR, context=context, now=now)
    codes = _turn_on(by, otp, context, now) if allowed else None
    if codes is None:
        reason = "wrong_code" if allowed else "second_factor_disabled"
        count_refusal(
            code="totp_confirmation_refused", reason=reason, user=by, context=context, now=now
        )
        raise InvalidOtp
    return codes


def _turn_on(by: User, otp: str, context: RequestContext, now: datetime) -> list[str] | None:
    """Spend the code and keep all that follows from it, or nothing; None for a wrong one."""
    with transaction.atomic(durable=True):
        lock_person(user=by)
        pending = TotpDevice.objects.being_set_up(now).filter(user=by)
        device = pending.first()
        if device is None:
            raise TotpNotPending
        if not django_otp.verify_token(by, device.persistent_id, without_gaps(otp)):
            return None
        # An update: `device` was read before its code was spent, and knows nothing of that.
        pending.update(confirmed=True, confirmed_at=now)
        codes = draw_recovery_codes(user=by, now=now)
        forgive_attempts(user=by, kind=SECOND_FACTOR)
        record_event(code="totp_enabled", user=by, context=context, now=now)
        queue_email(kind=EmailKind.TOTP_ENABLED, user=by, context=context)
    return codes
