"""POST /oauth/token: the form itself and client_credentials."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import ServiceClient
from accounts.services.create_service_client import NewServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.verify_access_token import verify_access_token
from tests import factories
from tests.oauth import INTROSPECT_URL, REVOKE_URL, TOKEN_URL, encode, refusal, send
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(autouse=True)
def keys() -> None:
    ensure_signing_keys()


@pytest.fixture
def executor() -> NewServiceClient:
    return factories.service_client("savings", scopes=["introspect", "redeem"])


def test_answers_a_token_of_the_client_s_own(executor: NewServiceClient, settings: Any) -> None:
    answer = send(GRANT, by=executor)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    token = body.pop("access_token")
    assert body == {
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "introspect redeem",
    }
    claims = claims_of(token)
    assert claims["sub"] == claims["client_id"] == "savings"
    assert claims["aud"] == settings.ISSUER_URL
    assert verify_access_token(token).subject == executor.client


def test_narrows_the_scope(executor: NewServiceClient) -> None:
    answer = send({**GRANT, "scope": "redeem"}, by=executor)

    assert answer.json()["scope"] == "redeem"
    assert claims_of(answer.json()["access_token"])["scope"] == "redeem"


@pytest.mark.parametrize(
    "scope", ["token_exchange", "redeem profile", "unknown", 'red"eem', "redeem\tintrospect"]
)
def test_refuses_scopes_beyond_its_own(executor: NewServiceClient, scope: str) -> None:
    assert refusal(send({**GRANT, "scope": scope}, by=executor)) == "invalid_scope"


def test_refuses_a_client_without_scopes() -> None:
    assert refusal(send(GRANT, by=factories.service_client())) == "invalid_scope"


@pytest.mark.spec("RFC 8707", "2")
def test_refuses_another_resource(executor: NewServiceClient) -> None:
    answer = send({**GRANT, "resource": "https://other.example/"}, by=executor)

    assert refusal(answer) == "invalid_target"


def test_takes_this_service_as_the_resource(executor: NewServiceClient, settings: Any) -> None:
    assert send({**GRANT, "resource": settings.ISSUER_URL}, by=executor).status_code == 200


def test_ends_with_the_client(executor: NewServiceClient) -> None:
    token = send(GRANT, by=executor).json()["access_token"]
    ServiceClient.objects.update(is_active=False)

    answer = Client().get("/api/v1/redemptions/x", headers=factories.bearer(token))

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "grant_type", ["password", "authorization_code", "implicit", "CLIENT_CREDENTIALS", "\u212a"]
)
def test_refuses_other_grants(executor: NewServiceClient, grant_type: str) -> None:
    answer = send({"grant_type": grant_type, "username": "alice", "password": "x"}, by=executor)

    assert refusal(answer) == "unsupported_grant_type"


@pytest.mark.parametrize("form", [{"grant_type": ""}, {"scope": "redeem"}])
def test_names_the_missing_grant(executor: NewServiceClient, form: dict[str, str]) -> None:
    answer = send(form, by=executor)

    assert refusal(answer) == "invalid_request"
    assert "grant_type" in answer.json()["error_description"]


@pytest.mark.spec("RFC 6749", "3.2")
def test_ignores_unknown_parameters(executor: NewServiceClient) -> None:
    assert send({**GRANT, "colour": "blue", "": "x"}, by=executor).status_code == 200


@pytest.mark.spec("RFC 6749", "3.2")
@pytest.mark.parametrize("name", ["grant_type", "scope", "client_id", "colour", 'x"\n\x07'])
def test_refuses_repeated_parameters(executor: NewServiceClient, name: str) -> None:
    value = "client_credentials" if name == "grant_type" else "redeem"

    answer = send({**GRANT, name: [value, value]}, by=executor)

    assert refusal(answer) == "invalid_request"
    assert answer.json()["error_description"].isprintable()


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "",
        "a/b/c",
        pytest.param("x" * 500, id="long"),
    ],
)
@pytest.mark.parametrize("url", [TOKEN_URL, INTROSPECT_URL, REVOKE_URL])
def test_takes_forms_only(executor: NewServiceClient, url: str, content_type: str) -> None:
    answer = send(GRANT, by=executor, url=url, content_type=content_type)

    assert (answer.status_code, refusal(answer)) == (415, "invalid_request")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8"])
def test_takes_forms_with_a_charset(executor: NewServiceClient, charset: str) -> None:
    content_type = f"application/x-www-form-urlencoded; charset={charset}"

    assert send(GRANT, by=executor, content_type=content_type).status_code == 200


@pytest.mark.parametrize("charset", ["utf-16", "punycode", "nonsense"])
def test_refuses_another_charset(executor: NewServiceClient, charset: str) -> None:
    content_type = f"application/x-www-form-urlencoded; charset={charset}"

    assert refusal(send(GRANT, by=executor, content_type=content_type)) == "invalid_request"


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head", "options"])
@pytest.mark.parametrize("url", [TOKEN_URL, INTROSPECT_URL, REVOKE_URL])
def test_takes_post_only(client: Client, url: str, method: str) -> None:
    answer = getattr(client, method)(url)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_ignores_the_address_s_query(executor: NewServiceClient) -> None:
    answer = send({"scope": "redeem"}, by=executor, url=f"{TOKEN_URL}?{encode(GRANT)}")

    assert refusal(answer) == "invalid_request"
