"""Volume limits of the sign-in API (accounts.limits)."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from accounts.errors import RateLimited
from accounts.limits import Limit, check_limit
from accounts.models import RateCounter, RequestContext, SecurityEvent
from tests import factories

pytestmark = pytest.mark.django_db
JSON = "application/json"
LIMIT = Limit("tested", "RATE_LIMIT_TESTED")


@pytest.fixture(autouse=True)
def limits_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the limits on, in a window that does not end during a test."""
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_TESTED = ((3, 60),)
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1.8e9))


def tries(client: Client, url: str, count: int, body: Any, **how: Any) -> list[int]:
    how = {"content_type": JSON} | how
    return [client.post(url, body, **how).status_code for _ in range(count)]


@pytest.mark.parametrize("username", ["alice", "nobody"])
def test_limits_sign_ins_by_address(client: Client, username: str) -> None:
    factories.alice()
    body = {"username": username, "password": "another passphrase"}

    answers = tries(client, "/api/v1/auth/token", 12, body)

    assert answers == [401] * 10 + [429] * 2


def test_says_when_to_come_back(client: Client) -> None:
    body = {"username": "alice", "password": "another passphrase"}
    tries(client, "/api/v1/auth/token", 10, body)

    answer = client.post("/api/v1/auth/token", body, content_type=JSON)

    assert answer.json()["code"] == "rate_limited"
    wait = int(answer.headers["Retry-After"])
    assert 1 <= wait <= 60
    assert answer.headers["RateLimit"] == f'"sign-in";r=0;t={wait}'
    assert '"sign-in";q=10;w=60' in answer.headers["RateLimit-Policy"].split(", ")


def test_refuses_before_a_right_password_is_looked_at(client: Client) -> None:
    factories.alice()
    wrong = {"username": "alice", "password": "another passphrase"}
    tries(client, "/api/v1/auth/token", 10, wrong)

    right = wrong | {"password": factories.PASSWORD}

    assert tries(client, "/api/v1/auth/token", 1, right) == [429]


def test_counts_forms_and_json_together(client: Client) -> None:
    body = {"username": "alice", "password": "another passphrase"}
    tries(client, "/api/v1/auth/token", 10, body)

    form = "username=alice&password=another"
    how = {"content_type": "application/x-www-form-urlencoded"}

    assert tries(client, "/token", 1, form, **how) == [429]


def test_limits_registrations(client: Client) -> None:
    assert tries(client, "/api/v1/auth/register", 6, {}) == [400] * 5 + [429]


def test_limits_refreshes(client: Client, settings: Any) -> None:
    settings.RATE_LIMIT_REFRESH = ((3, 60),)

    answers = tries(client, "/api/v1/auth/token/refresh", 4, {"refresh": "strange"})

    assert answers == [401] * 3 + [429]


def test_lets_others_in(client: Client, settings: Any) -> None:
    tries(client, "/api/v1/auth/register", 6, {})

    assert tries(client, "/api/v1/auth/register", 1, {}, REMOTE_ADDR="192.0.2.9") == [400]


def test_believes_no_header_about_the_address(client: Client) -> None:
    for number in range(5):
        headers = {"X-Forwarded-For": f"192.0.2.{number}"}
        tries(client, "/api/v1/auth/register", 1, {}, headers=headers)

    assert tries(client, "/api/v1/auth/register", 1, {}) == [429]


def test_records_the_first_refusal_of_a_window(client: Client) -> None:
    tries(client, "/api/v1/auth/register", 15, {})

    event = SecurityEvent.objects.get(code="rate_limited")
    assert (event.data, event.count) == ({"reason": "expensive"}, 1)


def test_can_be_turned_off(client: Client, settings: Any) -> None:
    settings.RATE_LIMITS = False

    assert tries(client, "/api/v1/auth/register", 12, {}) == [400] * 12
    assert not RateCounter.objects.exists()


def allowed(address: str) -> bool:
    try:
        check_limit(LIMIT, context=RequestContext(address))
    except RateLimited:
        return False
    return True


def test_counts_a_customers_ipv6_addresses_together() -> None:
    answers = [allowed(f"2001:db8::{number}") for number in range(1, 5)]

    assert answers == [True, True, True, False]
    assert allowed("2001:db8:0:1::1")
