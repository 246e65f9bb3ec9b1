"""POST /api/v1/auth/token."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import SecurityEvent, SessionFamily, User
from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens_verifier.claims import parse_access_token
from tests import factories, meta_scopes
from tests.tokens import claims_of, header_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/token"
CLAIMS = [
    *("iss", "sub", "aud", "client_id", "iat", "nbf", "exp", "jti"),
    *("scope", "sid", "auth_time", "acr", "amr"),
]
SAVINGS = "trigger_continuous_savings"


@pytest.fixture(autouse=True)
def keys() -> None:
    ensure_signing_keys()


def sign_in(client: Client, username: str = "alice", **more: Any) -> Any:
    body = {"username": username, "password": factories.PASSWORD} | more
    return client.post(URL, body, content_type="application/json")


def test_answers_a_pair(client: Client) -> None:
    factories.alice()

    answer = sign_in(client)

    assert answer.status_code == 200
    assert answer.json().keys() == {"access", "refresh", "token_type", "expires_in", "scope"}
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 900
    assert answer.headers["Cache-Control"] == "no-store"


def test_writes_the_claims_of_rfc_9068(client: Client, settings: Any) -> None:
    alice = factories.alice()

    access = sign_in(client).json()["access"]

    claims = claims_of(access)
    assert list(claims) == CLAIMS
    assert (claims["iss"], claims["aud"]) == (settings.ISSUER_URL, settings.ISSUER_URL)
    assert claims["sub"] == alice.public_id
    assert claims["client_id"] == "first-party"
    assert header_of(access).keys() == {"alg", "kid", "typ"}
    assert header_of(access)["typ"] == "at+jwt"
    parse_access_token(claims)


def test_writes_a_refresh_token_for_one_endpoint(client: Client, settings: Any) -> None:
    factories.alice()

    refresh = sign_in(client).json()["refresh"]

    assert header_of(refresh)["typ"] == "rt+jwt"
    assert claims_of(refresh)["aud"] == f"{settings.ISSUER_URL}/oauth/token"
    assert "token_type" not in claims_of(refresh)


def test_finds_a_name_however_it_is_written(client: Client) -> None:
    factories.user("Straße1")

    assert sign_in(client, "ＳＴＲＡＳＳＥ1").status_code == 200


def test_keeps_the_spaces_of_a_password(client: Client) -> None:
    factories.alice()

    assert sign_in(client, password=f" {factories.PASSWORD}").status_code == 401


def test_takes_a_password_in_another_normal_form(client: Client) -> None:
    alice = factories.alice()
    alice.set_password("Zu\u0308rich 2026")
    alice.save()

    assert sign_in(client, password="Zürich 2026").status_code == 200


@pytest.mark.parametrize("case", ["unknown", "wrong", "inactive"])
def test_refuses_alike(client: Client, case: str) -> None:
    alice = factories.alice()
    alice.is_active = case != "inactive"
    alice.save()
    username = "nobody" if case == "unknown" else "alice"
    password = "another passphrase" if case == "wrong" else factories.PASSWORD

    answer = sign_in(client, username, password=password)

    assert answer.status_code == 401
    body = answer.json()
    del body["request_id"]
    assert body == {
        "type": "urn:authproject:problem:invalid_credentials",
        "title": "The username or password is wrong, or the e-mail address is not verified yet",
        "status": 401,
        "detail": "The username or password is wrong, or the e-mail address is not verified yet.",
        "code": "invalid_credentials",
    }
    assert SecurityEvent.objects.get(code="sign_in_refused").outcome == "refused"


def test_hashes_once_for_an_unknown_name(client: Client, hashes: list[str]) -> None:
    factories.alice()
    hashes.clear()

    sign_in(client, "nobody")
    unknown = len(hashes)
    sign_in(client, password="another passphrase")

    assert unknown == len(hashes) - unknown == 1


@pytest.mark.usefixtures("one_minute")
def test_counts_refusals_in_one_row(client: Client) -> None:
    factories.alice()

    for _ in range(3):
        sign_in(client, password="another passphrase")

    assert SecurityEvent.objects.get(code="sign_in_refused").count == 3


def test_records_a_sign_in(client: Client) -> None:
    alice = factories.alice()

    sign_in(client)

    event = SecurityEvent.objects.get(code="signed_in")
    assert event.user == alice
    assert event.data["session"] == SessionFamily.objects.get().public_id


def test_grants_the_default_scope(client: Client) -> None:
    factories.alice()

    assert sign_in(client).json()["scope"] == "profile account"


def test_grants_what_was_asked(client: Client) -> None:
    factories.alice()

    assert sign_in(client, scope="profile").json()["scope"] == "profile"


@pytest.mark.parametrize("asked", [SAVINGS, f"account {SAVINGS}"])
def test_lets_a_meta_scope_write_nothing(client: Client, asked: str) -> None:
    factories.alice(may_ask_for=[SAVINGS])

    with meta_scopes.of(SAVINGS):
        answer = sign_in(client, scope=asked)

    assert answer.json()["scope"] == f"profile {SAVINGS}"


def test_refuses_a_meta_scope_of_others(client: Client) -> None:
    factories.alice()

    with meta_scopes.of(SAVINGS):
        answer = sign_in(client, scope=SAVINGS)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_scope")
    event = SecurityEvent.objects.get(code="sign_in_refused")
    assert (event.user, event.data) == (User.objects.get(), {"reason": "invalid_scope"})
    assert not SessionFamily.objects.exists()


def test_lets_everybody_ask_in_development(client: Client, settings: Any) -> None:
    settings.ENVIRONMENT = "development"
    factories.alice()

    with meta_scopes.of(SAVINGS):
        assert sign_in(client, scope=SAVINGS).status_code == 200


@pytest.mark.parametrize("scope", ["unknown", "redeem", "introspect", 'pro"file', "profile\n"])
def test_refuses_scopes_that_no_person_has(client: Client, scope: str) -> None:
    factories.alice()

    answer = sign_in(client, scope=f"profile {scope}x" if scope == "profile\n" else scope)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_scope")
    assert answer.json()["errors"][0]["pointer"] == "/scope"


def test_signs_for_a_registered_audience(client: Client) -> None:
    factories.alice()
    factories.service_client("trigger", audience="https://savings.example/trigger")

    access = sign_in(client, resource="https://savings.example/trigger").json()["access"]

    assert claims_of(access)["aud"] == "https://savings.example/trigger"


def test_refuses_an_unknown_audience(client: Client) -> None:
    factories.alice()

    answer = sign_in(client, resource="https://other.example/")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_target")


@pytest.mark.parametrize("member", ["username", "password"])
def test_names_the_member_that_is_absent(client: Client, member: str) -> None:
    body = {"username": "alice", "password": factories.PASSWORD}
    del body[member]

    answer = client.post(URL, body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == f"/{member}"


def test_refuses_a_form(client: Client) -> None:
    assert client.post(URL, {"username": "alice"}).status_code == 415
