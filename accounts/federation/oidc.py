"""Sign-in at an OpenID provider: authorization code with PKCE, state, nonce and `iss`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts.errors import FederationRefused
from accounts.federation.discovery import Metadata, discover
from accounts.federation.id_tokens import Expected, parse_id_token, verify_id_token
from accounts.federation.identities import Identity, usable_email, usable_name
from accounts.federation.kept import Kept
from accounts.federation.keys import ProviderKeys
from accounts.federation.oauth import (
    authorization_url,
    basic_credentials,
    bearer,
    in_form,
    token_form,
)
from accounts.federation.providers import Provider
from accounts.federation.transport import exchange
from accounts.federation.trips import Trip

METADATA_TTL = 3600.0
KEYS_TTL = 300.0


class OidcConnection:
    """One provider, with what it says of itself at hand."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._metadata = Kept(lambda: discover(provider), ttl=METADATA_TTL)
        self._keys = Kept(self._fetch_keys, ttl=KEYS_TTL)

    def authorization_url(self, *, state: str, trip: Trip) -> str:
        """Return where to send the browser (OIDC Core 3.1.2.1).

        Raises FederationRefused.
        """
        return authorization_url(
            self._metadata.get().authorization_endpoint,
            self.provider,
            state=state,
            trip=trip,
            nonce=trip.nonce,
        )

    def check_sender(self, iss: str | None) -> None:
        """Want the answer to name this provider, or nobody if it names itself never (RFC 9207).

        Raises FederationRefused.
        """
        if iss is None and self._metadata.get().names_itself:
            raise FederationRefused("no iss beside the code")
        if iss is not None and iss != self.provider.issuer:
            raise FederationRefused("the answer is another provider's")

    def identify(self, *, code: str, trip: Trip, now: datetime | None = None) -> Identity:
        """Redeem a code, and say who came.  The token is judged as of when it has arrived.

        Raises FederationRefused.
        """
        metadata = self._metadata.get()
        tokens = self._redeem(code, trip, metadata)
        access_token = tokens.get("access_token")
        shown = access_token if isinstance(access_token, str) else ""
        expected = Expected(self.provider, trip.nonce, shown, now or timezone.now())
        token = parse_id_token(tokens.get("id_token"))
        keys = self._keys.get(lambda kept: kept.has(token.kid, token.alg))
        claims = verify_id_token(token, keys=keys, expected=expected)
        return self._identity(claims, shown, metadata)

    def _redeem(self, code: str, trip: Trip, metadata: Metadata) -> Mapping[str, Any]:
        headers, secret = {}, {}
        if metadata.secret_in_header:
            headers = {"Authorization": basic_credentials(self.provider)}
        else:
            secret = in_form(self.provider)
        answer = exchange(
            "POST",
            metadata.token_endpoint,
            headers=headers,
            form=token_form(code, trip, secret),
            public_only=metadata.public_only,
        )
        return answer.members()

    def _fetch_keys(self) -> ProviderKeys:
        metadata = self._metadata.get()
        answer = exchange("GET", metadata.jwks_uri, public_only=metadata.public_only)
        return ProviderKeys.of(answer.members())

    def _identity(
        self, claims: Mapping[str, Any], access_token: str, metadata: Metadata
    ) -> Identity:
        told = claims
        if "email" not in claims and metadata.userinfo_endpoint and access_token:
            told = self._userinfo(access_token, metadata)
            # OIDC Core 5.3.2: else it is somebody else's.
            if told.get("sub") != claims["sub"]:
                raise FederationRefused("the userinfo is somebody else's")
        return Identity(
            iss=self.provider.issuer,
            sub=claims["sub"],
            email=usable_email(told),
            email_verified=told.get("email_verified") is True,
            name=usable_name(told.get("preferred_username")),
        )

    def _userinfo(self, access_token: str, metadata: Metadata) -> Mapping[str, Any]:
        answer = exchange(
            "GET",
            metadata.userinfo_endpoint,
            headers=bearer(access_token),
            public_only=metadata.public_only,
        )
        return answer.members()
