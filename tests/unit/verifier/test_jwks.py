"""The key cache: few fetches, old keys while the source is away, bounds on what it takes."""

import asyncio
import threading
from typing import Any

import httpx
import pytest

from batchtokens_verifier.errors import AuthorityUnavailable
from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.jws import KeySet
from tests.unit.verifier.authority import Clock, PretendAuthority
from tests.unit.verifier.vectors import load

URI = "https://id.example/.well-known/jwks.json"
KEYS: list[dict[str, Any]] = load("tokens")["jwks"]["keys"]
OLD, NEW = KEYS[0]["kid"], KEYS[1]["kid"]
AWAY = httpx.ConnectError("away")


def jwks(*keys: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"keys": list(keys)})


FORM = ["threads"]  # whose cache the tests below ask


@pytest.fixture(params=["threads", "event loop"], autouse=True)
def _form(request: pytest.FixtureRequest) -> None:
    FORM[0] = request.param


class Waiting:
    """An asynchronous cache whose answers are waited for."""

    def __init__(self, cache: AsyncJwksCache) -> None:
        self._cache = cache

    def keys(self, kid: str | None = None) -> KeySet:
        return asyncio.run(self._cache.keys(kid))


def cache(authority: PretendAuthority, clock: Clock) -> JwksCache | Waiting:
    if FORM[0] == "threads":
        return JwksCache(URI, http=authority.http, clock=clock)
    return Waiting(AsyncJwksCache(URI, http=authority.async_http, clock=clock))


def test_keys_are_fetched_once() -> None:
    authority = PretendAuthority(jwks(KEYS[0]))
    keys = cache(authority, Clock())

    assert [keys.keys(OLD).get(OLD) is None for _ in range(3)] == [False] * 3
    assert len(authority.requests) == 1


@pytest.mark.parametrize(("age", "fetches"), [(299, 1), (300, 2), (301, 2)])
def test_keys_are_fetched_again_after_their_ttl(age: int, fetches: int) -> None:
    authority, clock = PretendAuthority(jwks(KEYS[0])), Clock()
    keys = cache(authority, clock)
    keys.keys()

    clock.now += age
    keys.keys()

    assert len(authority.requests) == fetches


@pytest.mark.parametrize(("age", "fetches"), [(29, 1), (30, 2), (31, 2)])
def test_unknown_kid_fetches_at_most_once_a_cool_down(age: int, fetches: int) -> None:
    authority, clock = PretendAuthority(jwks(KEYS[0]), jwks(KEYS[0], KEYS[1])), Clock()
    keys = cache(authority, clock)
    keys.keys()

    clock.now += age
    found = [keys.keys(NEW).get(NEW) is not None for _ in range(5)]

    assert len(authority.requests) == fetches
    assert found == [fetches == 2] * 5


@pytest.mark.parametrize(
    "failure",
    [
        AWAY,
        httpx.ReadTimeout("slow"),
        httpx.Response(500),
        httpx.Response(404, json={"keys": []}),
        httpx.Response(302, headers={"Location": "https://evil.example/"}),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json={"keys": "none"}),
        httpx.Response(200, content=b'{"keys":[],"keys":[]}'),
        httpx.Response(200, content=b" " * 70000),
    ],
)
def test_last_keys_serve_while_the_source_is_away(failure: Any) -> None:
    authority, clock = PretendAuthority(jwks(KEYS[0]), failure), Clock()
    keys = cache(authority, clock)
    keys.keys()

    clock.now += 3600

    assert keys.keys().get(OLD) is not None
    assert len(authority.requests) == 2


def test_source_that_is_away_is_asked_once_a_cool_down() -> None:
    authority, clock = PretendAuthority(jwks(KEYS[0]), AWAY), Clock()
    keys = cache(authority, clock)
    keys.keys()
    clock.now += 300

    for _ in range(60):
        keys.keys()
        clock.now += 1

    assert len(authority.requests) == 3


def test_without_any_keys_nothing_is_verified() -> None:
    authority, clock = PretendAuthority(AWAY, jwks(KEYS[0])), Clock()
    keys = cache(authority, clock)

    for _ in range(3):
        with pytest.raises(AuthorityUnavailable):
            keys.keys(OLD)
    assert len(authority.requests) == 1

    clock.now += 1
    assert keys.keys(OLD).get(OLD) is not None


@pytest.mark.parametrize("pause", [0, 29])
def test_a_kid_that_could_not_be_looked_up_is_not_called_unknown(pause: int) -> None:
    authority, clock = PretendAuthority(jwks(KEYS[0]), AWAY, jwks(*KEYS[:2])), Clock()
    keys = cache(authority, clock)
    keys.keys()
    clock.now += 30
    with pytest.raises(AuthorityUnavailable):
        keys.keys(NEW)

    clock.now += pause
    with pytest.raises(AuthorityUnavailable):
        keys.keys(NEW)
    assert keys.keys(OLD).get(OLD) is not None
    assert len(authority.requests) == 2

    clock.now += 30 - pause
    assert keys.keys(NEW).get(NEW) is not None


def test_many_threads_make_one_fetch() -> None:
    authority = PretendAuthority(jwks(KEYS[0]))
    keys = JwksCache(URI, http=authority.http, clock=Clock())
    threads = [threading.Thread(target=keys.keys, args=(OLD,)) for _ in range(16)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(authority.requests) == 1


def test_many_tasks_make_one_fetch() -> None:
    authority = PretendAuthority(jwks(KEYS[0]))

    async def ask() -> None:
        keys = AsyncJwksCache(URI, http=authority.async_http, clock=Clock())
        await asyncio.gather(*(keys.keys(OLD) for _ in range(16)))

    asyncio.run(ask())

    assert len(authority.requests) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "http://id.example/jwks",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://127.0.0.1.evil.example/",
        "https://",
        "jwks",
    ],
)
def test_keys_never_come_in_the_clear(uri: str) -> None:
    with pytest.raises(ValueError, match="https"):
        JwksCache(uri, http=PretendAuthority(jwks()).http)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:8000/jwks", "http://localhost/jwks", "http://[::1]:8000/jwks"]
)
def test_this_machine_may_be_asked_without_tls(uri: str) -> None:
    assert JwksCache(uri, http=PretendAuthority(jwks()).http).keys().by_kid == {}
