"""Public keys of service clients, as a JWK Set (RFC 7517 section 5): one algorithm a key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from batchtokens_verifier.canonical import b64url_decode
from batchtokens_verifier.errors import FieldError, InvalidFieldsError

MOST_CLIENT_KEYS = 10
RSA_BITS = range(2048, 4097)  # RFC 7518 section 3.3 asks for 2048; longer ones cost too much
RSA_EXPONENT = "AQAB"  # 65537: a large one costs too much, a small one is fragile
KID_MAX_LENGTH = 200

# RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1, RFC 9864 section 2.2: kty and crv.
_SHAPES: Mapping[str, tuple[str, str | None]] = {
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
    "RS256": ("RSA", None),
    "PS256": ("RSA", None),
}
ASSERTION_ALGORITHMS = tuple(_SHAPES)
_MATERIAL = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
# RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1.
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


@dataclass(frozen=True, slots=True)
class ClientKey:
    """One public key and the only algorithm that it verifies."""

    alg: str
    key: ECKey | OKPKey | RSAKey

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether `signature` over `message` is this key's."""
        return JWSRegistry.algorithms[self.alg].verify(message, signature, self.key)


def check_jwks(jwks: object) -> dict[str, Any]:
    """Return the set as it is stored: public members alone, each key with its `kid` and `alg`.

    Raises InvalidFieldsError, with each key that is wrong.
    """
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not 0 < len(keys) <= MOST_CLIENT_KEYS:
        detail = f"A JWK Set has 1 to {MOST_CLIENT_KEYS} keys."
        raise InvalidFieldsError([FieldError("/jwks", "invalid", detail)])
    errors = [
        FieldError(f"/jwks/keys/{place}", "invalid", sentence)
        for place, jwk in enumerate(keys)
        if (sentence := _fault_of(jwk))
    ]
    if not errors and len({jwk["kid"] for jwk in keys}) != len(keys):
        errors = [FieldError("/jwks", "invalid", "Two keys have the same kid.")]
    if errors:
        raise InvalidFieldsError(errors)
    return {"keys": [_public(jwk) for jwk in keys]}


def client_keys(jwks: Mapping[str, Any]) -> dict[str, ClientKey]:
    """Return the keys of a stored set by their `kid`."""
    return {jwk["kid"]: ClientKey(jwk["alg"], _import(jwk)) for jwk in jwks.get("keys", [])}


def _fault_of(jwk: object) -> str:
    """Say what is wrong with a key, "" if nothing is."""
    if not isinstance(jwk, Mapping):
        return "It is no JSON object."
    if _PRIVATE & jwk.keys():
        return "It has private members: keep those to yourself, and make a new key."
    kid, alg = jwk.get("kid"), jwk.get("alg")
    if not isinstance(kid, str) or not 0 < len(kid) <= KID_MAX_LENGTH or not kid.isprintable():
        return f"It has no kid of 1 to {KID_MAX_LENGTH} characters."
    if not isinstance(alg, str) or alg not in _SHAPES:
        return f"Its alg is none of {', '.join(_SHAPES)}."
    if (jwk.get("kty"), jwk.get("crv")) != _SHAPES[alg]:
        return "It does not fit its alg."
    if jwk.get("use", "sig") != "sig":
        return "Its use is not sig."
    return _fault_of_material(jwk)


def _fault_of_material(jwk: Mapping[str, Any]) -> str:
    if not all(isinstance(jwk.get(name), str) for name in _MATERIAL[jwk["kty"]]):
        return "It is malformed."
    try:
        if jwk["kty"] == "RSA" and (fault := _fault_of_rsa(jwk)):
            return fault
        _import(jwk)
    except (JoseError, TypeError, ValueError):
        return "It is malformed."
    return ""


def _fault_of_rsa(jwk: Mapping[str, Any]) -> str:
    """Measure before anything is computed."""
    if jwk["e"] != RSA_EXPONENT:
        return "Its exponent is not 65537."
    if int.from_bytes(b64url_decode(jwk["n"]), "big").bit_length() not in RSA_BITS:
        return f"It has not {RSA_BITS[0]} to {RSA_BITS[-1]} bits."
    return ""


def _public(jwk: Mapping[str, Any]) -> dict[str, Any]:
    names = ("kid", "alg", "kty", *_MATERIAL[jwk["kty"]])
    return {name: jwk[name] for name in names} | {"use": "sig"}


def _import(jwk: Mapping[str, Any]) -> ECKey | OKPKey | RSAKey:
    public: dict[str, Any] = {name: jwk[name] for name in ("kty", *_MATERIAL[jwk["kty"]])}
    match jwk["kty"]:
        case "EC":
            return ECKey.import_key(public)
        case "OKP":
            return OKPKey.import_key(public)
    return RSAKey.import_key(public)
