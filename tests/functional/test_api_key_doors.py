"""What a person's API key opens (reading, within its scopes) and what it never opens."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from django.utils import timezone
from rest_framework.permissions import AllowAny

from accounts.models import ApiKey, SecurityEvent, User
from accounts.services.create_api_key import create_api_key
from accounts.services.create_service_client import NewServiceClient
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories, mandates
from tests.oauth import (
    ACCESS_TOKEN,
    EXCHANGE,
    INTROSPECT_URL,
    TOKEN_URL,
    details,
    refusal,
    send,
)
from tests.rest import OPERATIONS, Caller, operation_body, same_words

pytestmark = pytest.mark.django_db

ME = "/api/v1/me"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def person() -> User:
    ensure_signing_keys()
    return factories.user("alice", may_ask_for=[mandates.META_SCOPE])


def key_of(person: User, **changes: Any) -> str:
    terms: dict[str, Any] = {
        "name": "all",
        "scopes": ["profile", "account"],
        "expires_at": timezone.now() + timedelta(days=1),
    }
    return create_api_key(owner=person, **(terms | changes)).text


def caller_with(text: str) -> Caller:
    return Caller({"X-API-Key": text})


def addresses_behind_a_door() -> list[str]:
    """Return the path of each REST view that lets nobody pass without a credential."""
    patterns = [
        pattern
        for included in get_resolver().url_patterns
        for pattern in getattr(included, "url_patterns", [])
        if isinstance(pattern, URLPattern) and str(pattern.pattern).startswith(("api/v1/", "users"))
    ]
    views = {f"/{p.pattern}": getattr(p.callback, "cls", None) for p in patterns}
    return [path for path, view in views.items() if view and is_closed(view)]


def is_closed(view: Any) -> bool:
    return bool(view.authentication_classes) and AllowAny not in view.permission_classes


class TestOpens:
    def test_who_one_is(self, person: User) -> None:
        assert caller_with(key_of(person)).get(ME).json()["username"] == "alice"

    @pytest.mark.parametrize(
        "path", [f"{ME}/api-keys", f"{ME}/activity", f"{ME}/sessions", OPERATIONS]
    )
    def test_what_its_scopes_let_it_read(self, person: User, path: str) -> None:
        assert caller_with(key_of(person)).get(path).status_code == 200

    def test_no_more_than_its_scopes(self, person: User) -> None:
        narrow = caller_with(key_of(person, scopes=["profile"]))

        answer = narrow.get(f"{ME}/api-keys")
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")

    def test_no_more_than_people_may_have(self, person: User) -> None:
        """Whatever its row says: a meta-scope or a client's scope there opens nothing."""
        text = key_of(person)
        ApiKey.objects.update(scopes=[mandates.META_SCOPE, "introspect", "token_exchange"])

        answers = [caller_with(text).get(path) for path in (ME, OPERATIONS)]

        assert {answer.json()["code"] for answer in answers} == {"insufficient_scope"}


class TestChangesNothing:
    @pytest.mark.parametrize("path", addresses_behind_a_door())
    def test_anywhere(self, person: User, path: str) -> None:
        headers = {"X-API-Key": key_of(person)}
        for method in UNSAFE:
            client = Client(raise_request_exception=False)
            answer = client.generic(method, path, b"{}", "application/json", headers=headers)
            assert answer.status_code in {401, 403}, (method, answer.content)
            assert answer.json()["code"] in {"api_key_only_reads", "not_authenticated"}

    def test_of_operations(self, person: User) -> None:
        answer = caller_with(key_of(person)).post(OPERATIONS, operation_body())

        assert (answer.status_code, answer.json()["code"]) == (403, "api_key_only_reads")


class TestIsNoOtherCredential:
    def test_is_no_client_s_secret(self, person: User) -> None:
        text = key_of(person)
        for name in ("alice", person.public_id, "first-party"):
            form = {"grant_type": "client_credentials", "client_id": name, "client_secret": text}
            assert refusal(send(form)) == "invalid_client"

    def test_is_no_password_of_http_basic(self, person: User) -> None:
        new = factories.service_client("gateway", scopes=["introspect"])
        headers = factories.basic(new.client, key_of(person))

        assert Caller(headers).get(OPERATIONS).json()["code"] == "invalid_client"

    def test_is_no_bearer_token(self, person: User) -> None:
        answer = Caller(factories.bearer(key_of(person))).get(ME)

        assert (answer.status_code, answer.json()["code"]) == (401, "token_not_valid")

    def test_buys_no_operation_token(self) -> None:
        world = mandates.savings()
        form = {
            "grant_type": EXCHANGE,
            "subject_token": key_of(world.alice),
            "subject_token_type": ACCESS_TOKEN,
            "audience": "https://savings.example/",
            "scope": "savings.deposit",
            "authorization_details": details(),
        }

        assert refusal(send(form, by=world.trigger)) == "invalid_request"
        key = {"X-API-Key": key_of(world.alice)}
        assert refusal(send({**form, "client_id": "trigger"}, headers=key)) == "invalid_client"

    def test_is_inactive_to_who_introspects(self, person: User) -> None:
        gateway = factories.service_client("gateway", scopes=["introspect"])

        answer = send({"token": key_of(person)}, by=gateway, url=INTROSPECT_URL)

        assert answer.json() == {"active": False}

    def test_is_no_refresh_token(self, person: User) -> None:
        form = {"grant_type": "refresh_token", "client_id": "first-party"}

        assert refusal(send({**form, "refresh_token": key_of(person)})) == "invalid_grant"

    def test_comes_alone(self, person: User) -> None:
        both = {"X-API-Key": key_of(person), **factories.bearer(factories.access_token_for(person))}

        assert Caller(both).get(ME).status_code == 400


