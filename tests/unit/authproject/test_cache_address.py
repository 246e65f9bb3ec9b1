"""CACHE_URL: where volume limits are counted."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from accounts.limits.stores import PATIENCE
from authproject.addresses import caches_config


def test_counts_in_the_database_without_one() -> None:
    caches = caches_config("")

    assert caches.keys() == {"default", "limits", "counters"}


@pytest.mark.parametrize(
    "url",
    ["redis://cache:6379/0", "redis://cache", "rediss://user:secret@cache:6380/2", "redis://[::1]"],
)
def test_counts_in_redis(url: str) -> None:
    assert caches_config(url)["redis"]["LOCATION"] == url


def test_never_waits_long_and_never_again() -> None:
    options = caches_config("redis://cache")["redis"]["OPTIONS"]

    once = options["socket_connect_timeout"] + options["socket_timeout"]
    assert max(once, PATIENCE + options["socket_timeout"]) <= 0.25
    assert options["retry"].get_retries() == 0


@pytest.mark.parametrize(
    "url",
    [
        "cache:6379",
        "memcached://:pass-secret@cache",
        "http://:pass-secret@cache",
        "redis://",
        "redis://:pass-secret@cache:port",
        "redis://:pass-secret@cache:0",
        "redis://:pass-secret@cache:70000",
        "redis://:pass-secret@[::1",
        "redis://:pass-secret@cache/zero",
        "redis://:pass-secret@cache/0?socket_timeout=60",
        "redis://:pass-secret@cache/0#fragment",
    ],
)
def test_refuses_others_without_repeating_them(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="CACHE_URL") as refused:
        caches_config(url)

    assert "pass-secret" not in str(refused.value)
