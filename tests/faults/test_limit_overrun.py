"""64 parallel guesses against four server processes: no more pass than the limit says."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from django.conf import settings

from accounts.limits import stores
from accounts.models import RateCounter
from accounts.models.rate_counter import RateCounterQuerySet
from accounts.services.limit_failures import MOST_FAILURES_OF_ADDRESS
from accounts.services.rotate_signing_keys import ensure_signing_keys
from tests.redis_servers import RedisServer, redis_server
from tests.servers import running_server

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]

GUESSES, LIMIT, PROCESSES = 64, 20, 4
TRIES = 8
# A window of a day does not end during a test.
ENV = {
    "ISSUER_URL": settings.ISSUER_URL,
    "RATE_LIMITS": "on",
    "RATE_LIMIT_ANONYMOUS": "100000/d",
}


@contextmanager
def guessing(cache_url: str = "", sign_in: str = f"{LIMIT}/d") -> Iterator[httpx.Client]:
    ensure_signing_keys()  # without them no server is ready
    # A refusal leaves the body unread, so the server ends its connection.
    limits = httpx.Limits(max_connections=GUESSES, max_keepalive_connections=0)
    with (
        running_server(
            ENV | {"CACHE_URL": cache_url, "RATE_LIMIT_SIGN_IN": sign_in}, workers=PROCESSES
        ) as server,
        httpx.Client(base_url=server.url, timeout=60, limits=limits) as client,
    ):
        yield client


def outcomes(http: httpx.Client) -> Counter[int]:
    def guess(number: int) -> int:
        # Of one account, its own counter would refuse them earlier.
        body = {"username": f"person-{number}", "password": "a wrong passphrase"}
        return http.post("/api/v1/auth/token", json=body).status_code

    with ThreadPoolExecutor(GUESSES) as pool:
        return Counter(pool.map(guess, range(GUESSES)))


def counted_in_the_database() -> RateCounterQuerySet:
    return RateCounter.objects.filter(key__contains="rl:")


def answered_in_time(redis: RedisServer, http: httpx.Client) -> list[Counter[int]]:
    """Return the outcomes of two rounds in which Redis was late for nobody.

    For whom it is late, as on a busy machine, the database counts by itself; so they go again.
    """
    for _ in range(TRIES):
        both = [outcomes(http), outcomes(http)]
        if not counted_in_the_database().exists():
            return both
        time.sleep(stores.AWAY_FOR + 1)
        redis.client.flushall()
        RateCounter.objects.all().delete()
    raise AssertionError(f"Redis was late in each of {TRIES} tries")


def test_exactly_so_many_pass_where_the_database_counts() -> None:
    with guessing() as http:
        assert outcomes(http) == {401: LIMIT, 429: GUESSES - LIMIT}
        assert outcomes(http) == {429: GUESSES}


def test_exactly_so_many_pass_where_redis_counts() -> None:
    with redis_server() as redis, guessing(redis.url) as http:
        assert answered_in_time(redis, http) == [
            {401: LIMIT, 429: GUESSES - LIMIT},
            {429: GUESSES},
        ]


def test_a_killed_redis_adds_half_of_the_limit_at_most() -> None:
    with redis_server() as redis, guessing(redis.url) as http:
        outcomes(http)
        redis.kill()
        counted_in_the_database().delete()  # those for whom it was late before

        assert outcomes(http) == {401: LIMIT // 2, 429: GUESSES - LIMIT // 2}


def test_exactly_so_many_failures_of_one_address_are_judged() -> None:
    with guessing(sign_in="100000/d") as http:
        judged = MOST_FAILURES_OF_ADDRESS

        assert outcomes(http) == {401: judged, 429: GUESSES - judged}


def test_failures_survive_an_emptied_redis_and_a_restart_of_every_process() -> None:
    with redis_server() as redis:
        with guessing(redis.url, sign_in="100000/d") as http:
            outcomes(http)
        redis.client.flushall()

        with guessing(redis.url, sign_in="100000/d") as http:
            assert outcomes(http) == {429: GUESSES}
