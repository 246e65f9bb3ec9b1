"""Verifies signed answers of introspection (RFC 9701): evidence of what was told, no credential.

Wire format, append-only: an unknown claim is ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from batchtokens_verifier.claims import CLOCK_SKEW_SECONDS
from batchtokens_verifier.errors import TokenNotValid
from batchtokens_verifier.jws import TOKEN_CLASSES, KeySet, Purpose, verify_jws


@dataclass(frozen=True, slots=True)
class Introspection:
    """What was told (RFC 7662 §2.2) to the client `aud`. iat: seconds since the epoch."""

    iss: str
    aud: str
    iat: int
    told: Mapping[str, Any] = field(repr=False)

    @property
    def active(self) -> bool:
        """Return whether the token was good then; it may have ended since."""
        return self.told["active"] is True


def verify_introspection(
    answer: str, *, keys: KeySet, issuer: str, audience: str, now: datetime
) -> Introspection:
    """Return what `issuer` told the client `audience`; how old that may be is the caller's to say.

    Raises TokenNotValid.
    """
    typ = TOKEN_CLASSES[Purpose.INTROSPECTION]
    claims = verify_jws(answer, keys=keys, purpose=Purpose.INTROSPECTION, typ=typ)
    if claims.get("iss") != issuer or claims.get("aud") != audience:
        raise TokenNotValid("introspection parties")
    if not {"sub", "exp"}.isdisjoint(claims):  # RFC 9701 section 5: else it could pass for a token
        raise TokenNotValid("introspection with a credential's claims")
    iat, told = claims.get("iat"), claims.get("token_introspection")
    if type(iat) is not int or iat > now.timestamp() + CLOCK_SKEW_SECONDS:
        raise TokenNotValid("introspection iat")
    if not isinstance(told, dict) or not isinstance(told.get("active"), bool):
        raise TokenNotValid("token_introspection")
    return Introspection(issuer, audience, iat, told)
