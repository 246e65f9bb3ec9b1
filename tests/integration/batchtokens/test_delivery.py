"""Deliveries against bad answers and bad clocks, and runs whose operation is stopped meanwhile."""

import gzip
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from accounts.models import ServiceClient, User
from batchtokens.models import HoldKind, OperationType, QueuedRun, RunState
from batchtokens.models.clock import database_now
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.queue import dispatch
from batchtokens.services.queue.deliver import deliver_run
from batchtokens.services.queue.dispatch import LAST_CALL, Outcome, claim_runs, finish_run
from batchtokens.services.queue.enqueue import enqueue_operation_token
from tests import mandates

pytestmark = pytest.mark.django_db

DAILY: dict[str, Any] = {
    "schedule": "FREQ=DAILY;COUNT=3",
    "due_window": "PT1H",
    "periodic_limits": None,
}


SECOND = timedelta(seconds=1)
PENDING, LEASED, DEAD = RunState.PENDING, RunState.LEASED, RunState.DEAD


@pytest.fixture
def world() -> mandates.Savings:
    """Queue three runs; the first is due."""
    world = mandates.savings()
    issued = mandates.issue(world, **DAILY)
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    return world


@pytest.fixture
def run(world: mandates.Savings) -> QueuedRun:
    (run,) = claim_runs(owner="worker", limit=10)
    return run


def claim(now: datetime | None = None) -> list[str]:
    return [run.occurrence for run in claim_runs(owner="worker", limit=10, now=now)]


def answer(status: int, content: bytes, **headers: str) -> httpx.Client:
    def handle(request: httpx.Request) -> httpx.Response:
        # Streamed, as from a socket: of bytes, httpx reads a response before it is asked to.
        return httpx.Response(status, headers=headers, content=iter([content]))

    return httpx.Client(transport=httpx.MockTransport(handle))


def stored(run: QueuedRun) -> tuple[str, str]:
    row = QueuedRun.objects.get(pk=run.pk)
    return row.state, row.code


@pytest.mark.parametrize(
    "content",
    [b"[" * 60_000, b'{"code":' * 7_000, b'{"code":"x' + b"a" * 59 + b'\\n"}', b'{"code":"x\\n"}'],
    ids=["lists", "objects", "61 characters", "a newline"],
)
def test_a_hostile_answer_leaves_the_status(run: QueuedRun, content: bytes) -> None:
    deliver_run(run, http=answer(400, content))

    assert stored(run) == (DEAD, "http_400")


def test_a_delivery_is_signed_with_the_databases_clock(world: mandates.Savings) -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    later = database_now() + timedelta(minutes=20)
    (run,) = claim_runs(owner="worker", limit=10, now=later)
    deliver_run(run, http=httpx.Client(transport=httpx.MockTransport(handle)))

    assert int(seen[0].headers["webhook-timestamp"]) == int(later.timestamp())


def test_a_compressed_answer_is_neither_asked_for_nor_unfolded(run: QueuedRun) -> None:
    http = answer(400, gzip.compress(b'{"code": "unfolded"}'), **{"Content-Encoding": "gzip"})
    seen: list[httpx.Request] = []
    http.event_hooks = {"request": [seen.append]}

    deliver_run(run, http=http)

    assert seen[0].headers["Accept-Encoding"] == "identity"
    assert stored(run) == (DEAD, "http_400")


def test_the_time_for_headers_and_body_is_one(run: QueuedRun, settings: Any) -> None:
    settings.DELIVERY_TIMEOUT = timedelta(seconds=0.2)

    def trickle() -> Iterator[bytes]:
        yield b'{"code":'
        yield b'"late"}'

    def handle(request: httpx.Request) -> httpx.Response:
        time.sleep(0.25)
        return httpx.Response(400, content=trickle())

    deliver_run(run, http=httpx.Client(transport=httpx.MockTransport(handle)))

    assert stored(run) == (DEAD, "http_400")


@pytest.mark.parametrize("code", ["operation_held", "operation_revoked", "executor_stopped"])
def test_what_may_be_lifted_is_not_the_executors_last_word(run: QueuedRun, code: str) -> None:
    deliver_run(run, http=answer(403, f'{{"code": "{code}"}}'.encode()))
    assert stored(run) == (PENDING, code)


