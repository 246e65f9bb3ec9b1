"""Wrong guesses of one address are counted together, at whatever door and account."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import RateCounter, SecurityEvent
from accounts.services.limit_failures import MOST_FAILURES_OF_ADDRESS
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.oauth import FORM

pytestmark = pytest.mark.django_db
JSON = "application/json"
AUTH = "/api/v1/auth"
ELSEWHERE = "192.0.2.9"


@pytest.fixture(autouse=True)
def failures_count(settings: Any) -> None:
    """Turn the limits on; those of volume would end a test before the failures do."""
    settings.RATE_LIMITS = True
    for name in ("ANONYMOUS", "SIGN_IN", "EXPENSIVE", "REFRESH"):
        setattr(settings, f"RATE_LIMIT_{name}", ((10_000, 3600),))
    ensure_signing_keys()


def post(client: Client, path: str, body: dict[str, str], **how: Any) -> Any:
    return client.post(f"{AUTH}/{path}", body, content_type=JSON, **how)


def sign_in(client: Client, name: str, password: str = "another passphrase", **how: Any) -> Any:
    return post(client, "token", {"username": name, "password": password}, **how)


def fail(client: Client, count: int) -> set[int]:
    """Spray: each guess at another name, so that no account's own counter ends it."""
    return {sign_in(client, f"person-{number}").status_code for number in range(count)}


def failures() -> int:
    return RateCounter.objects.get(key__startswith="failures:").value


def test_spraying_many_accounts_ends_before_anything_is_judged(client: Client) -> None:
    factories.alice()

    assert fail(client, MOST_FAILURES_OF_ADDRESS) == {401}
    answer = sign_in(client, "alice", factories.PASSWORD)

    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert answer.headers["RateLimit"].startswith('"failures";r=0;t=')
    assert SecurityEvent.objects.filter(code="rate_limited", data__reason="failures").exists()


def test_others_go_on(client: Client) -> None:
    factories.alice()
    fail(client, MOST_FAILURES_OF_ADDRESS)

    answer = sign_in(client, "alice", factories.PASSWORD, REMOTE_ADDR=ELSEWHERE)

    assert answer.status_code == 200


def test_ones_own_success_makes_no_room_for_guesses(client: Client) -> None:
    factories.bob()
    fail(client, MOST_FAILURES_OF_ADDRESS - 1)
    assert sign_in(client, "bob", factories.PASSWORD).status_code == 200
    assert failures() == MOST_FAILURES_OF_ADDRESS - 1

    fail(client, 1)

    assert sign_in(client, "bob", factories.PASSWORD).status_code == 429


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("token/totp", {"mfa_token": "made-up", "otp": "123456"}),
        ("email/verify", {"token": "made-up"}),
        ("email/change/confirm", {"token": "made-up"}),
        ("password/reset/confirm", {"token": "made-up", "new_password": "a new long passphrase"}),
        ("not-me", {"token": "made-up"}),
    ],
)
def test_made_up_codes_count(client: Client, path: str, body: dict[str, str]) -> None:
    assert post(client, path, body).status_code in {400, 401}
    assert failures() == 1

    fail(client, MOST_FAILURES_OF_ADDRESS - 1)

    assert post(client, path, body).status_code == 429


def test_wrong_codes_count_as_guesses_do(client: Client) -> None:
    factories.totp_device(factories.alice())
    first = sign_in(client, "alice", factories.PASSWORD)
    body = {"mfa_token": first.json()["mfa_token"], "otp": "000000"}

    assert post(client, "token/totp", body).json()["code"] == "invalid_otp"

    assert failures() == 1


def test_wrong_secrets_of_clients_count_and_right_ones_pass(client: Client) -> None:
    secret = factories.service_client("trigger", scopes=["introspect"]).secret
    form = "grant_type=client_credentials&client_id=trigger&client_secret="
    fail(client, MOST_FAILURES_OF_ADDRESS - 1)

    codes = [
        client.post("/oauth/token", form + sent, content_type=FORM).status_code
        for sent in ("wrong", "wrong", secret)
    ]

    assert codes == [401, 429, 200]


def test_the_admin_counts_with_the_api(client: Client) -> None:
    factories.staff()
    fail(client, MOST_FAILURES_OF_ADDRESS)

    body = {"username": "staff", "password": factories.PASSWORD}

    assert client.post("/admin/login/", body).status_code == 429
