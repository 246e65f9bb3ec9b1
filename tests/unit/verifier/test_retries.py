"""Calls without an answer come again: few, after growing pauses, with the same key."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from batchtokens_verifier.async_client import AsyncExecutorClient
from batchtokens_verifier.client import ExecutorClient, Redemption, Retries
from batchtokens_verifier.errors import AuthorityUnavailable, LedgerBehind, LimitExceeded
from tests.unit.verifier.authority import PretendAuthority
from tests.unit.verifier.minting import OPERATION
from tests.unit.verifier.test_client import ANSWER, problem

AWAY = httpx.ConnectError("away")
GOOD = httpx.Response(201, json=ANSWER)
Redeem = Callable[[PretendAuthority], Redemption]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pauses


@pytest.fixture(params=["threads", "event loop"])
def redeem(request: pytest.FixtureRequest, slept: list[float]) -> Redeem:
    policy = Retries(attempts=4, first=0.2, longest=0.5, draw=lambda: 1.0)
    asked: dict[str, Any] = {
        "operation_token": "a.b.c",
        "operation": OPERATION,
        "amount": None,
        "occurrence": "o0",
        "idempotency_key": "op_a.o0.1",
    }
    parties = ("https://id.example", "savings", "the-secret")

    def threads(authority: PretendAuthority) -> Redemption:
        return ExecutorClient(*parties, http=authority.http, retries=policy).redeem(**asked)

    def event_loop(authority: PretendAuthority) -> Redemption:
        client = AsyncExecutorClient(*parties, http=authority.async_http, retries=policy)
        return asyncio.run(client.redeem(**asked))

    return threads if request.param == "threads" else event_loop


def test_lost_answer_is_asked_for_with_the_same_key(redeem: Redeem, slept: list[float]) -> None:
    authority = PretendAuthority(AWAY, httpx.Response(503), GOOD)

    assert redeem(authority).proceed
    keys = [request.headers["Idempotency-Key"] for request in authority.requests]
    assert keys == ["op_a.o0.1"] * 3
    assert len({request.content for request in authority.requests}) == 1
    assert slept == [0.2, 0.4]


def test_retries_end(redeem: Redeem, slept: list[float]) -> None:
    authority = PretendAuthority(AWAY)

    with pytest.raises(AuthorityUnavailable):
        redeem(authority)

    assert len(authority.requests) == 4
    assert slept == [0.2, 0.4, 0.5]


def test_refusal_is_final(redeem: Redeem, slept: list[float]) -> None:
    authority = PretendAuthority(problem(403, "limit_exceeded"), GOOD)

    with pytest.raises(LimitExceeded):
        redeem(authority)

    assert slept == []


def test_ledger_that_is_behind_is_not_hurried(redeem: Redeem, slept: list[float]) -> None:
    authority = PretendAuthority(problem(503, "ledger_behind"), GOOD)

    with pytest.raises(LedgerBehind):
        redeem(authority)

    assert (len(authority.requests), slept) == (1, [])


def test_pauses_are_drawn_apart() -> None:
    assert list(Retries(attempts=3, draw=lambda: 0.0).pauses()) == [0.1, 0.2]
    assert len({next(Retries().pauses()) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    "changes",
    [{"attempts": 0}, {"attempts": 11}, {"first": -1.0}, {"first": 3.0}, {"longest": 61.0}],
)
def test_endless_policies_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="attempts"):
        Retries(**changes)
