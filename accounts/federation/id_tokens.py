"""ID tokens of other providers (OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725).

Size and shape come before any parsing, the algorithm is one of our list, and nothing in the header
is ever followed.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts.crypto import same_digest
from accounts.errors import FederationRefused
from accounts.federation.keys import ALGORITHMS, ProviderKeys
from accounts.federation.providers import Provider
from batchtokens_verifier.canonical import b64url, b64url_decode, parse_json
from batchtokens_verifier.errors import InvalidOperation

MAX_TOKEN_BYTES = 16_384
SUBJECT_LENGTH = 255  # OIDC Core section 2
AHEAD = timedelta(seconds=10)
OLDEST = timedelta(minutes=10)  # as long as a way to a provider and back may take

_SEGMENTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# RFC 7515 section 4.1, RFC 7797: what brings keys along, or changes what was signed.
_REFUSED_MEMBERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})
# OIDC Core 3.1.3.6; EdDSA here is Ed25519, which hashes with SHA-512.
_AT_HASHES = dict.fromkeys(ALGORITHMS, hashlib.sha256) | {"EdDSA": hashlib.sha512}


@dataclass(frozen=True, slots=True)
class IdToken:
    """A token in its parts, not yet believed."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def alg(self) -> str:
        """Name the algorithm, which is one of ours."""
        return str(self.header["alg"])

    @property
    def kid(self) -> object:
        """Name the key."""
        return self.header.get("kid")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say to be the answer to one request.  access_token: "" if none came."""

    provider: Provider
    nonce: str = field(repr=False)
    access_token: str = field(repr=False)
    now: datetime


def parse_id_token(text: object) -> IdToken:
    """Take a token apart; its header may name only what we are ready to do.

    Raises FederationRefused.
    """
    if not isinstance(text, str) or len(text) > MAX_TOKEN_BYTES or not _SEGMENTS.fullmatch(text):
        raise FederationRefused("no ID token")
    message, _, signature = text.rpartition(".")
    protected, _, payload = message.partition(".")
    header = _json_object(protected)
    if header.keys() & _REFUSED_MEMBERS:
        raise FederationRefused("a header that brings along what it must not")
    named = [header.get("alg"), header.get("kid", "")]
    if not all(isinstance(name, str) for name in named) or header["alg"] not in ALGORITHMS:
        raise FederationRefused("an algorithm or key that we do not take")
    if str(header.get("typ", "JWT")).upper() != "JWT":
        raise FederationRefused("another class of token")
    return IdToken(header, _json_object(payload), message.encode(), _decoded(signature))


def verify_id_token(token: IdToken, *, keys: ProviderKeys, expected: Expected) -> Mapping[str, Any]:
    """Check the signature and the claims, and return the claims.

    Raises FederationRefused.
    """
    if not keys.verifies(token.message, token.signature, kid=token.kid, alg=token.alg):
        raise FederationRefused("a wrong signature")
    claims = token.claims
    _check_parties(claims, expected.provider)
    _check_times(claims, expected.now)
    if not _is_same(claims.get("nonce"), expected.nonce):
        raise FederationRefused("another nonce")
    if "at_hash" in claims and not _is_same(claims["at_hash"], _at_hash(token.alg, expected)):
        raise FederationRefused("another access token")
    check_subject(claims.get("sub"))
    return claims


def check_subject(sub: object) -> str:
    """Return a subject as Core section 2 allows it: at most 255 visible ASCII characters.

    Raises FederationRefused.
    """
    if not isinstance(sub, str) or not 0 < len(sub) <= SUBJECT_LENGTH:
        raise FederationRefused("no subject")
    if not sub.isascii() or not sub.isprintable():
        raise FederationRefused("a subject that is not ASCII")
    return sub


def _check_parties(claims: Mapping[str, Any], provider: Provider) -> None:
    """Want our provider's word to us (steps 2 to 5); with other readers named, `azp` as well."""
    if claims.get("iss") != provider.issuer:
        raise FederationRefused("another issuer")
    audience = claims.get("aud")
    readers = [audience] if isinstance(audience, str) else audience
    if not isinstance(readers, list) or provider.client_id not in readers:
        raise FederationRefused("another audience")
    names_us = claims.get("azp") == provider.client_id
    if ("azp" in claims or len(readers) > 1) and not names_us:
        raise FederationRefused("another authorized party")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    """Want a token of just now (steps 9 and 10)."""
    at = now.timestamp()
    if _seconds(claims, "exp") <= at:
        raise FederationRefused("outdated")
    issued_at = _seconds(claims, "iat")
    if issued_at > at + AHEAD.total_seconds():
        raise FederationRefused("issued in the future")
    if issued_at < at - OLDEST.total_seconds():
        raise FederationRefused("issued long ago")
    if "nbf" in claims and _seconds(claims, "nbf") > at + AHEAD.total_seconds():
        raise FederationRefused("not valid yet")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FederationRefused(f"no {name}")
    return value


def _at_hash(alg: str, expected: Expected) -> str:
    digest = _AT_HASHES[alg](expected.access_token.encode()).digest()
    return b64url(digest[: len(digest) // 2])


def _is_same(claimed: object, wanted: str) -> bool:
    return isinstance(claimed, str) and same_digest(claimed, wanted)


def _json_object(segment: str) -> dict[str, Any]:
    try:
        value = parse_json(_decoded(segment), max_bytes=MAX_TOKEN_BYTES)
    except InvalidOperation:
        raise FederationRefused("an ID token that is not JSON") from None
    if not isinstance(value, dict):
        raise FederationRefused("an ID token that is no JSON object")
    return value


def _decoded(segment: str) -> bytes:
    try:
        return b64url_decode(segment)
    except ValueError:
        raise FederationRefused("an ID token that is not base64url") from None
