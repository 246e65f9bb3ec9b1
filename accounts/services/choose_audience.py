"""Find whom an access token shall be for (RFC 8707)."""

from django.conf import settings

from accounts.errors import InvalidTarget
from accounts.models import ServiceClient


def choose_audience(resource: str = "") -> str:
    """Return the audience that a resource names: this API by default, or an active client's.

    Raises InvalidTarget.
    """
    if resource in {"", settings.ISSUER_URL}:
        return str(settings.ISSUER_URL)
    if not ServiceClient.objects.for_audience(resource).exists():
        raise InvalidTarget(pointer="/resource")
    return resource
