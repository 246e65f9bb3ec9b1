"""Client assertions, wire form only (RFC 7523 section 3, OpenID Connect Core section 9).

Size and shape come before any parsing; nothing in the header is ever followed.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from accounts.tokens.client_keys import ClientKey
from batchtokens_verifier.claims import CLOCK_SKEW_SECONDS
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.jws import SEGMENTS, decode_object, decode_segment

MAX_ASSERTION_BYTES = 4096
LONGEST_LIFE = timedelta(minutes=5)
JTI_MAX_LENGTH = 200

_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
# draft-ietf-oauth-rfc7523bis section 3 names the second; older libraries write the first, or none.
_TYPES = frozenset({"JWT", "client-authentication+jwt"})
_ISSUER = re.compile(r"[\x21-\x7e]{1,100}")


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion as it was sent; nothing in it is believed yet."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    message: bytes
    signature: bytes

    @property
    def issuer(self) -> str:
        """Name the client that it claims to come from."""
        return str(self.claims["iss"])


@dataclass(frozen=True, slots=True)
class Spendable:
    """What is left of a verified assertion: it counts once.  exp: seconds since the epoch."""

    jti: str
    exp: int


def parse_assertion(text: str) -> Assertion:
    """Take an assertion apart.

    Raises TokenNotValid.
    """
    if len(text) > MAX_ASSERTION_BYTES:
        raise TokenNotValid("size")
    if not SEGMENTS.fullmatch(text):
        raise TokenNotValid("shape")
    message, _, signature = text.rpartition(".")
    header, _, payload = message.partition(".")
    claims = decode_object(payload)
    if not _is_text(claims.get("iss"), _ISSUER):
        raise TokenNotValid("iss")
    return Assertion(_checked_header(header), claims, message.encode(), decode_segment(signature))


def verify_assertion(
    assertion: Assertion,
    *,
    keys: Mapping[str, ClientKey],
    audiences: Collection[str],
    now: datetime,
) -> Spendable:
    """Verify signature and claims with the keys of the client that it names.

    The audience is one string: in an array, a second one could be another server, which was lured
    into asking for the assertion (the audience injection of January 2025).
    Raises TokenNotValid.
    """
    if not _key_of(assertion.header, keys).verifies(assertion.signature, assertion.message):
        raise TokenNotValid("signature")
    claims = assertion.claims
    if claims.get("sub") != claims["iss"]:
        raise TokenNotValid("sub")
    audience = claims.get("aud")
    if not isinstance(audience, str) or audience not in audiences:
        raise TokenNotValid("aud")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= JTI_MAX_LENGTH:
        raise TokenNotValid("jti")
    return Spendable(jti, _checked_times(claims, now.timestamp()))


def _checked_header(segment: str) -> Mapping[str, Any]:
    """Let nothing through but alg, kid and typ: crit, jwk, jku, x5u and the like are refused."""
    header = decode_object(segment)
    if not {"alg"} <= header.keys() <= _HEADER_MEMBERS:
        raise TokenNotValid("header members")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ not in _TYPES:
        raise TokenNotValid("typ")
    return header


def _key_of(header: Mapping[str, Any], keys: Mapping[str, ClientKey]) -> ClientKey:
    """Return the key that is named, or the client's only one; the key knows its algorithm."""
    kid = header.get("kid")
    if kid is None and len(keys) == 1:
        (key,) = keys.values()
    elif isinstance(kid, str) and kid in keys:
        key = keys[kid]
    else:
        raise TokenNotValid("unknown key")
    if header["alg"] != key.alg:
        raise TokenNotValid("algorithm")
    return key


def _checked_times(claims: Mapping[str, Any], now: float) -> int:
    """Return the end: ahead, but not so far that its name had to be remembered for long."""
    exp = _seconds(claims, "exp")
    if exp is None or exp <= now:
        raise TokenNotValid("expired")
    if exp > now + LONGEST_LIFE.total_seconds() + CLOCK_SKEW_SECONDS:
        raise TokenNotValid("exp too far ahead")
    begins = (_seconds(claims, "iat"), _seconds(claims, "nbf"))
    if any(each is not None and each > now + CLOCK_SKEW_SECONDS for each in begins):
        raise TokenNotValid("not yet valid")
    return exp


def _seconds(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if name in claims and type(value) is not int:  # True is an int, too
        raise TokenNotValid(name)
    return value


def _is_text(value: object, shape: re.Pattern[str]) -> bool:
    return isinstance(value, str) and shape.fullmatch(value) is not None
