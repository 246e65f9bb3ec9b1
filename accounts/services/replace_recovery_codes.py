"""Recovery codes: draw ten, shown once and kept as digests; the former ones open nothing."""

import base64
import secrets
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import EmailKind, RecoveryCode, RequestContext, User
from accounts.services.begin_totp import in_groups
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, record_event
from accounts.services.require_both_factors import require_both_factors
from accounts.services.spend_recovery_code import recovery_digests

CODES = 10
CODE_BYTES = 10  # 80 bits: 16 characters of base32


def replace_recovery_codes(
    *, by: User, acr: str, context: RequestContext = NOWHERE, now: datetime | None = None
) -> list[str]:
    """Return ten new codes in groups of four; acr: how surely the person signed in.

    Raises TotpNotOn: without an app, there is nothing to recover from; AuthenticationTooOld.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        require_both_factors(by=by, acr=acr)
        codes = draw_recovery_codes(user=by, now=now)
        record_event(code="recovery_codes_replaced", user=by, context=context, now=now)
        queue_email(kind=EmailKind.RECOVERY_CODES_REPLACED, user=by, context=context)
    return codes


def draw_recovery_codes(*, user: User, now: datetime) -> list[str]:
    """Store ten in place of all that there are; called with the person locked."""
    codes = [base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode() for _ in range(CODES)]
    digests = [recovery_digests(user.pk, code)[0] for code in codes]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create(
        [RecoveryCode(user=user, digest=digest, created_at=now) for digest in digests]
    )
    return [in_groups(code, "-") for code in codes]