def test_a_hold_is_the_last_word_when_the_window_ends(run: QueuedRun) -> None:
    finish_run(run, Outcome(PENDING, "operation_held"), now=run.closes_at)
    assert stored(run) == (DEAD, "operation_held")


def switch(is_active: bool, world: mandates.Savings, who: str) -> None:
    rows: dict[str, Any] = {
        "user": User.objects.filter(pk=world.alice.pk),
        "executor": ServiceClient.objects.filter(pk=world.executor.client.pk),
        "client": ServiceClient.objects.filter(pk=world.trigger.client.pk),
        "operation type": OperationType.objects.filter(pk=world.kind.pk),
    }
    rows[who].update(is_active=is_active)


EVERYONE = pytest.mark.parametrize("who", ["user", "executor", "client", "operation type"])


@EVERYONE
def test_runs_of_what_is_switched_off_wait_inside_their_window(
    world: mandates.Savings, who: str
) -> None:
    switch(False, world, who)
    assert claim() == []

    switch(True, world, who)
    assert claim() == ["o0"]


@EVERYONE
def test_runs_of_what_is_switched_off_are_set_aside_after_their_window(
    world: mandates.Savings, who: str
) -> None:
    run = QueuedRun.objects.get(occurrence="o0")
    switch(False, world, who)

    assert claim(run.closes_at + SECOND) == []
    assert stored(run) == (DEAD, "operation_held")


def hold(world: mandates.Savings, run: QueuedRun) -> None:
    hold_operation(operation_id=run.operation_token_id, by=HoldKind.USER)


def switch_off(world: mandates.Savings, run: QueuedRun) -> None:
    switch(False, world, "user")


@pytest.mark.parametrize("stop", [hold, switch_off])
def test_a_dead_workers_run_that_is_stopped_is_set_aside_after_its_window(
    world: mandates.Savings, run: QueuedRun, stop: Callable[[mandates.Savings, QueuedRun], None]
) -> None:
    stop(world, run)

    assert claim(run.closes_at) == []
    assert stored(run) == (LEASED, "")

    assert claim(run.closes_at + SECOND) == []
    assert stored(run) == (DEAD, "operation_held")
    row = QueuedRun.objects.get(pk=run.pk)
    assert (row.leased_until, row.lease_owner) == (None, "")


def test_a_running_lease_is_left_alone(world: mandates.Savings, run: QueuedRun) -> None:
    hold(world, run)
    QueuedRun.objects.filter(pk=run.pk).update(leased_until=run.closes_at + 2 * SECOND)

    assert claim(run.closes_at + SECOND) == []
    assert stored(run) == (LEASED, "")


def test_a_dead_workers_run_comes_again_after_its_window(run: QueuedRun) -> None:
    """The executor may have acted, and settles when it is asked again."""
    assert claim(run.closes_at + SECOND) == ["o0"]


def test_a_resumed_run_of_a_dead_worker_comes_again(
    world: mandates.Savings, run: QueuedRun
) -> None:
    hold(world, run)
    resume_operation(operation_id=run.operation_token_id, by=HoldKind.USER)

    assert claim(run.leased_until) == ["o0"]


@pytest.fixture
def long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "backoff", lambda _: timedelta(minutes=30))


@pytest.mark.usefixtures("long_wait")
@pytest.mark.parametrize("left", [1.5 * LAST_CALL, timedelta(minutes=29)])
def test_a_wait_beyond_the_window_is_cut_to_one_last_try(run: QueuedRun, left: timedelta) -> None:
    finish_run(run, Outcome(PENDING, "http_503"), now=run.closes_at - left)

    assert stored(run) == (PENDING, "http_503")
    assert QueuedRun.objects.get(pk=run.pk).next_attempt_at == run.closes_at - LAST_CALL


@pytest.mark.usefixtures("long_wait")
@pytest.mark.parametrize("left", [LAST_CALL, LAST_CALL / 2, timedelta(0)])
def test_after_the_last_try_there_is_none(run: QueuedRun, left: timedelta) -> None:
    finish_run(run, Outcome(PENDING, "http_503"), now=run.closes_at - left)

    assert stored(run) == (DEAD, "http_503")
