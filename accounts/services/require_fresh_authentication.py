"""Let dangerous acts be done by who has shown who they are just now (RFC 9470)."""

from datetime import datetime

from django.conf import settings
from django.utils import timezone

from accounts.errors import AuthenticationTooOld
from accounts.models import Acr, TotpDevice
from accounts.tokens.access import Grant


def require_fresh_authentication(*, grant: Grant, now: datetime | None = None) -> None:
    """Check when, and how surely, the credential's person signed in or stepped up.

    Who has an authenticator app has shown a code.  Raises AuthenticationTooOld.
    """
    now = now or timezone.now()
    wanted = _level_of(grant)
    fresh = grant.auth_time is not None and now - grant.auth_time < settings.FRESH_AUTHENTICATION
    if not fresh or not grant.reaches(wanted):
        max_age = int(settings.FRESH_AUTHENTICATION.total_seconds())
        raise AuthenticationTooOld(max_age, wanted)


def _level_of(grant: Grant) -> Acr:
    has_app = TotpDevice.objects.is_on_for(grant.subject.pk)
    return Acr.TWO_FACTORS if has_app else Acr.ONE_FACTOR
