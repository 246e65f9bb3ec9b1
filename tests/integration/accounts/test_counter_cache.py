"""accounts.limits.counter_cache: one statement a change, exact under concurrency."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import caches

from accounts.errors import RateLimited
from accounts.limits import Limit, check_limit
from accounts.models import RateCounter, RequestContext
from tests.races import at_once

pytestmark = pytest.mark.django_db
LIMIT = Limit("raced", "RATE_LIMIT_RACED")


def test_starts_a_counter_once() -> None:
    cache = caches["counters"]

    assert cache.add("key", 1, 60)
    assert not cache.add("key", 5, 60)
    assert cache.get("key") == 1


def test_adds_to_a_running_counter() -> None:
    cache = caches["counters"]
    cache.add("key", 1, 60)

    assert cache.incr("key") == 2
    assert cache.incr("key", 3) == 5


def test_adds_to_nothing() -> None:
    with pytest.raises(ValueError, match="key"):
        caches["counters"].incr("key")


def test_starts_anew_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = caches["counters"]
    cache.add("key", 7, 60)
    later = time.time() + 61
    monkeypatch.setattr("accounts.limits.counter_cache.time.time", lambda: later)

    assert cache.get("key") is None
    assert cache.add("key", 1, 60)
    assert cache.get("key") == 1


def test_sets_deletes_and_clears() -> None:
    cache = caches["counters"]
    cache.set("a", 1, None)
    cache.set("a", 2, 60)
    cache.set("b", 3, 60)

    assert cache.get("a") == 2
    assert (cache.delete("a"), cache.delete("a")) == (True, False)
    cache.clear()
    assert cache.get("b") is None


def test_sweeps_what_is_outdated(monkeypatch: pytest.MonkeyPatch) -> None:
    RateCounter.objects.create(key="old", value=1, expires_at=1)
    monkeypatch.setattr("accounts.limits.counter_cache.SWEEP_EVERY", 1)

    caches["counters"].add("new", 1, 60)

    assert not RateCounter.objects.filter(key="old").exists()


def passes() -> bool:
    try:
        check_limit(LIMIT, context=RequestContext("192.0.2.7"))
    except RateLimited:
        return False
    return True


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_lets_exactly_so_many_through(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RATE_LIMITS = True
    settings.RATE_LIMIT_RACED = ((20, 3600),)
    monkeypatch.setattr("django_ratelimit.core.time", SimpleNamespace(time=lambda: 1.8e9))

    answers = [answer for _ in range(10) for answer in at_once(*[passes] * 8)]

    assert answers.count(True) == 20
