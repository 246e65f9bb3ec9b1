"""Verifies compact JWS: one algorithm a key, one purpose a key, one `typ` a class (RFC 7515, 8725).

Size and shape come before any parsing; nothing in the header is ever followed.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Self

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from joserfc.jws import JWSRegistry

from batchtokens_verifier.canonical import b64url_decode, parse_json
from batchtokens_verifier.errors import InvalidKeySet, InvalidOperation, TokenNotValid

MAX_TOKEN_BYTES = 16384
MAX_KEYS = 100

SEGMENTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
_PUBLIC_MEMBERS = ("kty", "crv", "x", "y")
# RFC 7518 §3.4, RFC 8037 §3.1: the only key that each algorithm may have.
_KEY_SHAPES = {"ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}


class Purpose(StrEnum):
    """What a key may sign; a key has exactly one."""

    ACCESS = "access"
    REFRESH = "refresh"
    OPERATION = "operation"
    RECEIPT = "receipt"
    STATUS = "status"
    INTROSPECTION = "introspection"
    CHECKPOINT = "checkpoint"


TOKEN_CLASSES = {
    Purpose.ACCESS: "at+jwt",  # RFC 9068 §2.1
    Purpose.REFRESH: "rt+jwt",
    Purpose.OPERATION: "at+jwt",
    Purpose.RECEIPT: "receipt+jwt",
    Purpose.STATUS: "statuslist+jwt",
    Purpose.INTROSPECTION: "token-introspection+jwt",  # RFC 9701 §5
    Purpose.CHECKPOINT: "checkpoint+jwt",
}


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One public key. jwk: RFC 7517 members, of which only the public ones are read."""

    kid: str
    purpose: Purpose
    jwk: Mapping[str, str]
    key: ECKey | OKPKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Import the key once.

        Raises InvalidKeySet where it does not fit its algorithm.
        """
        shape = (self.jwk.get("kty"), self.jwk.get("crv"))
        public: dict[str, str | list[str]] = {
            name: self.jwk[name] for name in _PUBLIC_MEMBERS if name in self.jwk
        }
        kind = ECKey if shape[0] == "EC" else OKPKey
        try:
            if shape != _KEY_SHAPES[self.jwk["alg"]]:
                raise InvalidKeySet("A key does not fit its algorithm.")
            object.__setattr__(self, "key", kind.import_key(public))
        except (JoseError, KeyError, TypeError, ValueError):
            raise InvalidKeySet("A key is malformed.") from None

    @property
    def alg(self) -> str:
        """Return the one algorithm that this key verifies."""
        return self.jwk["alg"]

    def is_same(self, other: "VerificationKey") -> bool:
        """Tell whether `other` is this very key, for the same purpose."""
        mine, others = ([k.jwk.get(n) for n in ("alg", *_PUBLIC_MEMBERS)] for k in (self, other))
        return self.purpose is other.purpose and mine == others

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether `signature` over `message` is this key's."""
        return JWSRegistry.algorithms[self.alg].verify(message, signature, self.key)


@dataclass(frozen=True, slots=True)
class KeySet:
    """Public keys by kid."""

    by_kid: Mapping[str, VerificationKey]

    @classmethod
    def of(cls, keys: Iterable[VerificationKey]) -> Self:
        """Collect `keys`.

        Raises InvalidKeySet where two share a kid.
        """
        collected = list(keys)
        by_kid = {key.kid: key for key in collected}
        if len(by_kid) != len(collected):
            raise InvalidKeySet("Two keys have the same kid.")
        return cls(by_kid)

    @classmethod
    def from_jwks(cls, jwks: object) -> Self:
        """Read a JWK Set (RFC 7517 §5) whose keys carry `kid`, `alg` and the private `purpose`.

        Keys without them, or of an unknown purpose or algorithm, are for others and ignored.
        Raises InvalidKeySet.
        """
        keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
        if not isinstance(keys, list) or len(keys) > MAX_KEYS:
            raise InvalidKeySet(f"A key set is a list of at most {MAX_KEYS} keys.")
        return cls.of(
            VerificationKey(jwk["kid"], Purpose(jwk["purpose"]), jwk)
            for jwk in keys
            if _is_ours(jwk)
        )

    def check_follows(self, earlier: "KeySet") -> None:
        """Refuse a set in which a kid has become another key, or one for another purpose.

        Raises InvalidKeySet.
        """
        for kid, key in self.by_kid.items():
            known = earlier.get(kid)
            if known is not None and not key.is_same(known):
                raise InvalidKeySet("A kid has changed its key or its purpose.")

    def get(self, kid: str) -> VerificationKey | None:
        """Return the key named `kid`, if there is one."""
        return self.by_kid.get(kid)


