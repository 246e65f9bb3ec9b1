"""Guessing over HTTP: disabled by the 100th failure, from however many addresses, for good.

No limit of volume is on: the count in the database holds by itself, through restarts and without a
cache.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

import httpx
import pytest
from django.conf import settings
from django.db.models import Sum
from django.utils import timezone

from accounts.models import (
    MOST_FAILURES,
    Authenticator,
    AuthenticatorKind,
    LinkPurpose,
    RateCounter,
    SecurityEvent,
    TotpDevice,
    User,
)
from accounts.services.draw_link import draw_link
from accounts.services.rotate_signing_keys import ensure_signing_keys
from accounts.services.unlock_user import unlock_user
from tests import factories
from tests.factories import PASSWORD
from tests.servers import running_server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

WRONG = "not the right passphrase"
NEW = "an entirely new passphrase"


@contextmanager
def server() -> Iterator[httpx.Client]:
    """Start new processes behind one proxy; a client that tells where it comes from."""
    env = {"ISSUER_URL": settings.ISSUER_URL, "RATE_LIMITS": "off", "TRUSTED_PROXY_COUNT": "1"}
    with (
        running_server(env, workers=4) as started,
        httpx.Client(base_url=started.url, timeout=30) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def alice() -> User:
    ensure_signing_keys()
    return factories.alice()


def sign_in(
    http: httpx.Client, password: str, otp: str = "", *, address: str = "198.51.100.7"
) -> httpx.Response:
    body = {"username": "alice", "password": password, **({"otp": otp} if otp else {})}
    # The proxy's word is the last hop; what a client says of itself stands before it.
    headers = {"X-Forwarded-For": f"203.0.113.1, {address}", "X-Forwarded-Proto": "https"}
    return http.post("/api/v1/auth/token", json=body, headers=headers)


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["code"])


def addresses(count: int) -> list[str]:
    return [f"10.{number // 250}.{number % 250}.9" for number in range(count)]


def empty_the_cache() -> None:
    RateCounter.objects.all().delete()


def reset_link(user: User) -> str:
    return draw_link(
        purpose=LinkPurpose.RESET_PASSWORD,
        user=user,
        email=user.email,
        told_in=1,
        now=timezone.now(),
    )


def judged(reason: str) -> int:
    """Return how many guesses were compared with anything."""
    found = SecurityEvent.objects.filter(data__reason=reason)
    return found.aggregate(total=Sum("count"))["total"] or 0


@pytest.mark.parametrize("spread", [1, 500])
def test_wrong_passwords_disable_the_password(alice: User, spread: int) -> None:
    places = addresses(spread)
    with server() as http:
        for number in range(max(101, spread)):
            answer = sign_in(http, WRONG, address=places[number % spread])
            assert code_of(answer) == "invalid_credentials"
        assert judged("wrong_password") == MOST_FAILURES
        refusals = SecurityEvent.objects.filter(code="sign_in_refused")
        assert refusals.values("address").distinct().count() == spread
        assert code_of(sign_in(http, PASSWORD)) == "invalid_credentials"
    assert SecurityEvent.objects.filter(code="authenticator_disabled").count() == 1

    empty_the_cache()
    with server() as http:
        assert code_of(sign_in(http, PASSWORD)) == "invalid_credentials"
        body = {"token": reset_link(alice), "new_password": NEW}
        back = http.post("/api/v1/auth/password/reset/confirm", json=body)
        assert back.status_code == 204, back.text
        assert sign_in(http, NEW).status_code == 200


@pytest.mark.parametrize("spread", [1, 500])
def test_wrong_codes_disable_the_second_factor(alice: User, spread: int) -> None:
    _, code = factories.totp_device(alice)
    recovery = factories.recovery_code(alice)
    places = addresses(spread)
    with server() as http:
        for number in range(max(101, spread)):
            answer = sign_in(http, PASSWORD, "abc123", address=places[number % spread])
            assert code_of(answer) == "invalid_otp"
        assert judged("wrong_code") == MOST_FAILURES
        assert code_of(sign_in(http, PASSWORD, code())) == "invalid_otp"
        assert code_of(sign_in(http, PASSWORD, recovery)) == "invalid_otp"

    empty_the_cache()
    with server() as http:
        assert code_of(sign_in(http, PASSWORD, code())) == "invalid_otp"
        assert TotpDevice.objects.get().last_step < 0  # not even judged
        unlock_user(user=alice, by=factories.staff())
        assert sign_in(http, PASSWORD, recovery).status_code == 200


def test_a_reset_link_is_no_way_round_the_second_factor(alice: User) -> None:
    _, code = factories.totp_device(alice)
    Authenticator.objects.create(
        user=alice, kind=AuthenticatorKind.SECOND_FACTOR, failures=MOST_FAILURES
    )
    with server() as http:
        body = {"token": reset_link(alice), "new_password": NEW}
        assert http.post("/api/v1/auth/password/reset/confirm", json=body).status_code == 204

        assert code_of(sign_in(http, NEW)) == "mfa_required"
        assert code_of(sign_in(http, NEW, code())) == "invalid_otp"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (AuthenticatorKind.PASSWORD, "wrong_password"),
        (AuthenticatorKind.SECOND_FACTOR, "wrong_code"),
    ],
)
def test_of_64_guesses_at_once_as_many_are_judged_as_were_left(
    alice: User, kind: AuthenticatorKind, reason: str
) -> None:
    factories.totp_device(alice)
    Authenticator.objects.create(user=alice, kind=kind, failures=MOST_FAILURES - 10)
    places, barrier = addresses(64), Barrier(64)
    password = WRONG if kind == AuthenticatorKind.PASSWORD else PASSWORD

    with server() as http, ThreadPoolExecutor(64) as pool:

        def guess(address: str) -> int:
            barrier.wait(timeout=30)
            return sign_in(http, password, "abc123", address=address).status_code

        answers = Counter(pool.map(guess, places))

    assert answers == {401: 64}
    assert judged(reason) == 10
    assert Authenticator.objects.get(kind=kind).failures == MOST_FAILURES
