"""GET /api/v1/me, POST /api/v1/auth/token/verify and /api/v1/auth/logout."""

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client

from accounts.models import EndReason, SecurityEvent, SessionFamily
from tests import factories
from tests.factories import bearer

pytestmark = pytest.mark.django_db
JSON = "application/json"


def verify(client: Client, token: str) -> Any:
    return client.post("/api/v1/auth/token/verify", {"token": token}, content_type=JSON)


def log_out(client: Client, body: dict[str, str], headers: dict[str, str] | None = None) -> int:
    answer = client.post("/api/v1/auth/logout", body, content_type=JSON, headers=headers)
    return answer.status_code


def test_says_who_one_is(client: Client) -> None:
    alice = factories.alice()

    answer = client.get("/api/v1/me", headers=bearer(factories.access_token_for(alice)))

    assert answer.status_code == 200
    assert answer.json()["id"] == alice.public_id
    assert answer.json()["username"] == "alice"


def test_verifies_an_access_token(client: Client, settings: Any) -> None:
    alice = factories.alice()

    answer = verify(client, factories.access_token_for(alice))

    assert answer.status_code == 200
    assert answer.json()["sub"] == alice.public_id
    assert answer.json()["aud"] == settings.ISSUER_URL
    assert answer.json()["scope"] == "profile account"


def test_does_not_verify_a_refresh_token(client: Client) -> None:
    _, pair = factories.session_family(factories.alice())

    assert verify(client, pair.refresh).status_code == 401


def test_does_not_verify_a_token_for_others(client: Client) -> None:
    token = factories.access_token_for(factories.alice(), audience="https://savings.example/")

    assert verify(client, token).status_code == 401


def test_logs_out_by_refresh_token(client: Client) -> None:
    family, pair = factories.session_family(factories.alice())

    assert log_out(client, {"refresh": pair.refresh}) == 204

    family.refresh_from_db()
    assert family.end_reason == EndReason.LOGOUT
    assert SecurityEvent.objects.filter(code="session_ended", user=family.user).count() == 1


def test_logs_out_by_access_token(client: Client) -> None:
    alice = factories.alice()
    _, pair = factories.session_family(alice)
    other, _ = factories.session_family(alice)

    assert log_out(client, {}, bearer(pair.access)) == 204

    assert list(SessionFamily.objects.not_ended()) == [other]


def test_logs_out_twice(client: Client) -> None:
    _, pair = factories.session_family(factories.alice())

    assert [log_out(client, {"refresh": pair.refresh}) for _ in range(2)] == [204, 204]
    assert SecurityEvent.objects.filter(code="session_ended").count() == 1


def test_ends_nothing_by_a_strange_token(client: Client) -> None:
    factories.session_family(factories.alice())

    assert log_out(client, {"refresh": "strange"}) == 204
    assert SessionFamily.objects.not_ended().count() == 1


def test_refuses_to_log_out_nobody(client: Client) -> None:
    assert log_out(client, {}) == 401


def test_answers_503_without_a_database(client: Client) -> None:
    token = factories.access_token_for(factories.alice())

    def away(*_: Any) -> None:
        raise OperationalError("the database is away")

    with connection.execute_wrapper(away):
        answer = client.get("/api/v1/me", headers=bearer(token))

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")


def test_logs_out_by_refresh_token_beside_a_bearer_token_that_expired(client: Client) -> None:
    _, pair = factories.session_family(factories.alice())

    assert log_out(client, {"refresh": pair.refresh}, bearer("expired")) == 204

    assert not SessionFamily.objects.not_ended().exists()


def test_refuses_to_log_out_by_a_bad_bearer_token(client: Client) -> None:
    assert log_out(client, {}, bearer("expired")) == 401
