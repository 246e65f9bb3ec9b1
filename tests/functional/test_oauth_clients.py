"""Who sends a form to the OAuth endpoints: one method of client authentication, never two."""

import base64
from typing import Any

import pytest

from accounts.models import ApiKey, SecurityEvent, ServiceClient
from accounts.services.create_api_key import create_api_key
from accounts.services.create_service_client import NewServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.factories import basic
from tests.oauth import INTROSPECT_URL, REVOKE_URL, TOKEN_URL, refusal, send

pytestmark = pytest.mark.django_db

ENDPOINTS = {
    TOKEN_URL: {"grant_type": "client_credentials"},
    INTROSPECT_URL: {"token": "unknown"},
    REVOKE_URL: {"token": "unknown"},
}


@pytest.fixture(params=ENDPOINTS)
def url(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def gateway() -> NewServiceClient:
    ensure_signing_keys()
    return factories.service_client("gateway", scopes=["introspect"])


def ask(url: str, credentials: dict[str, str], **headers: str) -> Any:
    return send({**ENDPOINTS[url], **credentials}, url=url, headers=headers)


def pair(new: NewServiceClient) -> dict[str, str]:
    return {"client_id": new.client.client_id, "client_secret": new.secret}


def basic_of(text: bytes) -> str:
    return "Basic " + base64.b64encode(text).decode()


def test_takes_basic(url: str, gateway: NewServiceClient) -> None:
    assert ask(url, {}, **basic(gateway.client, gateway.secret)).status_code == 200


def test_takes_the_form(url: str, gateway: NewServiceClient) -> None:
    assert ask(url, pair(gateway)).status_code == 200


@pytest.mark.spec("RFC 6749", "2.3.1")
def test_takes_an_encoded_pair_by_basic(url: str, gateway: NewServiceClient) -> None:
    encoded = "".join(f"%{ord(letter):02X}" for letter in gateway.secret)

    answer = ask(url, {}, Authorization=basic_of(f"gatew%61y:{encoded}".encode()))

    assert answer.status_code == 200


@pytest.mark.spec("RFC 7235", "2.1")
def test_takes_the_scheme_in_any_case(url: str, gateway: NewServiceClient) -> None:
    header = basic(gateway.client, gateway.secret)["Authorization"].replace("Basic", "bASIC")

    assert ask(url, {}, Authorization=header).status_code == 200


def test_takes_the_same_name_beside_basic(url: str, gateway: NewServiceClient) -> None:
    headers = basic(gateway.client, gateway.secret)

    assert ask(url, {"client_id": "gateway"}, **headers).status_code == 200


@pytest.mark.parametrize("name", ["other", "Gateway", "gateway ", "first-party"])
def test_refuses_another_name_beside_basic(url: str, gateway: NewServiceClient, name: str) -> None:
    answer = ask(url, {"client_id": name}, **basic(gateway.client, gateway.secret))

    assert refusal(answer) == "invalid_request"


@pytest.mark.spec("RFC 6749", "2.3")
@pytest.mark.parametrize("second", ["client_secret", "client_assertion"])
def test_refuses_two_methods(url: str, gateway: NewServiceClient, second: str) -> None:
    answer = ask(url, {second: gateway.secret}, **basic(gateway.client, gateway.secret))

    assert refusal(answer) == "invalid_request"


def test_refuses_a_secret_beside_an_assertion(url: str, gateway: NewServiceClient) -> None:
    answer = ask(url, {**pair(gateway), "client_assertion": "a.b.c"})

    assert refusal(answer) == "invalid_request"


def test_refuses_an_api_key_beside_a_secret(url: str, gateway: NewServiceClient) -> None:
    answer = ask(url, pair(gateway), **{"X-API-Key": gateway.secret})

    assert refusal(answer) == "invalid_request"


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_refuses_other_methods(url: str, gateway: NewServiceClient, header: str) -> None:
    value = f"Bearer {gateway.secret}" if header == "Authorization" else gateway.secret

    answer = ask(url, {"client_id": "gateway"}, **{header: value})

    assert refusal(answer) == "invalid_client"
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_refuses_no_client(url: str) -> None:
    assert refusal(ask(url, {})) == "invalid_client"


@pytest.mark.parametrize("changes", [{"client_id": None}, {"client_secret": None}])
def test_refuses_half_a_pair(url: str, gateway: NewServiceClient, changes: Any) -> None:
    form = pair(gateway) | changes

    assert refusal(ask(url, form)) == "invalid_client"


def test_refuses_another_client_s_secret(url: str, gateway: NewServiceClient) -> None:
    other = factories.service_client("other", scopes=["introspect"])

    assert refusal(ask(url, pair(gateway) | {"client_id": other.client.client_id})) == (
        "invalid_client"
    )


@pytest.mark.parametrize("what", ["client", "key"])
def test_refuses_what_was_switched_off(url: str, gateway: NewServiceClient, what: str) -> None:
    if what == "client":
        ServiceClient.objects.update(is_active=False)
    else:
        ApiKey.objects.update(revoked_at="2026-01-01T00:00:00Z")

    assert refusal(ask(url, pair(gateway))) == "invalid_client"


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic Zm9v",  # no colon
        "Basic Og==",  # an empty pair
        basic_of(b"\xff\xfe:\xff"),
        basic_of(b"gateway:\x00"),
        basic_of(b"gateway:%00"),
        basic_of("gäteway:sécret".encode()),
        pytest.param(basic_of(b"gateway:" + b"a" * 50_000), id="long"),
    ],
)
def test_refuses_malformed_headers(url: str, gateway: NewServiceClient, header: str) -> None:
    assert refusal(ask(url, {}, Authorization=header)) == "invalid_client"


def test_ignores_credentials_in_the_address(url: str, gateway: NewServiceClient) -> None:
    query = f"?client_id=gateway&client_secret={gateway.secret}"

    assert refusal(send(ENDPOINTS[url], url=url + query)) == "invalid_client"


@pytest.mark.usefixtures("one_minute")
def test_counts_refusals_in_one_row(url: str, gateway: NewServiceClient) -> None:
    for _ in range(3):
        ask(url, pair(gateway) | {"client_secret": "wrong"})

    assert SecurityEvent.objects.get(code="client_refused").count == 3


def test_opens_no_more_than_the_key(gateway: NewServiceClient) -> None:
    narrow = create_api_key(owner=gateway.client, name="narrow", scopes=[])

    answer = ask(TOKEN_URL, pair(gateway) | {"client_secret": narrow.text})

    assert refusal(answer) == "invalid_scope"


@pytest.mark.parametrize("credentials", ["é", "%%%", basic_of(b"no colon")[6:], ""])
@pytest.mark.usefixtures("one_minute")
def test_counts_credentials_that_cannot_be_read(url: str, credentials: str) -> None:
    for _ in range(2):
        assert refusal(ask(url, {}, Authorization=f"Basic {credentials}")) == "invalid_client"

    event = SecurityEvent.objects.get(code="client_refused")
    assert (event.data["reason"], event.count) == ("malformed_credentials", 2)
