"""POST /api/v1/auth/token/refresh."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import EndReason, SecurityEvent, SessionFamily, User
from tests import factories
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/token/refresh"


@pytest.fixture
def refresh_token() -> str:
    return factories.session_family(factories.alice())[1].refresh


def refresh(client: Client, token: str, **headers: str) -> Any:
    return client.post(URL, {"refresh": token}, content_type="application/json", headers=headers)


def refused(answer: Any) -> bool:
    return (answer.status_code, answer.json()["code"]) == (401, "token_not_valid")


def test_answers_a_new_pair(client: Client, refresh_token: str) -> None:
    answer = refresh(client, refresh_token)

    assert answer.status_code == 200
    assert answer.json().keys() == {"access", "refresh", "token_type", "expires_in", "scope"}
    assert claims_of(answer.json()["refresh"])["jti"] != claims_of(refresh_token)["jti"]


def test_stays_in_its_family(client: Client, refresh_token: str) -> None:
    access = refresh(client, refresh_token).json()["access"]

    assert claims_of(access)["sid"] == claims_of(refresh_token)["sid"]
    assert SessionFamily.objects.count() == 1


def test_signs_the_same_successor_again(client: Client, refresh_token: str) -> None:
    first = refresh(client, refresh_token).json()["refresh"]
    second = refresh(client, refresh_token).json()["refresh"]

    assert claims_of(first) == claims_of(second)


def test_signs_it_again_for_another_agent_with_the_same_key(
    client: Client, refresh_token: str
) -> None:
    first = refresh(client, refresh_token, user_agent="a", idempotency_key="k1")
    second = refresh(client, refresh_token, user_agent="b", idempotency_key="k1")

    assert second.status_code == 200
    assert claims_of(first.json()["refresh"]) == claims_of(second.json()["refresh"])


def test_takes_another_agent_for_a_thief(client: Client, refresh_token: str) -> None:
    refresh(client, refresh_token, user_agent="a")

    assert refused(refresh(client, refresh_token, user_agent="b"))
    assert SessionFamily.objects.get().end_reason == EndReason.REPLAY


def test_ends_the_family_at_a_replay(client: Client, refresh_token: str) -> None:
    successor = refresh(client, refresh_token).json()["refresh"]
    newest = refresh(client, successor).json()

    assert refused(refresh(client, refresh_token))
    assert refused(refresh(client, newest["refresh"]))
    answer = client.get("/api/v1/me", headers=factories.bearer(newest["access"]))
    assert answer.status_code == 401


def test_records_a_replay_once(client: Client, refresh_token: str) -> None:
    refresh(client, refresh(client, refresh_token).json()["refresh"])

    for _ in range(3):
        refresh(client, refresh_token)

    event = SecurityEvent.objects.get(code="refresh_replayed")
    assert event.user == User.objects.get()
    assert claims_of(refresh_token)["jti"] not in str(event.data)


def test_records_no_success(client: Client, refresh_token: str) -> None:
    before = SecurityEvent.objects.count()

    refresh(client, refresh_token)

    assert SecurityEvent.objects.count() == before


def test_refuses_an_ended_family(client: Client, refresh_token: str) -> None:
    client.post("/api/v1/auth/logout", {"refresh": refresh_token}, content_type="application/json")

    assert refused(refresh(client, refresh_token))


def test_refuses_a_disabled_person(client: Client, refresh_token: str) -> None:
    User.objects.update(is_active=False)

    assert refused(refresh(client, refresh_token))


def test_refuses_an_access_token(client: Client) -> None:
    assert refused(refresh(client, factories.access_token_for(factories.alice())))


@pytest.mark.parametrize("spelled", ["{} ", " {}", "{}\n"])
def test_takes_a_token_as_sent(client: Client, refresh_token: str, spelled: str) -> None:
    assert refused(refresh(client, spelled.format(refresh_token)))


def test_names_the_member_that_is_absent(client: Client) -> None:
    answer = client.post(URL, {}, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/refresh"
