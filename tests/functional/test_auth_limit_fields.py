"""RateLimit and RateLimit-Policy on every answer of a limited address."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client

from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.oauth import FORM

pytestmark = pytest.mark.django_db
JSON = "application/json"
SIGN_IN = "/api/v1/auth/token"
POLICIES = {
    '"sign-in";q=3;w=60',
    '"anonymous-h";q=5;w=3600',
    '"anonymous-d";q=8;w=86400',
}


@pytest.fixture(autouse=True)
def limits_on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn the limits on, in windows that do not end during a test."""
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_SIGN_IN = ((3, 60),)
    settings.RATE_LIMIT_EXPENSIVE = ((2, 60),)
    settings.RATE_LIMIT_ANONYMOUS = ((8, 86_400), (5, 3_600))
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1.8e9))


def sign_in(client: Client, password: str = factories.PASSWORD, **how: Any) -> Any:
    body = {"username": "alice", "password": password}
    return client.post(SIGN_IN, body, content_type=JSON, **how)


def policies(answer: Any) -> set[str]:
    return set(answer.headers["RateLimit-Policy"].split(", "))


def left(answer: Any) -> str:
    return str(answer.headers["RateLimit"]).partition(";t=")[0]


def test_a_success_says_what_is_left(client: Client) -> None:
    factories.alice()
    ensure_signing_keys()

    answer = sign_in(client)

    assert answer.status_code == 200
    assert left(answer) == '"sign-in";r=2'
    assert policies(answer) == POLICIES
    assert "Retry-After" not in answer.headers


def test_a_refusal_of_the_view_says_it_too(client: Client) -> None:
    assert left(sign_in(client, "another passphrase")) == '"sign-in";r=2'


def test_the_tightest_window_is_named(client: Client, settings: Any) -> None:
    settings.RATE_LIMIT_SIGN_IN = ((100, 60),)

    assert left(sign_in(client)) == '"anonymous-h";r=4'


def test_a_refusal_names_its_window_and_lists_all(client: Client) -> None:
    answers = [sign_in(client) for _ in range(4)]

    assert answers[-1].status_code == 429
    wait = answers[-1].headers["Retry-After"]
    assert answers[-1].headers["RateLimit"] == f'"sign-in";r=0;t={wait}'
    assert policies(answers[-1]) == POLICIES


def test_who_waits_as_long_as_told_is_let_in_and_not_a_second_sooner(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [sign_in(client) for _ in range(4)][-1]
    let_in = 1.8e9 + int(refused.headers["Retry-After"])

    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: let_in - 1))
    assert sign_in(client).headers["Retry-After"] == "1"
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: let_in))
    assert sign_in(client).status_code == 401


def test_what_a_short_window_refuses_costs_nothing_of_the_long_ones(
    client: Client, settings: Any
) -> None:
    for _ in range(9):
        sign_in(client)
    settings.RATE_LIMIT_SIGN_IN = ((100, 60),)

    assert left(sign_in(client)) == '"anonymous-h";r=1'


def test_the_hour_ends_what_the_minute_lets_pass(client: Client, settings: Any) -> None:
    settings.RATE_LIMIT_SIGN_IN = ((100, 60),)

    answers = [sign_in(client) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert left(answers[-1]) == '"anonymous-h";r=0'


def test_anonymous_requests_count_together(client: Client, settings: Any) -> None:
    settings.RATE_LIMIT_SIGN_IN = settings.RATE_LIMIT_EXPENSIVE = ((100, 60),)
    for _ in range(4):
        sign_in(client)

    register = "/api/v1/auth/register"
    answers = [client.post(register, {}, content_type=JSON).status_code for _ in range(2)]

    assert answers == [400, 429]


def test_an_answer_before_anything_is_counted_names_the_policies(client: Client) -> None:
    answer = sign_in(client, headers={"Accept": "image/png"})

    assert answer.status_code == 406
    assert policies(answer) == POLICIES
    assert "RateLimit" not in answer.headers


def test_refreshing_is_limited_and_not_anonymous(client: Client) -> None:
    address = "/api/v1/auth/token/refresh"
    answer = client.post(address, {"refresh": "strange"}, content_type=JSON)

    assert left(answer) == '"refresh";r=119'
    assert policies(answer) == {'"refresh";q=120;w=60'}


def test_an_oauth_refresh_says_it_too(client: Client) -> None:
    form = "grant_type=refresh_token&client_id=first-party&refresh_token=strange"

    answer = client.post("/oauth/token", form, content_type=FORM)

    assert left(answer) == '"refresh";r=119'


@pytest.mark.parametrize("path", ["/api/v1/me", "/api/v1/auth/logout", "/livez"])
def test_other_addresses_name_no_limit(client: Client, path: str) -> None:
    answer = client.get(path)

    assert "RateLimit" not in answer.headers
    assert "RateLimit-Policy" not in answer.headers


def test_no_limit_is_named_where_there_is_none(client: Client, settings: Any) -> None:
    settings.RATE_LIMITS = False

    assert not sign_in(client).headers.keys() & {"RateLimit", "RateLimit-Policy"}
