"""A provider's public keys (RFC 7517): which may have signed, by an algorithm of our list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from accounts.errors import FederationRefused
from batchtokens_verifier.canonical import b64url_decode

MOST_KEYS = 100
# RFC 7518 section 3.3: 2048 bits at least.  At most, because verifying costs us.
RSA_BITS = range(2048, 8193)
LONGEST_EXPONENT = 6  # base64url characters; everybody has AQAB


@dataclass(frozen=True, slots=True)
class _Shape:
    """The only keys that an algorithm may have, and how they are imported."""

    kty: str
    crv: str | None
    members: tuple[str, ...]
    read: Callable[[Any], RSAKey | ECKey | OKPKey]


_RSA = _Shape("RSA", None, ("kty", "n", "e"), RSAKey.import_key)
# What a provider may sign with.  The list is ours: neither `none` nor a shared secret is on it.
ALGORITHMS = {
    "RS256": _RSA,
    "PS256": _RSA,
    "ES256": _Shape("EC", "P-256", ("kty", "crv", "x", "y"), ECKey.import_key),
    "EdDSA": _Shape("OKP", "Ed25519", ("kty", "crv", "x"), OKPKey.import_key),
}


@dataclass(frozen=True, slots=True)
class ProviderKeys:
    """The key set as it was fetched."""

    jwks: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "ProviderKeys":
        """Take the signing keys of a JWK Set; others are none of our business.

        Raises FederationRefused.
        """
        keys = document.get("keys")
        if not isinstance(keys, list) or len(keys) > MOST_KEYS:
            raise FederationRefused("no key set")
        return cls(tuple(k for k in keys if isinstance(k, dict) and k.get("use", "sig") == "sig"))

    def has(self, kid: object, alg: str) -> bool:
        """Say whether there is a key of this name for this algorithm."""
        return bool(self._fitting(kid, alg))

    def verifies(self, message: bytes, signature: bytes, *, kid: object, alg: str) -> bool:
        """Say whether the one fitting key has signed.

        A header without a name (OIDC Core 10.1) is good where one key alone fits.
        Raises FederationRefused where none or several do.
        """
        fitting = self._fitting(kid, alg)
        if len(fitting) != 1:
            raise FederationRefused("no key, or several, of that name")
        return JWSRegistry.algorithms[alg].verify(message, signature, _imported(fitting[0], alg))

    def _fitting(self, kid: object, alg: str) -> list[Mapping[str, Any]]:
        shape = ALGORITHMS[alg]
        return [
            jwk
            for jwk in self.jwks
            if (jwk.get("kty"), jwk.get("crv")) == (shape.kty, shape.crv)
            and jwk.get("alg", alg) == alg
            and (kid is None or jwk.get("kid") == kid)
        ]


def _imported(jwk: Mapping[str, Any], alg: str) -> RSAKey | ECKey | OKPKey:
    """Import the public members alone: no certificate or address beside them is followed."""
    shape = ALGORITHMS[alg]
    try:
        public = {member: jwk[member] for member in shape.members}
        if shape is _RSA and not _is_sound(public):
            raise FederationRefused("an RSA key that is too short, or too long")
        return shape.read(public)
    except (JoseError, KeyError, TypeError, ValueError):
        raise FederationRefused("a malformed key") from None


def _is_sound(public: Mapping[str, Any]) -> bool:
    modulus = int.from_bytes(b64url_decode(public["n"]), "big")
    return modulus.bit_length() in RSA_BITS and len(public["e"]) <= LONGEST_EXPONENT
