"""I13 over HTTP: 32 clients spend one thing at the same instant, 50 rounds, four server processes.

Exactly one succeeds in each round.
"""

from __future__ import annotations

import base64
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from accounts.models import EndReason, LinkPurpose, SessionFamily, TotpDevice, User
from accounts.models.session_family import MAX_REISSUES
from accounts.models.totp_device import NEVER
from accounts.services.begin_totp import in_groups
from accounts.services.draw_link import draw_link
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests import factories
from tests.factories import PASSWORD, bearer
from tests.servers import running_server
from tests.tokens import claims_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

CLIENTS, ROUNDS, PROCESSES = 32, 50, 4

Ask = Callable[[int], httpx.Response]


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    ensure_signing_keys()  # without them no server is ready
    # One address asks more often in this test than any phone would.
    env = {"ISSUER_URL": settings.ISSUER_URL, "RATE_LIMITS": "off"}
    limits = httpx.Limits(max_keepalive_connections=CLIENTS)  # none is closed while all are at it
    with (
        running_server(env, workers=PROCESSES) as server,
        httpx.Client(base_url=server.url, timeout=30, limits=limits) as client,
    ):
        yield client


@pytest.fixture
def alice() -> User:
    return factories.alice()


def at_one_instant(pool: ThreadPoolExecutor, ask: Ask) -> Counter[int]:
    """Let every client ask at once; return how often each status came."""
    barrier = Barrier(CLIENTS)

    def wait_and_ask(number: int) -> int:
        barrier.wait(timeout=30)
        return ask(number).status_code

    return Counter(pool.map(wait_and_ask, range(CLIENTS)))


def sign_in(http: httpx.Client, otp: str) -> httpx.Response:
    body = {"username": "alice", "password": PASSWORD, "otp": otp}
    return http.post("/api/v1/auth/token", json=body)


def show(http: httpx.Client, access: str, otp: str, number: int) -> httpx.Response:
    """Half of the clients sign in with the code, the others step up."""
    if number % 2:
        return sign_in(http, otp)
    return http.post("/api/v1/auth/step-up", json={"otp": otp}, headers=bearer(access))


def reset(http: httpx.Client, token: str, chosen: list[str], number: int) -> httpx.Response:
    body = {"token": token, "new_password": chosen[number]}
    return http.post("/api/v1/auth/password/reset/confirm", json=body)


def complete(http: httpx.Client, mfa_token: str, codes: list[str], number: int) -> httpx.Response:
    body = {"mfa_token": mfa_token, "otp": codes[number]}
    return http.post("/api/v1/auth/token/totp", json=body)


def refresh(http: httpx.Client, token: str, successors: list[str], number: int) -> httpx.Response:
    answer = http.post("/api/v1/auth/token/refresh", json={"refresh": token})
    if answer.is_success:
        successors.append(answer.json()["refresh"])
    return answer


def test_one_totp_code_opens_one_door(http: httpx.Client, alice: User) -> None:
    _, code = factories.totp_device(alice)
    access = factories.access_token_for(alice)

    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(ROUNDS):
            TotpDevice.objects.update(last_step=NEVER, drift=0)  # as if it had been made just now
            otp = code()

            answers = at_one_instant(pool, partial(show, http, access, otp))

            assert answers == {200: 1, 401: CLIENTS - 1}


def test_one_recovery_code_opens_one_door(http: httpx.Client, alice: User) -> None:
    factories.totp_device(alice)
    access = factories.access_token_for(alice)

    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(ROUNDS):
            drawn = in_groups(base64.b32encode(secrets.token_bytes(10)).decode(), "-")
            factories.recovery_code(alice, drawn)

            answers = at_one_instant(pool, partial(show, http, access, drawn))

            assert answers == {200: 1, 401: CLIENTS - 1}


def test_one_reset_link_sets_one_password(http: httpx.Client, alice: User) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        for told_in in range(ROUNDS):
            token = draw_link(
                purpose=LinkPurpose.RESET_PASSWORD,
                user=alice,
                email=alice.email,
                told_in=told_in,
                now=timezone.now(),
            )
            chosen = [f"the {secrets.token_hex(8)} of {number}" for number in range(CLIENTS)]

            answers = at_one_instant(pool, partial(reset, http, token, chosen))

            assert answers == {204: 1, 400: CLIENTS - 1}
            alice.refresh_from_db()
            assert sum(alice.check_password(password) for password in chosen) == 1


def test_one_mfa_token_opens_one_session(http: httpx.Client, alice: User) -> None:
    """Five tries a token: of 32 with right codes, each good by itself, one signs in."""
    factories.totp_device(alice)
    body = {"username": "alice", "password": PASSWORD}

    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(ROUNDS // 5):
            codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(CLIENTS)]
            for code in codes:
                factories.recovery_code(alice, code)
            mfa_token = http.post("/api/v1/auth/token", json=body).json()["mfa_token"]
            before = SessionFamily.objects.count()

            answers = at_one_instant(pool, partial(complete, http, mfa_token, codes))

            assert answers == {200: 1, 401: CLIENTS - 1}
            assert SessionFamily.objects.count() == before + 1


def test_one_refresh_token_has_one_successor(http: httpx.Client, alice: User) -> None:
    """Of 32 at once eleven are answered, all with the one successor; more is taken for theft."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        for _ in range(ROUNDS):
            family, pair = factories.session_family(alice)
            successors: list[str] = []

            answers = at_one_instant(pool, partial(refresh, http, pair.refresh, successors))

            assert answers == {200: 1 + MAX_REISSUES, 401: CLIENTS - 1 - MAX_REISSUES}
            assert len({claims_of(token)["jti"] for token in successors}) == 1
            family.refresh_from_db()
            assert family.end_reason == EndReason.REPLAY
