"""Count guesses at one person's authenticator before they are judged (docs/adr/0010).

A guess is claimed first and forgiven when it was right, so that however many arrive at once no
more than the limit are ever judged.  Strangers wait longer with each failure; who comes from where
the person has signed in before does not, so nobody can keep an owner out by guessing.  A name that
nobody has is counted by the same rules and statements, so that neither answers nor time tell.
"""

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.crypto import keyed_digests
from accounts.errors import WaitForAttempt
from accounts.limits import caller_of
from accounts.models import (
    MOST_FAILURES,
    Authenticator,
    AuthenticatorKind,
    EmailKind,
    RequestContext,
    SessionFamily,
    User,
)
from accounts.models.folded import fold
from accounts.services.queue_email import queue_email
from accounts.services.record_event import NOWHERE, record_event

FREE_FAILURES = 10
LONGEST_WAIT = timedelta(minutes=15)
REMEMBERED = timedelta(days=90)
PLACES_COMPARED = 500
NOBODY = uuid.UUID(int=0)


def claim_attempt(
    *,
    user: User | None,
    kind: AuthenticatorKind,
    name: str = "",
    context: RequestContext = NOWHERE,
    now: datetime | None = None,
) -> bool:
    """Take one attempt; False if the authenticator is disabled and nothing may be judged.

    `user` None: nobody has this `name`.  Raises WaitForAttempt.
    """
    now = now or timezone.now()
    with transaction.atomic(durable=True):
        authenticator = _locked(user, name, kind)
        if authenticator.is_disabled:
            return False
        wait = _wait_of(authenticator, context, now)
        if wait is None:
            _count(authenticator, user, context, now)
    if wait is not None:
        raise WaitForAttempt(retry_after=wait)
    return True


def forgive_attempts(*, user: User, kind: AuthenticatorKind) -> None:
    """Forget the failures: this attempt was right, or its person came in by another way."""
    used = Authenticator.objects.filter(user=user, kind=kind, failures__gt=0)
    used.update(failures=0, strangers_wait_until=None)


def wait_after(failures: int) -> timedelta:
    """Say how long strangers wait after so many failures in a row."""
    if failures < FREE_FAILURES:
        return timedelta(0)
    doublings = min(failures - FREE_FAILURES, LONGEST_WAIT.seconds.bit_length())
    return min(timedelta(seconds=2**doublings), LONGEST_WAIT)


def _locked(user: User | None, name: str, kind: AuthenticatorKind) -> Authenticator:
    if user is not None:
        return Authenticator.objects.locked(user.pk, kind)
    digest = keyed_digests("name of nobody", fold(name))[0].hex()
    return Authenticator.objects.locked_of_nobody(digest, kind)


def _wait_of(authenticator: Authenticator, context: RequestContext, now: datetime) -> int | None:
    """Return the seconds this caller has to wait; None if they need not."""
    until = authenticator.strangers_wait_until
    # Those who guess at the same instant do not agree on when it was: the first ones need not wait.
    if not settings.RATE_LIMITS or authenticator.failures < FREE_FAILURES:
        return None
    if until is None or until <= now:
        return None
    if _has_been_here(authenticator.user_id or NOBODY, context, now):
        return None
    return max(1, int((until - now).total_seconds()))


def _has_been_here(user_id: uuid.UUID, context: RequestContext, now: datetime) -> bool:
    """Say whether the person has signed in from here lately; here: as limits count callers."""
    here = caller_of(context)
    recent = SessionFamily.objects.filter(user_id=user_id, created_at__gt=now - REMEMBERED)
    addresses = recent.order_by("-pk").values_list("address", flat=True)[:PLACES_COMPARED]
    return here in {caller_of(RequestContext(address)) for address in addresses if address}


def _count(
    authenticator: Authenticator, user: User | None, context: RequestContext, now: datetime
) -> None:
    authenticator.failures += 1
    authenticator.strangers_wait_until = now + wait_after(authenticator.failures)
    authenticator.save(update_fields=["failures", "strangers_wait_until"])
    if user is None:
        return
    if authenticator.kind == AuthenticatorKind.SECOND_FACTOR and (
        authenticator.failures == FREE_FAILURES
    ):
        # Codes are asked for behind the password: whoever guesses has it.
        queue_email(kind=EmailKind.CODES_GUESSED, user=user, context=context)
    if authenticator.failures == MOST_FAILURES:
        data = {"authenticator": authenticator.kind}
        record_event(code="authenticator_disabled", user=user, data=data, context=context, now=now)
        kind = EmailKind.AUTHENTICATOR_DISABLED
        queue_email(kind=kind, user=user, data=data, context=context)
