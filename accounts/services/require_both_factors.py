"""Let only who has shown the second factor change it, as it stands when it is changed."""

from django.conf import settings

from accounts.errors import AuthenticationTooOld, TotpNotOn
from accounts.models import Acr, TotpDevice, User
from accounts.services.lock_person import lock_person


def require_both_factors(*, by: User, acr: str) -> None:
    """Lock the person, then look: the app may have been turned on since the request was let in.

    acr: how surely they signed in.  Called inside a transaction.
    Raises TotpNotOn, AuthenticationTooOld.
    """
    lock_person(user=by)
    if not TotpDevice.objects.is_on_for(by.pk):
        raise TotpNotOn
    if acr != Acr.TWO_FACTORS:
        max_age = int(settings.FRESH_AUTHENTICATION.total_seconds())
        raise AuthenticationTooOld(max_age, Acr.TWO_FACTORS)
