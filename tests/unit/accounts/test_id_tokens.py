"""Each boundary of an ID token's claims, with a key of the test's own."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from accounts.errors import FederationRefused
from accounts.federation.id_tokens import Expected, parse_id_token, verify_id_token
from accounts.federation.keys import ProviderKeys
from accounts.federation.providers import parse_providers
from batchtokens_verifier.canonical import b64url
from tests.tokens import assemble, forge

NOW = 1_800_000_000
PROVIDER = parse_providers(
    '[{"name":"corp","kind":"oidc","issuer":"https://corp.example","client_id":"us",'
    '"client_secret":"s"}]',
    production=True,
)["corp"]
KEY = ECKey.generate_key("P-256")
KEYS = ProviderKeys.of({"keys": [KEY.as_dict(private=False) | {"kid": "k"}]})
CLAIMS = {
    "iss": "https://corp.example",
    "aud": "us",
    "sub": "s",
    "nonce": "n",
    "iat": NOW,
    "exp": NOW + 60,
}


def verify(
    claims: dict[str, Any], *, keys: ProviderKeys = KEYS, key: Any = KEY, **header: Any
) -> Any:
    message = assemble({"alg": "ES256", "kid": "k"} | header, CLAIMS | claims).rpartition(".")[0]
    algorithm = JWSRegistry.algorithms[header.get("alg", "ES256")]
    token = f"{message}.{b64url(algorithm.sign(message.encode(), key))}"
    now = datetime.fromtimestamp(NOW, UTC)
    expected = Expected(PROVIDER, nonce="n", access_token="at", now=now)
    return verify_id_token(parse_id_token(token), keys=keys, expected=expected)


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.3.7")
@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({}, True),
        ({"exp": NOW + 1}, True),
        ({"exp": NOW}, False),
        ({"exp": NOW - 1}, False),
        ({"exp": NOW + 0.5}, True),
        ({"iat": NOW + 10}, True),
        ({"iat": NOW + 11}, False),
        ({"iat": NOW - 600}, True),
        ({"iat": NOW - 601}, False),
        ({"nbf": NOW + 10}, True),
        ({"nbf": NOW + 11}, False),
        ({"sub": "x" * 255}, True),
        ({"sub": "x" * 256}, False),
        ({"aud": ["us"]}, True),
        ({"aud": ["us"], "azp": "us"}, True),
        ({"aud": ["us", "b"], "azp": "us"}, True),
        ({"aud": ["us", "b"]}, False),
        ({"aud": "us", "azp": None}, False),
        ({"aud": {"us": 1}}, False),
        ({"iss": "https://corp.example/"}, False),
    ],
    ids=str,
)
def test_checks_claims(claims: dict[str, Any], good: bool) -> None:
    if good:
        assert verify(claims)["sub"]
        return
    with pytest.raises(FederationRefused):
        verify(claims)


@pytest.mark.spec("OpenID Connect Core 1.0", "3.1.3.6")
@pytest.mark.parametrize(
    ("alg", "key", "hashed"),
    [
        ("ES256", KEY, hashlib.sha256),
        ("EdDSA", OKPKey.generate_key("Ed25519"), hashlib.sha512),
        ("PS256", RSAKey.generate_key(2048), hashlib.sha256),
    ],
)
def test_binds_the_access_token(alg: str, key: Any, hashed: Any) -> None:
    keys = ProviderKeys.of({"keys": [key.as_dict(private=False) | {"kid": "k", "alg": alg}]})
    digest = hashed(b"at").digest()
    half = b64url(digest[: len(digest) // 2])

    assert verify({"at_hash": half}, keys=keys, key=key, alg=alg)
    with pytest.raises(FederationRefused):
        verify({"at_hash": half[:-1]}, keys=keys, key=key, alg=alg)


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "EC", "crv": "P-256"},
        KEY.as_dict(private=False) | {"x": "AAAA"},
        KEY.as_dict(private=False) | {"x": 7},
        KEY.as_dict(private=False) | {"use": "enc"},
        KEY.as_dict(private=False) | {"alg": "ES384"},
        {"kty": "oct", "k": "AAAA", "alg": "ES256"},
    ],
    ids=["no coordinates", "a short x", "a number as x", "for encryption", "another alg", "shared"],
)
def test_takes_no_unfit_key(jwk: dict[str, Any]) -> None:
    keys = ProviderKeys.of({"keys": [jwk | {"kid": "k"}]})

    with pytest.raises(FederationRefused):
        verify({}, keys=keys)


def test_needs_no_kid_where_one_key_fits() -> None:
    token = forge({"alg": "ES256"}, CLAIMS, KEY)
    expected = Expected(PROVIDER, "n", "at", datetime.fromtimestamp(NOW, UTC))
    several = ProviderKeys.of({"keys": [KEY.as_dict(private=False)] * 2})

    assert verify_id_token(parse_id_token(token), keys=KEYS, expected=expected)
    with pytest.raises(FederationRefused):
        verify_id_token(parse_id_token(token), keys=several, expected=expected)


@pytest.mark.parametrize("kid", [7, None, ["k"], {"k": 1}, True])
def test_takes_no_strange_kid(kid: object) -> None:
    with pytest.raises(FederationRefused):
        parse_id_token(assemble({"alg": "ES256", "kid": kid}, CLAIMS, b"signature"))


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS1", "ES256K", "", 7, None, ["ES256"]])
def test_takes_no_other_algorithm(alg: object) -> None:
    with pytest.raises(FederationRefused):
        parse_id_token(assemble({"alg": alg, "kid": "k"}, CLAIMS, b"signature"))


@pytest.mark.parametrize("token", [None, 7, "", "a.b", "a.b.c.d", "é.b.c", ["a.b.c"], "e30.e30.A"])
def test_takes_no_other_shape(token: object) -> None:
    with pytest.raises(FederationRefused):
        parse_id_token(token)