def freeze(person: User) -> None:
    User.objects.update(is_active=False, frozen_at=timezone.now())


CLOSED: dict[str, Callable[[User], object]] = {
    "revoked": lambda _: ApiKey.objects.update(revoked_at=timezone.now()),
    "expired": lambda _: ApiKey.objects.update(
        created_at=timezone.now() - timedelta(days=2), expires_at=timezone.now()
    ),
    "of somebody inactive": lambda _: User.objects.update(is_active=False),
    "of somebody frozen": freeze,
    "from another network": lambda _: ApiKey.objects.update(allowed_networks=["192.0.2.0/24"]),
    "another secret's": lambda _: ApiKey.objects.update(secret_digest="0" * 64),
    "of somebody gone": lambda person: person.delete(),
}


@pytest.mark.parametrize("how", CLOSED)
def test_gives_every_closed_key_one_answer(person: User, how: str) -> None:
    text = key_of(person)
    caller = caller_with(text)
    assert caller.get(ME).status_code == 200
    CLOSED[how](person)

    answers = [caller.get(ME), caller_with("nonsense").get(ME), caller_with(f"{text}x").get(ME)]

    assert {answer.status_code for answer in answers} == {401}
    first, *others = (same_words(answer.json()) for answer in answers)
    assert others == [first] * 2
    assert first["code"] == "invalid_client"
    challenges = {answer.headers["WWW-Authenticate"] for answer in answers}
    assert len(challenges) == 1


@pytest.mark.parametrize("how", CLOSED)
@pytest.mark.usefixtures("one_minute")
def test_counts_every_refusal_once(person: User, how: str) -> None:
    text = key_of(person)
    CLOSED[how](person)

    for _ in range(3):
        caller_with(text).get(ME)

    assert SecurityEvent.objects.get(code="client_refused").count == 3


@pytest.mark.parametrize(
    ("address", "status"),
    [("192.0.2.7", 200), ("::ffff:192.0.2.7", 200), ("192.0.3.7", 401), ("2001:db8::1", 401)],
)
def test_opens_from_its_networks_alone(person: User, address: str, status: int) -> None:
    client = Client(REMOTE_ADDR=address)
    headers = {"X-API-Key": key_of(person, networks=["192.0.2.0/24", "198.51.100.1"])}

    assert client.get(ME, headers=headers).status_code == status


def test_believes_no_forwarded_address(person: User) -> None:
    headers = {"X-API-Key": key_of(person, networks=["192.0.2.0/24"])}

    answer = Client().get(ME, headers=headers | {"X-Forwarded-For": "192.0.2.7"})

    assert answer.status_code == 401


class TestClients:
    """Networks and expiry hold for clients' secrets, however these are shown."""

    @pytest.fixture
    def gateway(self) -> NewServiceClient:
        ensure_signing_keys()
        return factories.service_client("gateway", scopes=["introspect"])

    def show(self, new: NewServiceClient) -> set[int]:
        form = {"grant_type": "client_credentials"}
        pair = {"client_id": new.client.client_id, "client_secret": new.secret}
        return {
            send(form, by=new).status_code,
            send({**form, **pair}, url=TOKEN_URL).status_code,
            send({"token": "x"}, by=new, url=INTROSPECT_URL).status_code,
        }

    def test_open_from_their_networks_alone(self, gateway: NewServiceClient) -> None:
        ApiKey.objects.update(allowed_networks=["127.0.0.0/8"])
        assert self.show(gateway) == {200}

        ApiKey.objects.update(allowed_networks=["192.0.2.0/24"])
        assert self.show(gateway) == {401}

    def test_open_until_they_expire(self, gateway: NewServiceClient) -> None:
        then = timezone.now() - timedelta(days=2)
        ApiKey.objects.update(created_at=then, expires_at=then + timedelta(days=1))

        assert self.show(gateway) == {401}
