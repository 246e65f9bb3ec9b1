"""The status cache: whom it asks, how often, what it serves and until when; for both forms."""

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from batchtokens_verifier.claims import StatusReference
from batchtokens_verifier.errors import OperationTokenNotValid, StatusUnavailable
from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.status_cache import (
    MAX_LISTS,
    AsyncStatusListCache,
    StatusListCache,
    origin_of,
)
from batchtokens_verifier.status_list import StatusList
from tests.unit.verifier.authority import Clock, PretendAuthority
from tests.unit.verifier.minting import ISSUER, NOW
from tests.unit.verifier.status_lists import URI, packed, status_token
from tests.unit.verifier.vectors import load

JWKS_URI = f"{ISSUER}/.well-known/jwks.json"
HERE = StatusReference(URI, 3)
AWAY = httpx.ConnectError("away")
Get = Callable[..., StatusList]


def answer(token: str) -> httpx.Response:
    return httpx.Response(200, text=token)


class Lists(PretendAuthority):
    """Serves the keys for ever, and its replies as lists."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if str(request.url) == JWKS_URI:
            return httpx.Response(200, json=load("tokens")["jwks"])
        return super().__call__(request)

    @property
    def asked(self) -> list[str]:
        return [str(request.url) for request in self.requests]


@pytest.fixture(params=["threads", "event loop"])
def cache(request: pytest.FixtureRequest) -> Callable[[Lists, Clock], Get]:
    """Return a maker of `get(reference, now=)`, which the rest of a test calls."""

    def threads(authority: Lists, clock: Clock) -> Get:
        http = authority.http
        keys = JwksCache(JWKS_URI, http=http, clock=clock)
        return StatusListCache(ISSUER, keys=keys, http=http, clock=clock).get

    def event_loop(authority: Lists, clock: Clock) -> Get:
        http = authority.async_http
        keys = AsyncJwksCache(JWKS_URI, http=http, clock=clock)
        lists = AsyncStatusListCache(ISSUER, keys=keys, http=http, clock=clock)
        return lambda reference, *, now: asyncio.run(lists.get(reference, now=now))

    return threads if request.param == "threads" else event_loop


Make = Callable[[Lists, Clock], Get]


def later(seconds: int) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_list_is_fetched_once_while_it_is_fresh(cache: Make) -> None:
    authority = Lists(answer(status_token(status_list={"bits": 2, "lst": packed({3: 1})})))
    get = cache(authority, Clock())

    assert [get(HERE, now=later(age)).value(3) for age in (0, 1, 299)] == [1, 1, 1]
    assert authority.asked == [URI]
    assert authority.requests[0].headers["Accept"] == "application/statuslist+jwt"


def test_stale_list_is_fetched_again_and_serves_while_the_source_is_away(cache: Make) -> None:
    authority, clock = Lists(answer(status_token()), AWAY), Clock()
    get = cache(authority, clock)
    get(HERE, now=NOW)

    clock.now += 300
    ages = [get(HERE, now=later(age)).age(later(age)) for age in (300, 310, 320)]

    assert ages == [300, 310, 320]
    assert len(authority.asked) == 2  # once a cool-down


@pytest.mark.parametrize("age", [3600, 3601])
def test_list_never_serves_after_its_exp(cache: Make, age: int) -> None:
    authority, clock = Lists(answer(status_token()), AWAY), Clock()
    get = cache(authority, clock)
    get(HERE, now=NOW)
    clock.now += age

    with pytest.raises(StatusUnavailable):
        get(HERE, now=later(age))


def test_source_that_comes_back_is_asked_soon(cache: Make) -> None:
    authority, clock = Lists(AWAY, answer(status_token())), Clock()
    get = cache(authority, clock)
    for _ in range(3):
        with pytest.raises(StatusUnavailable):
            get(HERE, now=NOW)
    assert len(authority.asked) == 1

    clock.now += 1
    assert get(HERE, now=NOW).value(3) == 0


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/oauth/status/a",
        "http://id.example/oauth/status/a",
        "https://id.example:8443/oauth/status/a",
        "https://id.example.evil.example/a",
        "https://id.example@evil.example/a",
        "https://evil.example\\@id.example/a",
        "https://evil.example#@id.example/",
        "https://id.example/a?next=https://evil.example",
        "https://ID.example\u3002evil.example/a",
        "//id.example/a",
        "/oauth/status/a",
        "file:///etc/passwd",
        "https://[/a",
        "https://id.example:x/a",
        " https://id.example/a",
        "https://id.example/a\r\nHost: evil.example",
    ],
)
def test_address_elsewhere_is_never_asked(cache: Make, uri: str) -> None:
    authority = Lists(answer(status_token(sub=uri)))

    with pytest.raises(OperationTokenNotValid):
        cache(authority, Clock())(StatusReference(uri, 3), now=NOW)

    assert authority.asked == []


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(302, headers={"Location": "https://evil.example/"}),
        httpx.Response(404),
        httpx.Response(500),
        httpx.Response(200, content=b"\xff"),
        httpx.Response(200, content=b""),
        httpx.Response(200, content=b"a" * 600_000),
        answer(status_token(sub=f"{ISSUER}/oauth/status/another")),
        answer(status_token(iss="https://evil.example")),
        answer(status_token(key="operation")),
        answer(status_token(key="stranger")),
        answer(status_token(typ="JWT")),
    ],
)
def test_bad_answer_changes_nothing(cache: Make, reply: Any) -> None:
    good = answer(status_token(status_list={"bits": 2, "lst": packed({3: 2})}))
    authority, clock = Lists(good, reply), Clock()
    get = cache(authority, clock)
    get(HERE, now=NOW)
    clock.now += 300

    assert get(HERE, now=later(300)).value(3) == 2
    assert authority.asked == [URI, URI]


def test_older_list_does_not_hide_a_cancellation(cache: Make) -> None:
    at = int(NOW.timestamp())
    cancelled = status_token(iat=at + 60, status_list={"bits": 2, "lst": packed({3: 1})})
    authority, clock = Lists(answer(cancelled), answer(status_token())), Clock()
    get = cache(authority, clock)
    get(HERE, now=later(60))
    clock.now += 300

    assert get(HERE, now=later(360)).value(3) == 1


def test_what_is_kept_is_bounded() -> None:
    authority = Lists(AWAY)
    http = authority.http
    lists = StatusListCache(ISSUER, keys=JwksCache(JWKS_URI, http=http), http=http)

    for number in range(MAX_LISTS + 5):
        with pytest.raises(StatusUnavailable):
            lists.get(StatusReference(f"{ISSUER}/{number}", 0), now=NOW)

    assert len(lists._lists._by_uri) == MAX_LISTS


def test_many_threads_make_one_fetch() -> None:
    authority = Lists(answer(status_token()))
    http = authority.http
    lists = StatusListCache(ISSUER, keys=JwksCache(JWKS_URI, http=http), http=http)
    get = [threading.Thread(target=lists.get, args=(HERE,), kwargs={"now": NOW}) for _ in range(16)]

    for thread in get:
        thread.start()
    for thread in get:
        thread.join()

    assert authority.asked == [URI]


def test_many_tasks_make_one_fetch() -> None:
    authority = Lists(answer(status_token()))
    http = authority.async_http

    async def ask() -> None:
        lists = AsyncStatusListCache(ISSUER, keys=AsyncJwksCache(JWKS_URI, http=http), http=http)
        await asyncio.gather(*(lists.get(HERE, now=NOW) for _ in range(16)))

    asyncio.run(ask())

    assert authority.asked == [URI]


@pytest.mark.parametrize("issuer", ["http://id.example", "https://id.example?x", "id.example"])
def test_lists_never_come_in_the_clear(issuer: str) -> None:
    http = Lists(AWAY).http

    with pytest.raises(ValueError, match=r"https|plain"):
        StatusListCache(issuer, keys=JwksCache(JWKS_URI, http=http), http=http)


def test_default_port_is_the_same_origin() -> None:
    assert origin_of("https://id.example:443/a") == origin_of("https://ID.example")
