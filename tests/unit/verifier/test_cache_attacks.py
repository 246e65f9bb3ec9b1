"""Hostile, slow and confused sources, and callers that go away: what both caches still hold."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from batchtokens_verifier.claims import StatusReference
from batchtokens_verifier.errors import (
    AuthorityUnavailable,
    OperationTokenNotValid,
    StatusUnavailable,
)
from batchtokens_verifier.jwks import AsyncJwksCache, JwksCache
from batchtokens_verifier.status_cache import AsyncStatusListCache, StatusListCache
from batchtokens_verifier.transport import DEADLINE_SECONDS, Request, exchange_async
from tests.unit.verifier.authority import Clock
from tests.unit.verifier.minting import ISSUER, NOW
from tests.unit.verifier.status_lists import URI, status_token
from tests.unit.verifier.vectors import load

JWKS_URI = f"{ISSUER}/.well-known/jwks.json"
KEYS: list[dict[str, Any]] = load("tokens")["jwks"]["keys"]
OLD, NEW = KEYS[0]["kid"], KEYS[1]["kid"]
HERE = StatusReference(URI, 3)
CROWD = 50
Source = Callable[[httpx.Request], httpx.Response]


def threads_at(source: Source, clock: Clock) -> tuple[JwksCache, StatusListCache]:
    http = httpx.Client(transport=httpx.MockTransport(source))
    keys = JwksCache(JWKS_URI, http=http, clock=clock)
    return keys, StatusListCache(ISSUER, keys=keys, http=http, clock=clock)


def tasks_at(source: Any, clock: Clock) -> tuple[AsyncJwksCache, AsyncStatusListCache]:
    http = httpx.AsyncClient(transport=httpx.MockTransport(source))
    keys = AsyncJwksCache(JWKS_URI, http=http, clock=clock)
    return keys, AsyncStatusListCache(ISSUER, keys=keys, http=http, clock=clock)


class Hanging:
    """Takes each request for as long as is let, and then says nothing."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.asked = clock, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.clock.now += DEADLINE_SECONDS
        raise httpx.ReadTimeout("slow")


