"""SimpleJWT's token backend on our key ring: a key id in every header, one purpose a key.

The key store signs, batchtokens_verifier verifies; PyJWT, which SimpleJWT would use, does neither.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils import timezone
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from accounts.tokens.errors import NoSigningKey
from accounts.tokens.keyring import RingKey, current_key_ring, fresher_key_ring
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.errors import VerificationError
from batchtokens_verifier.jws import TOKEN_CLASSES, Purpose, unverified_kid, verify_jws

# SimpleJWT's own mark of a token class; ours are `typ`, `aud` and the key's purpose.
_TOKEN_TYPE = "token_type"
_write = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A compact JWS and the key it was signed with."""

    token: str
    kid: str
    alg: str


@dataclass(frozen=True, slots=True)
class Signer:
    """One key, chosen once: many tokens of one moment are signed without asking for it again."""

    key: RingKey
    typ: str

    def sign(self, claims: Mapping[str, Any]) -> SignedToken:
        """Sign claims as a token of the key's class."""
        return self.sign_payload(b64url(_write(claims).encode()))

    def sign_payload(self, payload: str) -> SignedToken:
        """Sign a payload segment as it is (RFC 7515 section 7.1)."""
        message = f"{_protected(self.key.alg, self.key.kid, self.typ)}.{payload}"
        signature = b64url(self.key.sign(message.encode("ascii")))
        return SignedToken(f"{message}.{signature}", self.key.kid, self.key.alg)


def signer(purpose: Purpose) -> Signer:
    """Return who signs tokens of a class now.

    Raises NoSigningKey.
    """
    return Signer(_signing_key(purpose), TOKEN_CLASSES[purpose])


def sign(claims: Mapping[str, Any], *, purpose: Purpose) -> SignedToken:
    """Sign claims as a token of one class.

    Raises NoSigningKey.
    """
    return signer(purpose).sign(claims)


@lru_cache(maxsize=32)
def _protected(alg: str, kid: str, typ: str) -> str:
    """Return the protected header's segment; each key has one."""
    header = {"alg": alg, "kid": kid, "typ": typ}
    return b64url(json.dumps(header, separators=(",", ":")).encode())


def _signing_key(purpose: Purpose) -> RingKey:
    """Choose the key; a process that started before the keys were made looks again."""
    now = timezone.now()
    try:
        return current_key_ring().signing_key(purpose, now)
    except NoSigningKey:
        return fresher_key_ring().signing_key(purpose, now)


def verify_token(token: str, *, purpose: Purpose) -> dict[str, Any]:
    """Verify a token of one class under the process's keys and return its claims.

    Raises VerificationError.
    """
    keys = current_key_ring(wanted=unverified_kid(token) or "").verification_keys()
    return verify_jws(token, keys=keys, purpose=purpose, typ=TOKEN_CLASSES[purpose])


class KeyRingBackend(TokenBackend):
    """Signs and verifies tokens of one purpose."""

    def __init__(self, purpose: Purpose) -> None:
        super().__init__(algorithm="ES256")
        self.purpose = purpose

    def encode(self, payload: dict[str, Any]) -> str:
        """Sign a payload without SimpleJWT's own marks."""
        claims = {name: value for name, value in payload.items() if name != _TOKEN_TYPE}
        return sign(claims, purpose=self.purpose).token

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """Verify a token and return its claims; unverified ones are never handed out.

        Raises TokenBackendError, whatever was wrong.
        """
        try:
            claims = verify_token(token, purpose=self.purpose)
        except VerificationError as error:
            raise TokenBackendError("Token is invalid") from error
        if not isinstance(claims.get("exp"), int):  # SimpleJWT trusts that it is a number
            raise TokenBackendError("Token has no expiry")
        return claims
