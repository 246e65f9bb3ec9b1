"""What everybody may read: the authorization server's metadata and its public keys."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import SigningKey
from accounts.services.rotate_signing_keys import ensure_signing_keys, rotate_signing_keys
from accounts.tokens.keyring import forget_key_ring
from batchtokens.models import OperationType
from batchtokens_verifier.jws import KeySet, Purpose
from tests import mandates
from tests.oauth import TOKEN_URL

pytestmark = pytest.mark.django_db

METADATA = "/.well-known/oauth-authorization-server"
JWKS = "/.well-known/jwks.json"


def kids(client: Client, purpose: Purpose) -> list[str]:
    keys = client.get(JWKS).json()["keys"]
    return [key["kid"] for key in keys if key["purpose"] == purpose]


@pytest.mark.spec("RFC 8414", "2")
def test_describes_the_server(client: Client, settings: Any) -> None:
    document = client.get(METADATA).json()

    assert document["issuer"] == settings.ISSUER_URL
    assert document["token_endpoint"] == f"{settings.ISSUER_URL}{TOKEN_URL}"
    assert document["jwks_uri"] == f"{settings.ISSUER_URL}{JWKS}"
    assert "password" not in document["grant_types_supported"]
    assert document["response_types_supported"] == []
    methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
    assert document["introspection_endpoint_auth_methods_supported"] == methods
    assert document["token_endpoint_auth_methods_supported"] == ["none", *methods]
    assert document["revocation_endpoint_auth_methods_supported"] == ["none", *methods]
    for endpoint in (
        "token",
        "introspection",
        "revocation",
    ):  # RFC 8414: required beside private_key_jwt
        algorithms = document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert algorithms == ["ES256", "EdDSA", "Ed25519", "RS256", "PS256"]


def test_names_addresses_that_exist(client: Client, settings: Any) -> None:
    document = client.get(METADATA).json()

    endpoints = {name for name in document if name.endswith(("_endpoint", "_uri"))}
    assert endpoints == {
        "token_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "jwks_uri",
    }
    for name in endpoints:
        path = document[name].removeprefix(settings.ISSUER_URL)
        assert client.get(path).status_code in {200, 405}


@pytest.mark.spec("RFC 9396", "10")
def test_names_the_operation_types_that_can_be_asked_for(client: Client) -> None:
    assert client.get(METADATA).json()["authorization_details_types_supported"] == []
    mandates.savings()
    assert client.get(METADATA).json()["authorization_details_types_supported"] == [
        "savings.deposit"
    ]
    OperationType.objects.update(is_active=False)
    assert client.get(METADATA).json()["authorization_details_types_supported"] == []


def test_names_what_signs_and_how_surely_people_sign_in(client: Client) -> None:
    ensure_signing_keys()
    document = client.get(METADATA).json()
    algorithms = {key["alg"] for key in client.get(JWKS).json()["keys"]}
    assert document["introspection_signing_alg_values_supported"] == sorted(algorithms)
    assert document["acr_values_supported"] == ["aal1", "aal2"]
    assert mandates.META_SCOPE not in document["scopes_supported"]


@pytest.mark.spec("RFC 7517", "5")
def test_publishes_one_key_a_purpose(client: Client) -> None:
    ensure_signing_keys()

    answer = client.get(JWKS)

    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    keys = answer.json()["keys"]
    assert sorted(key["purpose"] for key in keys) == sorted(Purpose)
    for key in keys:
        assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use", "purpose"}
        assert (key["alg"], key["use"]) == ("ES256", "sig")
    KeySet.from_jwks(answer.json())


def test_publishes_no_private_part(client: Client) -> None:
    ensure_signing_keys()

    body = client.get(JWKS).content

    assert b'"d"' not in body
    assert b"sealed" not in body


def test_shows_two_keys_a_purpose_during_a_rotation(client: Client) -> None:
    ensure_signing_keys()
    rotate_signing_keys(overlap=timedelta(hours=1))

    for purpose in Purpose:
        assert len(set(kids(client, purpose))) == 2


def test_drops_a_key_when_its_last_token_has_expired(client: Client) -> None:
    ensure_signing_keys()
    (old,) = kids(client, Purpose.ACCESS)
    rotate_signing_keys(overlap=timedelta(hours=1), purposes=[Purpose.ACCESS])
    for minutes, published in ((74, True), (76, False)):
        forget_key_ring()
        with time_machine.travel(datetime.now(UTC) + timedelta(minutes=minutes)):
            assert (old in kids(client, Purpose.ACCESS)) is published


def test_publishes_nothing_before_there_are_keys(client: Client) -> None:
    assert client.get(JWKS).json() == {"keys": []}


def test_publishes_no_key_that_does_not_open(client: Client) -> None:
    rotate_signing_keys(overlap=timedelta(), purposes=[Purpose.ACCESS])
    SigningKey.objects.update(purpose="operation")

    assert client.get(JWKS).json() == {"keys": []}


@pytest.mark.parametrize("url", [METADATA, JWKS])
def test_may_be_cached_by_everybody(client: Client, url: str) -> None:
    answer = client.get(url)

    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("url", [METADATA, JWKS])
def test_may_only_be_read(client: Client, url: str, method: str) -> None:
    answer = getattr(client, method)(url)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