def _is_ours(jwk: object) -> bool:
    if not isinstance(jwk, Mapping):
        return False
    if not all(isinstance(jwk.get(name), str) for name in ("kid", "alg", "purpose")):
        return False
    if jwk.get("use", "sig") != "sig":
        return False
    return jwk["alg"] in _KEY_SHAPES and jwk["purpose"] in list(Purpose)


def verify_jws(
    token: str, *, keys: KeySet, purpose: Purpose, typ: str, max_bytes: int = MAX_TOKEN_BYTES
) -> dict[str, Any]:
    """Return the claims of `token`, signed with a key of `purpose` under exactly this `typ`.

    The claims' times and contents are the caller's to check. Raises TokenNotValid.
    """
    _check_shape(token, max_bytes)
    message, _, signature = token.rpartition(".")
    protected, _, payload = message.partition(".")
    key = _key_for(_header(protected), keys, purpose, typ)
    if not key.verifies(decode_segment(signature), message.encode("ascii")):
        raise TokenNotValid("signature")
    return decode_object(payload, max_bytes=max_bytes)


def unverified_kid(token: str, *, max_bytes: int = MAX_TOKEN_BYTES) -> str | None:
    """Return the `kid` that the header claims, so that a cache may fetch it; None if malformed."""
    try:
        _check_shape(token, max_bytes)
        kid = _header(token.partition(".")[0]).get("kid")
    except TokenNotValid:
        return None
    return kid if isinstance(kid, str) else None


def _check_shape(token: object, max_bytes: int) -> None:
    if not isinstance(token, str):  # it may come straight out of somebody's JSON
        raise TokenNotValid("type")
    if len(token) > max_bytes:
        raise TokenNotValid("size")
    if not SEGMENTS.fullmatch(token):
        raise TokenNotValid("shape")


def _key_for(
    header: Mapping[str, Any], keys: KeySet, purpose: Purpose, typ: str
) -> VerificationKey:
    """Return the key for exactly {alg, kid, typ}: crit, jwk, jku, x5u and the like are refused."""
    if header.keys() != _HEADER_MEMBERS:
        raise TokenNotValid("header members")
    if header["typ"] != typ:
        raise TokenNotValid("typ")
    key = keys.get(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None:
        raise TokenNotValid("unknown key")
    if key.purpose is not purpose:
        raise TokenNotValid("key purpose")
    if header["alg"] != key.alg:
        raise TokenNotValid("algorithm")
    return key


@lru_cache(maxsize=64)
def _header(segment: str) -> Mapping[str, Any]:
    """Read a protected header; those of one key are all alike, so each is read once."""
    return MappingProxyType(decode_object(segment))


def decode_object(segment: str, *, max_bytes: int = MAX_TOKEN_BYTES) -> dict[str, Any]:
    """Read a segment that holds a strict JSON object.

    Raises TokenNotValid.
    """
    try:
        value = parse_json(decode_segment(segment), max_bytes=max_bytes)
    except InvalidOperation:
        raise TokenNotValid("JSON") from None
    if not isinstance(value, dict):
        raise TokenNotValid("JSON")
    return value


def decode_segment(segment: str) -> bytes:
    """Read base64url without padding (RFC 7515 section 2).

    Raises TokenNotValid.
    """
    try:
        return b64url_decode(segment)
    except ValueError:
        raise TokenNotValid("base64url") from None
