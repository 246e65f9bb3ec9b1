"""Statement budgets of accounts, with few and with many rows."""

import pytest
from django.test import Client

from accounts.models import SessionFamily
from accounts.services.authenticate_client import authenticate_client
from accounts.services.refresh_session import refresh_session
from tests import factories
from tests.budgets import ROWS, budget, multiply

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture(params=ROWS)
def family(request: pytest.FixtureRequest) -> tuple[SessionFamily, str, str]:
    """A session among so many others."""
    family, pair = factories.session_family(factories.alice())
    multiply(family, request.param, unique={})
    return family, pair.access, pair.refresh


def test_verify_needs_one(client: Client, family: tuple[SessionFamily, str, str]) -> None:
    body = {"token": family[1]}

    with budget(1):
        answer = client.post("/api/v1/auth/token/verify", body, content_type=JSON)

    assert answer.status_code == 200


def test_verify_of_a_meta_scope_needs_one(client: Client) -> None:
    """Whether it is its person's still is asked in the same statement."""
    alice = factories.alice(may_ask_for=["savings"])
    access = factories.access_token_for(alice, scope="profile savings")

    with budget(1):
        answer = client.post("/api/v1/auth/token/verify", {"token": access}, content_type=JSON)

    assert answer.json()["scope"] == "profile savings"


def test_me_needs_one(client: Client, family: tuple[SessionFamily, str, str]) -> None:
    with budget(1):
        answer = client.get("/api/v1/me", headers=factories.bearer(family[1]))

    assert answer.status_code == 200


def test_refresh_needs_two(family: tuple[SessionFamily, str, str]) -> None:
    with budget(2):
        refresh_session(token=family[2])
    with budget(2):
        refresh_session(token=family[2])


def test_refresh_of_a_meta_scope_needs_three() -> None:
    _, pair = factories.session_family(factories.alice(), scope="savings")

    with budget(3):
        refresh_session(token=pair.refresh)


def test_authenticating_a_client_needs_one() -> None:
    new = factories.service_client()

    with budget(1):
        authenticate_client(client_id="gateway", client_secret=new.secret)
