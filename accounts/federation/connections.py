"""How a provider is spoken to, by its kind; one connection a process."""

from datetime import datetime
from functools import cache
from typing import Protocol

from accounts.federation.github import GitHubConnection
from accounts.federation.identities import Identity
from accounts.federation.oidc import OidcConnection
from accounts.federation.providers import Provider, ProviderKind
from accounts.federation.trips import Trip


class Connection(Protocol):
    """The three steps; each raises FederationRefused."""

    def authorization_url(self, *, state: str, trip: Trip) -> str:
        """Return where to send the browser."""

    def check_sender(self, iss: str | None) -> None:
        """Want an answer to be this provider's (RFC 9207)."""

    def identify(self, *, code: str, trip: Trip, now: datetime | None = None) -> Identity:
        """Redeem a code, and say who came."""


@cache
def connect(provider: Provider) -> Connection:
    """Return this process's connection to a provider."""
    if provider.kind is ProviderKind.GITHUB:
        return GitHubConnection(provider)
    return OidcConnection(provider)


def forget_connections() -> None:
    """Forget what providers have said of themselves."""
    connect.cache_clear()
