"""Access tokens (RFC 9068): who may do what here, for a quarter of an hour.

The wire format is append-only: a new claim is optional, last, and has a default.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token

from accounts.ids import parse_public_id
from accounts.models import Acr, ServiceClient, SessionFamily, User
from accounts.scopes import format_scope
from accounts.tokens.backend import KeyRingBackend
from accounts.tokens.marks import epoch, new_jti, timestamps
from batchtokens_verifier.claims import AccessTokenClaims, check_times, parse_access_token
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.jws import Purpose


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified credential grants, and to whom."""

    subject: User | ServiceClient
    scope: frozenset[str]
    client_id: str
    audience: str
    session_id: str | None = None
    auth_time: datetime | None = None
    acr: str = ""
    amr: tuple[str, ...] = ()
    jti: str = ""
    expires_at: datetime | None = None

    @property
    def sub(self) -> str:
        """Name the subject as tokens do: a person by id, a client by its name."""
        return self.subject.public_id if isinstance(self.subject, User) else self.client_id

    @property
    def family_id(self) -> uuid.UUID | None:
        """The row of the session family behind the credential; None where there is none."""
        return (
            parse_public_id(self.session_id, SessionFamily.public_prefix)
            if self.session_id
            else None
        )

    def reaches(self, acr: str) -> bool:
        """Say whether the credential's sign-in was as sure as this level ("": any), or surer."""
        return acr in {"", self.acr} or self.acr == Acr.TWO_FACTORS

    @property
    def scope_text(self) -> str:
        """Write the scope as tokens do."""
        return format_scope(self.scope)


class AccessToken(Token):
    """The wire form, on SimpleJWT's token class."""

    token_type = "access"
    _token_backend = KeyRingBackend(Purpose.ACCESS)

    def __init__(self, token: Any = None) -> None:
        self.lifetime = settings.ACCESS_TOKEN_LIFETIME
        super().__init__(token)

    def verify_token_type(self) -> None:
        """Accept any: `typ` and the key's purpose were verified with the signature."""

    @classmethod
    def for_family(cls, family: SessionFamily, *, now: datetime) -> "AccessToken":
        """Write the token of a signed-in place; it never outlives the place."""
        token = cls()
        expires_at = min(now + settings.ACCESS_TOKEN_LIFETIME, family.expires_at)
        token.payload = {
            "iss": settings.ISSUER_URL,
            "sub": family.user.public_id,
            "aud": family.audience,
            "client_id": family.client_id,
            **timestamps(now, expires_at),
            "jti": new_jti(),
            "scope": family.scope,
            "sid": family.public_id,
            "auth_time": epoch(family.auth_time),
            "acr": family.acr,
            "amr": family.amr,
        }
        return token

    @classmethod
    def for_client(
        cls, client: ServiceClient, *, scope: frozenset[str], now: datetime
    ) -> "AccessToken":
        """Write the token that a service client gets for itself (RFC 6749 section 4.4).

        It names the API key that was shown for it, and opens nothing once that does not.
        """
        token = cls()
        token.payload = {
            "iss": settings.ISSUER_URL,
            "sub": client.client_id,
            "aud": settings.ISSUER_URL,
            "client_id": client.client_id,
            **timestamps(now, now + settings.ACCESS_TOKEN_LIFETIME),
            "jti": new_jti(),
            "scope": format_scope(scope),
            **({"key": client.shown_key} if client.shown_key else {}),
        }
        return token


def read_access_token(text: str, *, now: datetime) -> AccessTokenClaims:
    """Verify an access token of this issuer, for whatever audience, and parse its claims.

    Raises TokenNotValid; the cause goes to the log alone.
    """
    try:
        claims = parse_access_token(AccessToken(text).payload)
    except TokenError as error:
        raise TokenNotValid("not an access token of ours") from error
    check_times(claims, now)
    if claims.iss != settings.ISSUER_URL:
        raise TokenNotValid("another issuer")
    return claims


def as_datetime(seconds: int) -> datetime:
    """Read a NumericDate (RFC 7519 section 2)."""
    return datetime.fromtimestamp(seconds, UTC)
