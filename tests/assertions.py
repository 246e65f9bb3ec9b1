"""Key pairs of service clients, and what they sign with them (RFC 7523)."""

import base64
import json
import secrets
import time
from typing import Any

from django.conf import settings
from joserfc import jws
from joserfc.jwk import ECKey, KeyParameters, OKPKey, RSAKey

from accounts.models import ServiceClient
from accounts.services.create_service_client import create_service_client

Key = ECKey | OKPKey | RSAKey
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES256", "EdDSA", "Ed25519", "RS256", "PS256")


def new_key(alg: str = "ES256", kid: str = "k1") -> Key:
    """Draw a key pair of the kind that an algorithm takes."""
    parameters: KeyParameters = {"kid": kid, "alg": alg, "use": "sig"}
    if alg == "ES256":
        return ECKey.generate_key("P-256", parameters)
    if alg in {"EdDSA", "Ed25519"}:
        return OKPKey.generate_key("Ed25519", parameters)
    return RSAKey.generate_key(2048, parameters)


def public(*keys: Key) -> dict[str, Any]:
    """Write the JWK Set that a client gives away."""
    return {"keys": [dict(key.as_dict(private=False)) for key in keys]}


def client_with(*keys: Key, client_id: str = "gateway", **members: Any) -> ServiceClient:
    """Store a client that has these keys and no secret."""
    members = {"scopes": ["introspect", "redeem"], **members}
    new = create_service_client(
        client_id=client_id, jwks=public(*keys), with_secret=False, **members
    )
    assert new.secret == ""
    return new.client


def claims(**changes: Any) -> dict[str, Any]:
    """Write the claims of a good assertion, with some changed or (None) left out."""
    now = int(time.time())
    good = {
        "iss": "gateway",
        "sub": "gateway",
        "aud": settings.ISSUER_URL,
        "jti": secrets.token_urlsafe(16),
        "iat": now,
        "exp": now + 60,
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def sign(key: Key, payload: Any = None, **header: Any) -> str:
    """Sign an assertion; of the header, None leaves a member out."""
    members = {"alg": key.alg, "kid": key.kid, "typ": "JWT"} | header
    protected = {name: value for name, value in members.items() if value is not None}
    body = claims() if payload is None else payload
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = f"{_encoded(json.dumps(protected).encode())}.{_encoded(content)}"
    algorithm = jws.JWSRegistry.algorithms[str(key.alg)]
    return f"{message}.{_encoded(algorithm.sign(message.encode(), key))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def form(assertion: str, **changes: str | None) -> dict[str, str | None]:
    """Write the parameters of a client that authenticates so."""
    return {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **changes,
    }
