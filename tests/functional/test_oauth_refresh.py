"""POST /oauth/token with grant_type=refresh_token, for the public first-party client and others."""

from typing import Any

import pytest
from django.utils.timezone import now

from accounts.models import EndReason, SecurityEvent, SessionFamily, User
from accounts.services.create_service_client import NewServiceClient
from accounts.services.verify_access_token import verify_access_token
from accounts.tokens.refresh import RefreshToken
from tests import factories, mandates
from tests.oauth import refusal, send
from tests.tokens import claims_of

pytestmark = pytest.mark.django_db

GRANT = {"grant_type": "refresh_token"}
FIRST_PARTY = {**GRANT, "client_id": "first-party"}


@pytest.fixture
def token() -> str:
    return factories.session_family(factories.alice())[1].refresh


@pytest.fixture
def gateway() -> NewServiceClient:
    return factories.service_client("gateway", scopes=["introspect"])


def refresh(token: str, **headers: str) -> Any:
    return send({**FIRST_PARTY, "refresh_token": token}, headers=headers)


def test_answers_a_new_pair(token: str) -> None:
    answer = refresh(token)

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"access_token", "refresh_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == (
        "Bearer",
        900,
        "profile account",
    )
    verify_access_token(body["access_token"])
    assert claims_of(body["refresh_token"])["jti"] != claims_of(token)["jti"]


def test_answers_a_retry_with_the_same_successor(token: str) -> None:
    first, again = refresh(token), refresh(token)

    names = {claims_of(answer.json()["refresh_token"])["jti"] for answer in (first, again)}
    assert len(names) == 1


def test_knows_a_retry_by_its_key(token: str) -> None:
    key = {"Idempotency-Key": "key-1"}
    refresh(token, **key, **{"User-Agent": "one"})

    assert refresh(token, **key, **{"User-Agent": "another"}).status_code == 200


def test_ends_the_session_of_a_replayed_token(token: str) -> None:
    successor = refresh(token).json()["refresh_token"]

    assert refusal(refresh(token, **{"User-Agent": "thief"})) == "invalid_grant"
    assert refusal(refresh(successor)) == "invalid_grant"
    assert SessionFamily.objects.get().end_reason == EndReason.REPLAY


def test_refuses_a_disabled_person(token: str) -> None:
    User.objects.update(is_active=False)

    assert refusal(refresh(token)) == "invalid_grant"


@pytest.mark.parametrize("change", [" ", "\n", "x"])
def test_compares_tokens_as_sent(token: str, change: str) -> None:
    assert refusal(refresh(token + change)) == "invalid_grant"


@pytest.mark.parametrize("kind", ["access", "operation", "noise"])
def test_refuses_other_tokens(kind: str) -> None:
    world = mandates.savings()
    tokens = {
        "access": mandates.subject_token(world),
        "operation": mandates.issue(world).token,
        "noise": "a.b.c",
    }

    assert refusal(refresh(tokens[kind])) == "invalid_grant"


def test_records_that_somebody_refreshes_too_often(settings: Any) -> None:
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_REFRESH = ((1, 3600),)

    answers = [refresh("noise").status_code for _ in range(4)]

    assert answers == [400, 429, 429, 429]
    event = SecurityEvent.objects.get(code="rate_limited")
    assert (event.data, event.count) == ({"reason": "refresh"}, 1)


def test_names_the_missing_token() -> None:
    answer = send(FIRST_PARTY)

    assert refusal(answer) == "invalid_request"
    assert "refresh_token" in answer.json()["error_description"]


def test_refuses_no_client(token: str) -> None:
    assert refusal(send({**GRANT, "refresh_token": token})) == "invalid_client"


def test_gives_the_public_client_no_other_grant() -> None:
    answer = send({"grant_type": "client_credentials", "client_id": "first-party"})

    assert refusal(answer) == "invalid_client"


def test_lets_no_secret_prove_the_public_client(token: str, gateway: NewServiceClient) -> None:
    form = {**FIRST_PARTY, "refresh_token": token, "client_secret": gateway.secret}

    assert refusal(send(form)) == "invalid_client"


def test_lets_no_other_client_be_the_public_one(token: str, gateway: NewServiceClient) -> None:
    answer = send({**FIRST_PARTY, "refresh_token": token}, by=gateway)

    assert refusal(answer) == "invalid_request"


def test_refuses_another_client_s_token(token: str, gateway: NewServiceClient) -> None:
    answer = send({**GRANT, "refresh_token": token}, by=gateway)

    assert refusal(answer) == "invalid_grant"
    assert refresh(token).status_code == 200


def test_serves_the_client_of_the_session(gateway: NewServiceClient) -> None:
    family, pair = factories.session_family(factories.alice())
    family.client_id = "gateway"
    family.save()
    token = str(
        RefreshToken.for_family(family, jti=claims_of(pair.refresh)["jti"], issued_at=now())
    )

    assert refusal(refresh(token)) == "invalid_grant"
    assert send({**GRANT, "refresh_token": token}, by=gateway).status_code == 200
