"""joserfc's KeySet verifies our tokens; the server signs with joserfc, but never reads a JWKS."""

import httpx
import pytest
from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError
from joserfc.jwk import KeySet

from tests.interop.samples import Sample, old_and_new, refused

REFUSALS = {
    "audience": InvalidClaimError,
    "issuer": InvalidClaimError,
    "expired": ExpiredTokenError,
}


def verify(sample: Sample, *, keys: KeySet, issuer: str) -> jwt.Token:
    token = jwt.decode(sample.token, keys, algorithms=["ES256"])
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": sample.audience},
        exp={"essential": True},
    ).validate(token.claims)
    return token


def fetch(jwks_uri: str) -> KeySet:
    return KeySet.import_key_set(httpx.get(jwks_uri, timeout=60).json())


def test_verifies_old_and_new(jwks_uri: str, issuer: str) -> None:
    samples = old_and_new()
    keys = fetch(jwks_uri)

    for sample in samples:
        assert verify(sample, keys=keys, issuer=issuer).header["typ"] == sample.typ
    assert len(keys.keys) == len(samples) == 14


@pytest.mark.parametrize("reason", REFUSALS)
def test_refuses(jwks_uri: str, issuer: str, reason: str) -> None:
    sample = refused()[reason]

    with pytest.raises(REFUSALS[reason]):
        verify(sample, keys=fetch(jwks_uri), issuer=issuer)
