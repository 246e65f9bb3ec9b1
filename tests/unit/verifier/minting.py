"""Mints tokens for the tests, good and bad, with `cryptography` alone: none of the code under test.

The signing keys are published in tests/vectors/tokens.json: never use them for anything else.
"""

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from batchtokens_verifier.jws import KeySet
from tests.unit.verifier.vectors import load

ISSUER = "https://id.example"
AUDIENCE = "https://savings.example/"
NOW = datetime(2026, 12, 1, 8, 0, 0, tzinfo=UTC)

_DOCUMENT = load("tokens")
SIGNING_KEYS: dict[str, dict[str, str]] = _DOCUMENT["signing_keys"]
KEYS = KeySet.from_jwks(_DOCUMENT["jwks"])

OPERATION_ID = "op_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"
OPERATION: dict[str, Any] = {
    "action": "savings.deposit",
    "amount": {"amount": "50.00", "currency": "USD"},
    "creditor_account": "sav-7781",
    "debtor_account": "chk-1042",
    "reference": "monthly savings",
}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def digest_of(operation: Any) -> str:
    # sort_keys is RFC 8785's order as long as names are ASCII, as these are.
    text = json.dumps(operation, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha-256:" + b64(hashlib.sha256(text.encode()).digest())


def detail(**changes: Any) -> dict[str, Any]:
    """Return the authorization_details element; a change to None removes the member."""
    members = {
        "type": "savings.deposit",
        "actions": ["savings.deposit"],
        "locations": [AUDIENCE],
        "identifier": OPERATION_ID,
        "operation": OPERATION,
        "valid_from": "2026-12-01T08:00:00Z",
        "valid_to": "2027-12-01T08:00:00Z",
        "schedule": "FREQ=MONTHLY;COUNT=12",
        "due_window": "P3D",
        "max_individual_amount": {"amount": "50.00", "currency": "USD"},
        "periodic_limits": [
            {
                "period_type": "month",
                "period_alignment": "consent",
                "time_zone": "UTC",
                "amount": "50.00",
                "currency": "USD",
                "max_count": 1,
            }
        ],
        "max_total": {"amount": "600.00", "currency": "USD"},
        "max_occurrences": 12,
        "redemption": {"mode": "issuer", "uri": f"{ISSUER}/api/v1/redemptions"},
    } | changes
    return {name: value for name, value in members.items() if value is not None}


def operation_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good operation token; a change to None removes the claim."""
    claims = {
        "iss": ISSUER,
        "sub": "usr_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        "aud": AUDIENCE,
        "client_id": "trigger",
        "act": {"sub": "trigger"},
        "scope": "savings.deposit",
        "txn": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "jti": "opt_AAECAwQFBgcICQoLDA0ODw",
        "iat": int(NOW.timestamp()),
        "nbf": int(NOW.timestamp()),
        "exp": int(datetime(2027, 12, 1, 8, 0, 0, tzinfo=UTC).timestamp()),
        "parameter_digest": digest_of(OPERATION),
        "consent": {"mode": "scope"},
        "authorization_details": [detail()],
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def consented(*, mode: str = "exact", **changes: Any) -> dict[str, Any]:
    """Return claims whose consent is bound to just this mandate; changes are of what was shown."""
    claims = operation_claims()
    later = {"identifier": None, "redemption": None}
    shown = {
        "sub": claims["sub"],
        "client_id": claims["client_id"],
        "aud": claims["aud"],
        "authorization_details": [detail(**later)],
    } | changes
    named = {"id": "cns_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b", "mandate_digest": digest_of(shown)}
    return claims | {"consent": {"mode": mode} | named}


def access_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a good access token; a change to None removes the claim."""
    now = int(NOW.timestamp())
    claims = {
        "iss": ISSUER,
        "sub": "usr_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        "aud": "https://gateway.example/",
        "client_id": "first-party",
        "iat": now,
        "nbf": now,
        "exp": now + 900,
        "jti": "acc_AAECAwQFBgcICQoLDA0ODw",
        "scope": "profile trigger_continuous_savings",
        "sid": "ses_0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        "auth_time": now - 60,
        "acr": "mfa",
        "amr": ["pwd", "otp"],
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def mint(
    claims: Any, *, key: str = "operation", header: Any = None, typ: str = "at+jwt", **extra: Any
) -> str:
    """Return a compact JWS of `claims`. header: replaces it all; extra: added to the good one."""
    jwk = SIGNING_KEYS[key]
    good = {"alg": jwk["alg"], "kid": jwk["kid"], "typ": typ} | extra
    message = f"{b64(as_bytes(good if header is None else header))}.{b64(as_bytes(claims))}"
    return f"{message}.{b64(signature(jwk, message.encode()))}"


def signature(jwk: dict[str, str], message: bytes) -> bytes:
    secret = base64.urlsafe_b64decode(jwk["d"] + "==")
    if jwk["kty"] == "OKP":
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret).sign(message)
    private = ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())
    # RFC 6979: the same claims make the same token, so that vectors can be made again.
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(private.sign(message, algorithm))
    return r.to_bytes(32) + s.to_bytes(32)
