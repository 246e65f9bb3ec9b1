"""Give a service client an access token of its own (RFC 6749 section 4.4)."""

from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from accounts.errors import InvalidScope
from accounts.models import ServiceClient
from accounts.scopes import format_scope
from accounts.tokens.access import AccessToken


@dataclass(frozen=True, slots=True)
class ClientToken:
    """The token as text.  `expires_in`: seconds."""

    access: str = field(repr=False)
    expires_in: int
    scope: str


def issue_client_token(
    *, client: ServiceClient, asked: frozenset[str] = frozenset(), now: datetime | None = None
) -> ClientToken:
    """Sign a token for some or all (nothing asked) of what the client was let in for.

    Raises InvalidScope.
    """
    granted = asked or client.granted_scopes
    if not granted or not granted <= client.granted_scopes:
        raise InvalidScope(pointer="/scope")
    token = AccessToken.for_client(client, scope=granted, now=now or timezone.now())
    return ClientToken(str(token), token["exp"] - token["iat"], format_scope(granted))
