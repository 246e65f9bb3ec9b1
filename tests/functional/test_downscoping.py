"""Narrower access tokens from the same refresh token (RFC 6749 section 6), at all three doors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from accounts.models import SecurityEvent, SessionFamily
from accounts.tokens.pair import TokenPair
from tests import factories, mandates, oauth
from tests.factories import bearer
from tests.oauth import FORM
from tests.rest import OPERATIONS, code_of, operation_body, person
from tests.tokens import claims_of

pytestmark = [pytest.mark.django_db, pytest.mark.spec("RFC 6749", "6")]

Refresh = Callable[..., Any]


def by_json(token: str, **more: str) -> Any:
    body = {"refresh": token, **more}
    return Client().post("/api/v1/auth/token/refresh", body, "application/json")


def by_form(token: str, **more: str) -> Any:
    return Client().post("/token/refresh", urlencode({"refresh_token": token, **more}), FORM)


def by_oauth(token: str, **more: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "first-party"}
    return oauth.send({**form, **more})


@pytest.fixture(params=[by_json, by_form, by_oauth])
def refresh(request: pytest.FixtureRequest) -> Refresh:
    door: Refresh = request.param
    return door


@pytest.fixture
def pair() -> TokenPair:
    return factories.session_family(factories.alice(), scope="profile account")[1]


def access_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    body = answer.json()
    return str(body.get("access") or body["access_token"])


def refresh_of(answer: Any) -> str:
    body = answer.json()
    return str(body.get("refresh") or body["refresh_token"])


def test_narrows_the_access_token(refresh: Refresh, pair: TokenPair) -> None:
    answer = refresh(pair.refresh, scope="profile")

    assert claims_of(access_of(answer))["scope"] == answer.json()["scope"] == "profile"


def test_a_narrow_token_opens_no_more(refresh: Refresh, pair: TokenPair, client: Client) -> None:
    access = access_of(refresh(pair.refresh, scope="profile"))

    assert client.get("/api/v1/me", headers=bearer(access)).status_code == 200
    answer = client.get("/api/v1/me/activity", headers=bearer(access))
    assert code_of(answer) == (403, "insufficient_scope")


def test_the_chain_keeps_its_scope(refresh: Refresh, pair: TokenPair) -> None:
    successor = refresh_of(refresh(pair.refresh, scope="profile"))

    assert refresh(successor).json()["scope"] == "profile account"
    assert SessionFamily.objects.get().scope == "profile account"


def test_a_repeated_request_may_ask_for_another_part(refresh: Refresh, pair: TokenPair) -> None:
    first = refresh(pair.refresh, scope="profile")
    again = refresh(pair.refresh, scope="account")

    assert [answer.json()["scope"] for answer in (first, again)] == ["profile", "account"]
    assert claims_of(refresh_of(first)) == claims_of(refresh_of(again))


@pytest.mark.parametrize("scope", ["profile redeem", "redeem", "trigger_x", "Profile", 'pro"file'])
def test_grants_no_more_than_the_session_has(refresh: Refresh, pair: TokenPair, scope: str) -> None:
    answer = refresh(pair.refresh, scope=scope)

    assert answer.status_code == 400
    assert (answer.json().get("code") or answer.json()["error"]) == "invalid_scope"


def test_a_refused_scope_leaves_the_token_good(refresh: Refresh, pair: TokenPair) -> None:
    refresh(pair.refresh, scope="redeem")

    assert SecurityEvent.objects.get(code="refresh_refused").data == {"reason": "invalid_scope"}
    assert refresh(pair.refresh).status_code == 200


def test_a_replay_ends_the_session_whatever_scope_it_asks(
    refresh: Refresh, pair: TokenPair
) -> None:
    refresh(refresh_of(refresh(pair.refresh)))

    answer = refresh(pair.refresh, scope="redeem")

    assert (answer.json().get("code") or answer.json()["error"]) != "invalid_scope"
    assert SessionFamily.objects.get().end_reason == "replay"


@pytest.mark.parametrize("scope", ["", " "])
def test_an_empty_scope_is_none(refresh: Refresh, pair: TokenPair, scope: str) -> None:
    assert refresh(pair.refresh, scope=scope).json()["scope"] == "profile account"


def test_a_meta_scope_that_was_taken_away_cannot_be_asked_for(
    refresh: Refresh, settings: Any
) -> None:
    settings.ENVIRONMENT = "production"
    alice = factories.alice(may_ask_for=["savings"])
    _, pair = factories.session_family(alice, scope="profile savings")
    alice.groups.clear()

    assert refresh(pair.refresh, scope="savings").status_code == 400
    assert refresh(pair.refresh).json()["scope"] == "profile"


class TestExchange:
    """A subject token that was narrowed buys nothing that it does not name."""

    @pytest.fixture
    def world(self) -> mandates.Savings:
        return mandates.savings()

    def narrowed(self, world: mandates.Savings, scope: str) -> str:
        both = f"profile {mandates.META_SCOPE}"
        _, pair = factories.session_family(world.alice, scope=both)
        return access_of(by_json(pair.refresh, scope=scope))

    def test_without_the_meta_scope_it_is_refused(self, world: mandates.Savings) -> None:
        answer = oauth.buy(world, self.narrowed(world, "profile"))

        assert oauth.refusal(answer) == "invalid_scope"

    def test_with_a_meta_scope_that_was_taken_away_meanwhile_it_is_refused(
        self, world: mandates.Savings, settings: Any
    ) -> None:
        """An access token lives for minutes, what it buys for a year."""
        settings.ENVIRONMENT = "production"
        tokens = [mandates.subject_token(world) for _ in range(2)]
        assert oauth.buy(world, tokens[0]).status_code == 200

        world.alice.groups.clear()

        assert oauth.refusal(oauth.buy(world, tokens[1])) == "invalid_scope"

    def test_with_the_meta_scope_alone_it_buys(self, world: mandates.Savings) -> None:
        answer = oauth.buy(world, self.narrowed(world, mandates.META_SCOPE))

        assert answer.status_code == 200
        assert claims_of(answer.json()["access_token"])["scope"] == "savings.deposit"

    def test_the_built_in_trigger_refuses_it_too(self, world: mandates.Savings) -> None:
        answer = person(world.alice, scope="profile").post(OPERATIONS, operation_body())

        assert code_of(answer) == (403, "insufficient_scope")
        assert mandates.META_SCOPE in answer.headers["WWW-Authenticate"]

    @pytest.mark.parametrize("scope", ["profile", "savings.withdraw", "savings.deposit profile"])
    def test_no_other_scope_than_the_types_is_for_sale(
        self, world: mandates.Savings, scope: str
    ) -> None:
        assert oauth.refusal(oauth.buy(world, scope=scope)) == "invalid_scope"
