"""Who a person is at other providers."""

from django.db.models import QuerySet

from accounts.models import FederatedIdentity, User


def list_identities(*, of: User) -> QuerySet[FederatedIdentity]:
    """Return a person's own, oldest first."""
    return FederatedIdentity.objects.filter(user=of).order_by("created_at", "pk")