@pytest.mark.parametrize("which", ["keys", "lists"])
def test_crowd_of_threads_does_not_queue_up_before_a_slow_source(which: str) -> None:
    source = Hanging(Clock())
    keys, lists = threads_at(source, source.clock)
    asks: dict[str, Callable[[], object]] = {
        "keys": lambda: keys.keys(OLD),
        "lists": lambda: lists.get(HERE, now=NOW),
    }
    barrier, refused = threading.Barrier(CROWD), []

    def asked() -> None:
        barrier.wait(timeout=30)
        try:
            asks[which]()
        except AuthorityUnavailable as error:
            refused.append(error.code)

    crowd = [threading.Thread(target=asked) for _ in range(CROWD)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()

    assert (source.asked, len(refused)) == (1, CROWD)


@pytest.mark.parametrize("which", ["keys", "lists"])
def test_crowd_of_tasks_does_not_queue_up_before_a_slow_source(which: str) -> None:
    source = Hanging(Clock())
    keys, lists = tasks_at(source, source.clock)

    async def ask() -> list[Any]:
        asks: dict[str, Callable[[], Any]] = {
            "keys": lambda: keys.keys(OLD),
            "lists": lambda: lists.get(HERE, now=NOW),
        }
        return await asyncio.gather(*(asks[which]() for _ in range(CROWD)), return_exceptions=True)

    refused = [isinstance(error, AuthorityUnavailable) for error in asyncio.run(ask())]

    assert (source.asked, refused) == (1, [True] * CROWD)


class Gate:
    """Answers keys at once and lists once it is opened, for event loops."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.open, self.reached, self.keys = asyncio.Event(), asyncio.Event(), list(keys)
        self.asked: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        self.reached.set()
        await self.open.wait()
        if str(request.url) == JWKS_URI:
            return httpx.Response(200, json={"keys": self.keys})
        return httpx.Response(200, text=status_token())


async def walk_away(first: Any, *others: Any, gate: Gate) -> list[Any]:
    """Cancel the first of these while it fetches, then let the source answer the others."""
    leaving = asyncio.ensure_future(first)
    await asyncio.wait_for(gate.reached.wait(), 5)
    waiting = [asyncio.ensure_future(other) for other in others]
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    gate.open.set()
    return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)


def test_caller_who_goes_away_takes_no_list_with_him() -> None:
    async def run() -> list[Any]:
        gate = Gate(*KEYS)
        _, lists = tasks_at(gate, Clock())
        asked = [lists.get(HERE, now=NOW) for _ in range(3)]
        found = await walk_away(*asked, gate=gate)
        assert gate.asked.count("/oauth/status/" + URI.rpartition("/")[2]) == 1
        return found

    assert [found.value(3) for found in asyncio.run(run())] == [0, 0]


def test_caller_who_goes_away_hides_no_new_key() -> None:
    async def run() -> bool:
        gate, clock = Gate(KEYS[0]), Clock()
        gate.open.set()
        keys, _ = tasks_at(gate, clock)
        await keys.keys(OLD)
        gate.reached.clear()
        gate.open.clear()
        gate.keys = KEYS[:2]
        clock.now += 30
        (found,) = await walk_away(keys.keys(NEW), keys.keys(NEW), gate=gate)
        return found.get(NEW) is not None

    assert asyncio.run(run())


def test_loop_that_died_fetching_holds_up_no_other_loop() -> None:
    gate = Gate(*KEYS)
    keys, _ = tasks_at(gate, Clock())
    abandoned = asyncio.new_event_loop()
    task = abandoned.create_task(keys.keys())
    abandoned.run_until_complete(asyncio.sleep(0))
    abandoned.run_until_complete(asyncio.sleep(0))

    async def later() -> None:
        with pytest.raises(AuthorityUnavailable):
            await asyncio.wait_for(keys.keys(OLD), 5)

    asyncio.run(later())
    for pending in (*asyncio.all_tasks(abandoned), task):
        pending.cancel()
    abandoned.run_until_complete(
        asyncio.gather(*asyncio.all_tasks(abandoned), return_exceptions=True)
    )
    abandoned.close()


def test_source_that_drips_is_left_at_the_deadline() -> None:
    async def drip(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30)
        return httpx.Response(200)

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(drip)) as http:
            await exchange_async(http, Request("GET", JWKS_URI, deadline=0.05))

    with pytest.raises(AuthorityUnavailable):
        asyncio.run(asyncio.wait_for(ask(), 5))


class Serving:
    """Serves these keys and this list until it is told to serve others, or nothing."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = list(KEYS)
        self.list, self.etag, self.away = status_token(), "", False
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.away:
            raise httpx.ConnectError("away")
        if str(request.url) == JWKS_URI:
            return httpx.Response(200, json={"keys": self.keys})
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            return httpx.Response(304)
        return httpx.Response(200, text=self.list, headers={"ETag": self.etag})


@pytest.mark.parametrize(("hours", "serves"), [(0.99, True), (1, False), (1.5, False)])
def test_list_ends_even_where_the_clock_went_back(hours: float, serves: bool) -> None:
    source, clock = Serving(), Clock()
    _, lists = threads_at(source, clock)
    lists.get(HERE, now=NOW)
    source.away = True
    clock.now += hours * 3600

    if serves:
        assert lists.get(HERE, now=NOW).value(3) == 0
    else:
        with pytest.raises(StatusUnavailable):
            lists.get(HERE, now=NOW)


def test_list_is_asked_for_again_even_where_the_clock_went_back() -> None:
    source, clock = Serving(), Clock()
    _, lists = threads_at(source, clock)
    lists.get(HERE, now=NOW)
    clock.now += 300

    lists.get(HERE, now=NOW)

    assert [str(request.url) for request in source.requests].count(URI) == 2


@pytest.mark.parametrize(("behind", "serves"), [(10, True), (11, False)])
def test_list_dated_ahead_says_nothing(behind: int, serves: bool) -> None:
    source = Serving()
    _, lists = threads_at(source, Clock())
    lists.get(HERE, now=NOW)
    earlier = NOW - timedelta(seconds=behind)

    if serves:
        assert lists.get(HERE, now=earlier).age(earlier) == 0
    else:
        with pytest.raises(StatusUnavailable):
            lists.get(HERE, now=earlier)


@pytest.mark.parametrize("member", ["purpose", "x"])
def test_kid_that_becomes_another_key_is_not_believed(member: str) -> None:
    source, clock = Serving(), Clock()
    keys, _ = threads_at(source, clock)
    before = keys.keys().get(OLD)
    assert before is not None
    other = {"purpose": "receipt" if before.purpose != "receipt" else "access"}
    changed = KEYS[0] | (other if member == "purpose" else {"x": KEYS[1]["x"], "y": KEYS[1]["y"]})
    source.keys = [changed, *KEYS[1:]]
    clock.now += 300

    assert keys.keys().get(OLD) == before


@pytest.mark.parametrize(("hours", "serves"), [(23.9, True), (24, False)])
def test_keys_do_not_serve_for_ever_while_the_source_is_kept_away(
    hours: float, serves: bool
) -> None:
    source, clock = Serving(), Clock()
    keys, _ = threads_at(source, clock)
    keys.keys()
    source.away = True
    clock.now += hours * 3600

    if serves:
        assert keys.keys(OLD).get(OLD) is not None
    else:
        with pytest.raises(AuthorityUnavailable):
            keys.keys(OLD)


@pytest.mark.parametrize("uri", [URI, f"{ISSUER}.evil.example/a", "https://id.example:443/a"])
def test_lists_come_from_the_address_that_was_given(uri: str) -> None:
    source = Serving()
    http = httpx.Client(transport=httpx.MockTransport(source))
    lists = StatusListCache(
        ISSUER, keys=JwksCache(JWKS_URI, http=http), http=http, reached_at="http://127.0.0.1:8000"
    )

    if uri == URI:
        assert lists.get(HERE, now=NOW).value(3) == 0
        asked = str(source.requests[0].url)
        assert asked == URI.replace(ISSUER, "http://127.0.0.1:8000")
        return
    with pytest.raises(OperationTokenNotValid):
        lists.get(StatusReference(uri, 3), now=NOW)
    assert source.requests == []
