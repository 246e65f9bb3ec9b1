"""Scopes: who may ask for which, what a token without one meets, and where meta-scopes stay out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from accounts.scopes import ACCOUNT, PROFILE, USER_SCOPES
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories, meta_scopes
from tests.endpoints import Endpoint, endpoints
from tests.factories import bearer
from tests.rest import Caller, code_of, machine, person

pytestmark = pytest.mark.django_db

META = "trigger_continuous_savings"
SCOPED = [each for each in endpoints() if each.scopes]
# They end or renew the very session that the token is of, and nothing else of the account.
OWN_SESSION = {"/api/v1/auth/logout", "/api/v1/auth/step-up"}


@pytest.fixture
def meta_scope() -> Iterator[None]:
    ensure_signing_keys()
    with meta_scopes.of(META, "trigger_transfers"):
        yield


def ask(caller: Caller, endpoint: Endpoint) -> Any:
    return caller.client.generic(
        endpoint.method,
        endpoint.path,
        "{}",
        content_type="application/json",
        headers={**caller.headers, "Idempotency-Key": "k"},
    )


def names_the_scope(answer: Any, scope: str) -> bool:
    challenge = answer.headers.get("WWW-Authenticate", "")
    told = f'error="insufficient_scope", scope="{scope}"' in challenge
    return told and scope in answer.json()["detail"]


class TestMissingScope:
    def test_there_are_endpoints_to_walk(self) -> None:
        assert {scope for each in SCOPED for scope in each.scopes} >= {PROFILE, ACCOUNT, "redeem"}

    @pytest.mark.parametrize("endpoint", SCOPED, ids=str)
    def test_is_named(self, endpoint: Endpoint) -> None:
        (scope,) = endpoint.scopes
        if endpoint.is_for_machines:
            caller = machine(factories.service_client("poor", scopes=[]))
        else:
            rest = " ".join(sorted(USER_SCOPES.keys() - {scope}))
            caller = person(factories.alice(), scope=rest)

        answer = ask(caller, endpoint)

        assert code_of(answer) == (403, "insufficient_scope")
        assert names_the_scope(answer, scope), answer.headers


class TestMetaScopes:
    def test_no_default_sign_in_holds_one(self, client: Client, meta_scope: None) -> None:
        factories.alice(may_ask_for=[META])

        answer = client.post(
            "/api/v1/auth/token",
            {"username": "alice", "password": factories.PASSWORD},
            "application/json",
        )

        assert answer.json()["scope"] == "profile account"

    def test_the_account_does_not_come_along(self, client: Client, meta_scope: None) -> None:
        factories.alice(may_ask_for=[META])

        answer = client.post(
            "/api/v1/auth/token",
            {
                "username": "alice",
                "password": factories.PASSWORD,
                "scope": f"profile account {META}",
            },
            "application/json",
        )

        assert answer.json()["scope"] == f"profile {META}"

    @pytest.mark.parametrize(
        "endpoint",
        [
            each
            for each in endpoints()
            if not each.is_safe
            and each.view.__module__.startswith("accounts.")
            and each.view.authentication_classes
            and each.path not in OWN_SESSION
        ],
        ids=str,
    )
    def test_a_token_with_one_writes_nothing(self, endpoint: Endpoint) -> None:
        caller = person(factories.alice(), scope=f"profile {META}")

        answer = ask(caller, endpoint)

        assert code_of(answer) == (403, "insufficient_scope")
        assert names_the_scope(answer, ACCOUNT)


class TestRegistry:
    URL = "/api/v1/scopes"

    def names(self, answer: Any) -> list[str]:
        assert answer.status_code == 200, answer.content
        return [scope["name"] for scope in answer.json()]

    def test_lists_what_everybody_may_ask_for(self, client: Client) -> None:
        answer = person(factories.alice(), scope="profile").get(self.URL)

        assert answer.json() == [
            {"name": name, "description": USER_SCOPES[name], "in_default": True}
            for name in ("profile", "account")
        ]

    def test_lists_the_meta_scopes_of_ones_groups(self, meta_scope: None) -> None:
        alice = factories.alice(may_ask_for=[META, "a group that is no scope"])

        answer = person(alice, scope="profile").get(self.URL)

        assert self.names(answer) == ["profile", "account", META]
        assert answer.json()[-1]["description"] == "A meta-scope of a test."
        assert answer.json()[-1]["in_default"] is False

    def test_lists_no_meta_scope_that_nothing_offers(self) -> None:
        alice = factories.alice(may_ask_for=["trigger_gone"])

        assert self.names(person(alice, scope="profile").get(self.URL)) == ["profile", "account"]

    def test_in_development_everybody_may_ask_for_all(
        self, meta_scope: None, settings: Any
    ) -> None:
        settings.ENVIRONMENT = "development"

        answer = person(factories.bob(), scope="profile").get(self.URL)

        assert META in self.names(answer)

    def test_whatever_it_lists_can_be_had(self, client: Client, meta_scope: None) -> None:
        alice = factories.alice(may_ask_for=[META])
        listed = self.names(person(alice, scope="profile").get(self.URL))

        for scope in listed:
            body = {"username": "alice", "password": factories.PASSWORD, "scope": scope}
            answer = client.post("/api/v1/auth/token", body, "application/json")
            assert scope in answer.json()["scope"].split()

    def test_is_for_people(self, client: Client) -> None:
        assert code_of(client.get(self.URL)) == (401, "not_authenticated")
        gateway = machine(factories.service_client())
        assert code_of(gateway.get(self.URL))[0] in {401, 403}

    def test_wants_a_token_of_this_api(self, client: Client) -> None:
        factories.service_client("other", audience="https://other.example/")
        token = factories.access_token_for(factories.alice(), audience="https://other.example/")

        assert client.get(self.URL, headers=bearer(token)).status_code == 401
