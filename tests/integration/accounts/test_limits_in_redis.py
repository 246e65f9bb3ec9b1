"""Volume limits in a real Redis: exact, and never in the way when it is away."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from redis.exceptions import ResponseError

from accounts.errors import RateLimited, WaitForAttempt
from accounts.limits import Limit, check_limit, stores
from accounts.management.base import Findings
from accounts.models import RateCounter, RequestContext
from accounts.services.limit_failures import MOST_FAILURES_OF_ADDRESS, claim_guess
from accounts.services.rotate_signing_keys import ensure_signing_keys
from authproject.addresses import caches_config
from tests.races import at_once
from tests.redis_servers import RedisServer, redis_server

pytestmark = pytest.mark.django_db
LIMIT = Limit("tested", "RATE_LIMIT_TESTED")
MOST_ADDED = 0.25  # seconds


@pytest.fixture(scope="module")
def one_server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def server(one_server: RedisServer) -> RedisServer:
    one_server.client.flushall()
    return one_server


@pytest.fixture(autouse=True)
def counting(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turn the limits on, in a window that does not end during a test."""
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_TESTED = ((10, 3600),)
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1.8e9))
    stores.redis.forget()
    yield
    stores.redis.forget()


@pytest.fixture
def counting_there(server: RedisServer, settings: Any) -> RedisServer:
    settings.CACHES = patient(server)
    return server


@pytest.fixture
def own_server(settings: Any) -> Iterator[RedisServer]:
    """Yield a server for a test that harms it."""
    with redis_server() as server:
        settings.CACHES = patient(server)
        yield server


def patient(server: RedisServer) -> dict[str, Any]:
    """Let it take its time: on a busy machine a good answer may come later than is waited for."""
    caches = caches_config(server.url)
    times = {"socket_connect_timeout": 30.0, "socket_timeout": 30.0}
    return caches | {"redis": caches["redis"] | {"OPTIONS": caches["redis"]["OPTIONS"] | times}}


def passes() -> bool:
    try:
        check_limit(LIMIT, context=RequestContext("192.0.2.7"))
    except RateLimited:
        return False
    return True


def asking_again() -> bool:
    stores.redis.forget()
    return passes()


def seconds(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def least_of_three(call: Callable[[], object]) -> float:
    """Return how long it takes where nothing else keeps this machine busy."""
    return min(seconds(call) for _ in range(3))


def test_counts_in_redis_alone(counting_there: RedisServer) -> None:
    assert [passes() for _ in range(12)] == [True] * 10 + [False] * 2
    assert not RateCounter.objects.exists()
    assert counting_there.client.dbsize() == 1


def test_its_counters_end(counting_there: RedisServer) -> None:
    passes()

    info: Any = counting_there.client.info("keyspace")
    assert info["db0"]["expires"] == info["db0"]["keys"] == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_lets_exactly_so_many_through(counting_there: RedisServer, settings: Any) -> None:
    settings.RATE_LIMIT_TESTED = ((20, 3600),)

    answers = [answer for _ in range(8) for answer in at_once(*[passes] * 8)]

    assert answers.count(True) == 20


def test_a_killed_one_leaves_half_of_the_limit_to_the_database(own_server: RedisServer) -> None:
    passes()
    own_server.kill()

    assert [passes() for _ in range(7)] == [True] * 5 + [False] * 2
    assert RateCounter.objects.get().value == 7


def test_a_hung_one_adds_little_and_only_once_in_a_while(
    own_server: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CACHES = caches_config(own_server.url)
    monkeypatch.setattr(stores, "AWAY_FOR", 60)
    passes()
    usual = least_of_three(passes)
    RateCounter.objects.all().delete()  # should it have been late
    own_server.freeze()
    try:
        hung = least_of_three(asking_again)
    finally:
        own_server.thaw()

    assert usual < hung < usual + MOST_ADDED
    assert not stores.redis.may_be_asked
    assert RateCounter.objects.get().value == 3


def test_a_hung_one_adds_little_to_a_first_connection(
    own_server: RedisServer, settings: Any
) -> None:
    settings.CACHES = caches_config(own_server.url)
    own_server.freeze()
    try:
        hung = least_of_three(asking_again)
        usual = least_of_three(passes)
    finally:
        own_server.thaw()

    assert usual < hung < usual + MOST_ADDED


def test_a_slow_one_is_not_asked_again_by_the_same_request(
    counting_there: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = RequestContext("192.0.2.7")
    check_limit(LIMIT, context=context)
    monkeypatch.setattr("accounts.limits.check.PATIENCE", -1.0)

    check_limit(LIMIT, context=context)

    assert [usage.limit for usage in context.usages] == [10, 5]
    assert RateCounter.objects.get().value == 1


def test_one_that_is_always_late_adds_little_to_a_request_of_many_windows(
    counting_there: RedisServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RATE_LIMIT_TESTED = ((10, 60), (20, 3600), (30, 86_400), (40, 172_800))
    usual = least_of_three(passes)
    count = stores.RedisCounters.add

    def count_late(self: stores.RedisCounters, *given: Any) -> bool:
        time.sleep(0.09)
        return count(self, *given)

    monkeypatch.setattr(stores.RedisCounters, "add", count_late)

    assert least_of_three(passes) < usual + MOST_ADDED
    assert RateCounter.objects.count() == 2


def test_one_that_answers_errors_is_away(own_server: RedisServer) -> None:
    own_server.client.config_set("maxmemory", "1")

    with pytest.raises(ResponseError, match="maxmemory"):
        own_server.client.set("key", "value")
    assert [passes() for _ in range(6)] == [True] * 5 + [False]


def test_the_log_tells_when_it_goes_and_when_it_is_back(
    own_server: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "accounts.limits.stores")
    monkeypatch.setattr(stores, "AWAY_FOR", 0)
    own_server.client.config_set("maxmemory", "1")
    passes()
    passes()
    own_server.client.config_set("maxmemory", "0")
    passes()
    passes()

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert str(own_server.port) not in caplog.text


def test_an_emptied_one_forgets_volume_and_no_failure(counting_there: RedisServer) -> None:
    for _ in range(MOST_FAILURES_OF_ADDRESS):
        claim_guess(context=RequestContext("192.0.2.7"))
    assert [passes() for _ in range(11)].count(True) == 10

    counting_there.client.flushall()

    assert passes()
    with pytest.raises(WaitForAttempt):
        claim_guess(context=RequestContext("192.0.2.7"))


def test_readyz_reports_it_and_serves_without(own_server: RedisServer, client: Client) -> None:
    ensure_signing_keys()
    assert client.get("/readyz").json()["parts"]["cache"] == "ok"

    own_server.kill()
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["parts"]["cache"].startswith("away")


def test_doctor_tells_that_it_is_away(own_server: RedisServer) -> None:
    ensure_signing_keys()
    own_server.kill()
    out = StringIO()

    with pytest.raises(Findings):
        call_command("doctor", format="json", stdout=out)

    findings = {row["finding"] for row in json.loads(out.getvalue())}
    assert "cache: away: the database counts, with stricter limits." in findings
