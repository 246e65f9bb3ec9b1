"""Deliveries against bad answers and bad clocks, and runs whose operation is stopped meanwhile."""

from typing import Any

import httpx
import pytest

from batchtokens.models import QueuedRun, RunState
from batchtokens.services.deliver import deliver_run
from batchtokens.services.dispatch import claim_runs
from batchtokens.services.enqueue import enqueue_operation_token
from tests import mandates

pytestmark = pytest.mark.django_db

DAILY: dict[str, Any] = {
    "schedule": "FREQ=DAILY;COUNT=3",
    "due_window": "PT1H",
    "periodic_limits": None,
}


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

    assert stored(run) == (RunState.DEAD, "http_400")
