"""Authlib's client signs in with a key pair, by all algorithms, as its documentation says."""

import time
from typing import Any

import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT

from accounts.models import ClientAssertion
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests.assertions import ALGORITHMS, Key, client_with, new_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def session_of(key: Key, token_url: str) -> Any:
    session = OAuth2Session("gateway", key, token_endpoint_auth_method="private_key_jwt")
    # Its assertions live for an hour unless told otherwise.
    claims = {"exp": int(time.time()) + 60}
    session.register_client_auth_method(
        PrivateKeyJWT(token_url, claims=claims, headers={"kid": "k1"}, alg=key.alg)
    )
    return session


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # as of RFC 9864, in favour of Ed25519
@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.spec("RFC 7523", "2.2")
def test_gets_a_token(issuer: str, monkeypatch: pytest.MonkeyPatch, alg: str) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the test's server speaks plain HTTP
    ensure_signing_keys()
    key, url = new_key(alg), f"{issuer}/oauth/token"
    client_with(key)

    token = session_of(key, url).fetch_token(url, grant_type="client_credentials")

    assert token["scope"] == "introspect redeem"
    assert ClientAssertion.objects.count() == 1


def test_asks_about_a_token(issuer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    ensure_signing_keys()
    key, url = new_key(), f"{issuer}/oauth/introspect"
    client_with(key)

    answer = session_of(key, url).introspect_token(url, token="unknown")

    assert answer.json() == {"active": False}
