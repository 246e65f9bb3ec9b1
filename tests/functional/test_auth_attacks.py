"""Tokens that are forged, confused, replayed or somebody else's: GET /api/v1/me and its doors."""

import hmac
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from joserfc.jwk import ECKey

from accounts.models import SessionFamily, User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.tokens.backend import sign
from accounts.tokens.keyring import current_key_ring
from batchtokens_verifier.canonical import b64url
from batchtokens_verifier.jws import Purpose
from tests import factories
from tests.factories import bearer
from tests.tokens import assemble, claims_of, forge, header_of

pytestmark = pytest.mark.django_db
ME = "/api/v1/me"
Header = dict[str, Any]


@pytest.fixture
def alice() -> User:
    return factories.alice()


@pytest.fixture
def token(alice: User) -> str:
    return factories.access_token_for(alice)


def refused(client: Client, token: str) -> bool:
    answer = client.get(ME, headers=bearer(token))
    assert answer.status_code == 401, answer.content
    assert answer.json()["code"] == "token_not_valid"
    assert "reason" not in answer.json()
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    return True


def test_opens_with_an_honest_token(client: Client, alice: User, token: str) -> None:
    assert client.get(ME, headers=bearer(token)).json()["id"] == alice.public_id


def test_refuses_no_token(client: Client) -> None:
    answer = client.get(ME)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_refuses_an_unsigned_token(client: Client, token: str) -> None:
    header = header_of(token) | {"alg": "none"}

    assert refused(client, assemble(header, claims_of(token)))


def test_refuses_the_public_key_as_a_shared_secret(client: Client, token: str) -> None:
    header = header_of(token) | {"alg": "HS256"}
    public = next(k for k in current_key_ring().jwks()["keys"] if k["kid"] == header["kid"])
    pem = ECKey.import_key(public).as_pem(private=False)
    message = assemble(header, claims_of(token)).rpartition(".")[0]

    forged = f"{message}.{b64url(hmac.digest(pem, message.encode(), 'sha256'))}"

    assert refused(client, forged)


def test_refuses_a_key_of_the_attackers_own(client: Client, token: str) -> None:
    assert refused(client, forge(header_of(token), claims_of(token)))


def _with_jwk(header: Header, key: ECKey) -> Header:
    return header | {"jwk": key.as_dict(private=False)}


def _with_jku(header: Header, key: ECKey) -> Header:
    return header | {"jku": "https://attacker.example/jwks.json"}


def _with_own_kid(header: Header, key: ECKey) -> Header:
    return header | {"kid": key.thumbprint()}


def _without_kid(header: Header, key: ECKey) -> Header:
    return {name: value for name, value in header.items() if name != "kid"}


@pytest.mark.parametrize("change", [_with_jwk, _with_jku, _with_own_kid, _without_kid])
def test_follows_nothing_in_the_header(
    client: Client, token: str, change: Callable[[Header, ECKey], Header]
) -> None:
    key = ECKey.generate_key("P-256")

    assert refused(client, forge(change(header_of(token), key), claims_of(token), key))


def test_refuses_a_changed_claim(client: Client, token: str) -> None:
    head, _, signature = token.split(".")
    changed = assemble(header_of(token), claims_of(token) | {"scope": "everything"}).split(".")[1]

    assert refused(client, f"{head}.{changed}.{signature}")


@pytest.mark.parametrize("change", ["{} ", " {}", "{}\n", "{}=", "{}.", "{}, x", "x{}"])
def test_refuses_another_spelling(client: Client, token: str, change: str) -> None:
    spelled = change.format(token)
    if spelled.strip() == token:
        answer = client.post(
            f"{ME.removesuffix('me')}auth/token/verify",
            {"token": spelled},
            content_type="application/json",
        )
        assert answer.json()["code"] == "token_not_valid"
    else:
        assert refused(client, spelled)


def test_refuses_a_huge_token(client: Client) -> None:
    assert refused(client, "a" * 20_000)


def test_refuses_a_refresh_token_as_access_token(client: Client, alice: User) -> None:
    _, pair = factories.session_family(alice)

    assert refused(client, pair.refresh)


@pytest.mark.parametrize("purpose", [p for p in Purpose if p is not Purpose.ACCESS])
def test_refuses_the_keys_of_other_purposes(client: Client, token: str, purpose: Purpose) -> None:
    assert refused(client, sign(claims_of(token), purpose=purpose).token)


@pytest.mark.parametrize("mark", ["parameter_digest", "authorization_details"])
def test_refuses_what_looks_like_an_operation_token(client: Client, token: str, mark: str) -> None:
    claims = claims_of(token) | {mark: "sha-256:x"}

    assert refused(client, sign(claims, purpose=Purpose.ACCESS).token)


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://other.example"},
        {"aud": "https://savings.example/"},
        {"aud": ["http://127.0.0.1:8000"]},
        {"sub": "usr_00000000000000000000000000000000"},
        {"sid": "ses_00000000000000000000000000000000"},
        {"sid": "nonsense"},
        {"client_id": "trigger"},
        {"exp": "tomorrow"},
        {"iat": 4_000_000_000},  # in 2096
    ],
    ids=str,
)
def test_refuses_signed_claims_that_do_not_fit(
    client: Client, token: str, change: dict[str, Any]
) -> None:
    assert refused(client, sign(claims_of(token) | change, purpose=Purpose.ACCESS).token)


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "client_id", "exp", "jti", "scope"])
def test_refuses_a_token_that_lacks_a_claim(client: Client, token: str, claim: str) -> None:
    claims = claims_of(token)
    del claims[claim]

    assert refused(client, sign(claims, purpose=Purpose.ACCESS).token)


def test_refuses_bobs_session_under_alices_name(client: Client, token: str) -> None:
    bob = factories.access_token_for(factories.bob())
    claims = claims_of(token) | {"sid": claims_of(bob)["sid"]}

    assert refused(client, sign(claims, purpose=Purpose.ACCESS).token)


def test_refuses_a_token_for_another_audience(client: Client, alice: User) -> None:
    token = factories.access_token_for(alice, audience="https://savings.example/trigger")

    assert refused(client, token)


def test_refuses_an_ended_session(client: Client, token: str) -> None:
    client.post("/api/v1/auth/logout", content_type="application/json", headers=bearer(token))

    assert SessionFamily.objects.get().ended_at
    assert refused(client, token)


def test_refuses_a_disabled_person(client: Client, alice: User, token: str) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)

    assert refused(client, token)


def test_refuses_a_deleted_person(client: Client, alice: User, token: str) -> None:
    alice.delete()

    assert refused(client, token)


def test_refuses_a_removed_key(client: Client, token: str) -> None:
    current_key_ring()._keys.clear()
    current_key_ring()._verification_keys.by_kid.clear()  # type: ignore[attr-defined] # a dict

    assert refused(client, token)


def test_refuses_two_credentials(client: Client, token: str) -> None:
    secret = factories.service_client().secret

    answer = client.get(ME, headers=bearer(token) | {"X-API-Key": secret})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_refuses_a_machine(client: Client) -> None:
    ensure_signing_keys()
    gateway, secret = factories.service_client(scopes=["introspect"])

    assert client.get(ME, headers=factories.basic(gateway, secret)).status_code == 401


def test_refuses_a_token_without_the_scope(client: Client, alice: User) -> None:
    token = factories.access_token_for(alice, scope="account")

    answer = client.get(ME, headers=bearer(token))

    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    assert "profile" in answer.json()["detail"]
