"""Refresh tokens: the wire form, and the name of a token's one successor.

The wire format is append-only: a new claim is optional, last, and has a default.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token

from accounts.crypto import keyed_digests
from accounts.errors import UnknownId
from accounts.ids import parse_public_id
from accounts.models import SessionFamily
from accounts.tokens.backend import KeyRingBackend
from accounts.tokens.marks import timestamps
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.jws import Purpose


@dataclass(frozen=True, slots=True)
class RefreshClaims:
    """What a verified refresh token says."""

    jti: str
    client_id: str
    family_id: uuid.UUID


class RefreshToken(Token):
    """The wire form, on SimpleJWT's token class."""

    token_type = "refresh"
    _token_backend = KeyRingBackend(Purpose.REFRESH)

    def __init__(self, token: Any = None) -> None:
        self.lifetime = settings.REFRESH_TOKEN_LIFETIME
        super().__init__(token)

    def verify_token_type(self) -> None:
        """Accept any: `typ` and the key's purpose were verified with the signature."""

    @classmethod
    def for_family(cls, family: SessionFamily, *, jti: str, issued_at: datetime) -> "RefreshToken":
        """Write the refresh token of this name; it never outlives the place."""
        token = cls()
        expires_at = min(issued_at + settings.REFRESH_TOKEN_LIFETIME, family.expires_at)
        token.payload = {
            "iss": settings.ISSUER_URL,
            "sub": family.user.public_id,
            "aud": refresh_audience(),
            "client_id": family.client_id,
            **timestamps(issued_at, expires_at),
            "jti": jti,
            "sid": family.public_id,
        }
        return token


def refresh_audience() -> str:
    """Name the one endpoint that refresh tokens are for."""
    return f"{settings.ISSUER_URL}/oauth/token"


def successor_names(parent_jti: str) -> list[str]:
    """Derive the name of a token's only successor, under each server key, newest key first."""
    return [b64url(digest) for digest in keyed_digests("refresh successor", parent_jti)]


def read_refresh_token(text: str, *, client_id: str | None = None) -> RefreshClaims:
    """Verify a refresh token, of one client if it is named, and read what finds its family.

    Raises TokenNotValid; the cause goes to the log alone.
    """
    try:
        payload = RefreshToken(text).payload
        family_id = parse_public_id(payload["sid"], SessionFamily.public_prefix)
        claims = RefreshClaims(payload["jti"], payload["client_id"], family_id)
    except (TokenError, UnknownId, KeyError) as error:
        raise TokenNotValid("not a refresh token of ours") from error
    if payload.get("iss") != settings.ISSUER_URL or payload.get("aud") != refresh_audience():
        raise TokenNotValid("another issuer or audience")
    if client_id not in {None, claims.client_id}:
        raise TokenNotValid("another client's token")
    return claims
