"""PyJWT and its PyJWKClient verify our tokens from the metadata alone."""

from typing import Any

import httpx
import jwt
import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests.interop.samples import Sample, old_and_new, refused, signed

REFUSALS = {
    "audience": jwt.InvalidAudienceError,
    "issuer": jwt.InvalidIssuerError,
    "expired": jwt.ExpiredSignatureError,
}


def verify(sample: Sample, *, client: jwt.PyJWKClient, issuer: str) -> dict[str, Any]:
    key = client.get_signing_key_from_jwt(sample.token)
    return jwt.decode(
        sample.token, key, algorithms=["ES256"], audience=sample.audience, issuer=issuer
    )


@pytest.fixture
def client(issuer: str) -> jwt.PyJWKClient:
    metadata = httpx.get(f"{issuer}/.well-known/oauth-authorization-server", timeout=60).json()
    return jwt.PyJWKClient(metadata["jwks_uri"])


def test_verifies_old_and_new(client: jwt.PyJWKClient, issuer: str) -> None:
    samples = old_and_new()

    for sample in samples:
        assert verify(sample, client=client, issuer=issuer)["iss"] == issuer
    assert len(client.get_signing_keys()) == len(samples) == 14


def test_finds_a_new_key_by_itself(jwks_uri: str, issuer: str) -> None:
    client = jwt.PyJWKClient(jwks_uri, cooldown_duration=0)
    ensure_signing_keys()
    verify(signed(), client=client, issuer=issuer)

    for sample in old_and_new():
        verify(sample, client=client, issuer=issuer)


@pytest.mark.parametrize("reason", REFUSALS)
def test_refuses(client: jwt.PyJWKClient, issuer: str, reason: str) -> None:
    with pytest.raises(REFUSALS[reason]):
        verify(refused()[reason], client=client, issuer=issuer)
