"""Turn an authenticator app off: with it go its recovery codes, and what was being set up.

The caller has made sure that the sign-in is recent, or that the act is staff's.
"""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.errors import TotpNotOn
from accounts.models import (
    AuthenticatorKind,
    EmailKind,
    RecoveryCode,
    RequestContext,
    TotpDevice,
    User,
)
from accounts.services.claim_attempt import forgive_attempts
from accounts.services.lock_person import lock_person
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, actor_data, record_event
from accounts.services.require_both_factors import require_both_factors


def disable_totp(
    *, by: User, acr: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> None:
    """Turn off one's own; acr: how surely one signed in.

    Raises TotpNotOn, AuthenticationTooOld.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        require_both_factors(by=by, acr=acr)
        _turn_off(by)
        record_event(code="totp_disabled", user=by, context=context, now=now)
        queue_email(kind=EmailKind.TOTP_DISABLED, user=by, context=context)


def take_second_factor_away(
    *,
    user: User,
    by: User,
    why: str,
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> None:
    """Turn off somebody's who has lost app and codes; the mail says that it was staff.

    Raises TotpNotOn.
    """
    now = now or timezone.now()
    data = {"why": why, **actor_data(by)}
    with transaction.atomic(durable=True):
        _turn_off(user)
        record_event(code="totp_disabled", user=user, data=data, context=context, now=now)
        # Where staff sit is no business of the person's mail.
        queue_email(kind=EmailKind.TOTP_DISABLED, user=user, data={"by": "staff"})


def forget_second_factor(*, user: User) -> None:
    """Delete app, codes and failures, inside the transaction of a caller who holds the person."""
    TotpDevice.objects.filter(user=user).delete()
    RecoveryCode.objects.filter(user=user).delete()
    forgive_attempts(user=user, kind=AuthenticatorKind.SECOND_FACTOR)


def _turn_off(user: User) -> None:
    lock_person(user=user)
    if not TotpDevice.objects.is_on_for(user.pk):
        raise TotpNotOn
    forget_second_factor(user=user)
