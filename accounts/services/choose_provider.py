"""Find a provider by its name."""

from django.conf import settings

from accounts.errors import UnknownId
from accounts.federation.providers import Provider


def choose_provider(name: str) -> Provider:
    """Return the provider that the operator has named so.

    Raises UnknownId.
    """
    provider: Provider | None = settings.FEDERATED_PROVIDERS.get(name)
    if provider is None:
        raise UnknownId
    return provider


def list_providers() -> list[Provider]:
    """Return all of them, in the operator's order."""
    return list(settings.FEDERATED_PROVIDERS.values())
