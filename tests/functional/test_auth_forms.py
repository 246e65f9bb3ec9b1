"""POST /token and /token/refresh as forms, and GET /users/me."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.factories import bearer

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"
MEMBERS = {"access_token", "refresh_token", "token_type", "expires_in", "scope"}


@pytest.fixture(autouse=True)
def keys() -> None:
    ensure_signing_keys()


def post(client: Client, url: str, *pairs: tuple[str, str], **headers: str) -> Any:
    return client.post(url, urlencode(pairs), content_type=FORM, headers=headers)


def sign_in(client: Client) -> Any:
    factories.alice()
    return post(client, "/token", ("username", "alice"), ("password", factories.PASSWORD))


def test_signs_in(client: Client) -> None:
    answer = sign_in(client)

    assert answer.status_code == 200
    assert answer.json().keys() == MEMBERS


def test_says_who_one_is(client: Client) -> None:
    access = sign_in(client).json()["access_token"]

    answer = client.get("/users/me", headers=bearer(access))

    assert answer.json()["username"] == "alice"


def test_refreshes_by_form(client: Client) -> None:
    refresh = sign_in(client).json()["refresh_token"]

    answer = post(client, "/token/refresh", ("refresh_token", refresh))

    assert answer.status_code == 200
    assert answer.json().keys() == MEMBERS


def test_refreshes_by_bearer(client: Client) -> None:
    refresh = sign_in(client).json()["refresh_token"]

    answer = client.post("/token/refresh", headers=bearer(refresh), content_type=FORM)

    assert answer.status_code == 200


def test_refuses_both_ways_at_once(client: Client) -> None:
    refresh = sign_in(client).json()["refresh_token"]

    answer = post(client, "/token/refresh", ("refresh_token", refresh), **bearer(refresh))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_refuses_neither_way(client: Client) -> None:
    answer = post(client, "/token/refresh")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/refresh_token"


def test_refuses_a_parameter_twice(client: Client) -> None:
    answer = post(client, "/token", ("username", "alice"), ("username", "bob"))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_refuses_a_wrong_password(client: Client) -> None:
    answer = post(client, "/token", ("username", "alice"), ("password", "wrong password"))

    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")


@pytest.mark.parametrize("url", ["/token", "/token/refresh"])
def test_refuses_json(client: Client, url: str) -> None:
    assert client.post(url, {}, content_type="application/json").status_code == 415
