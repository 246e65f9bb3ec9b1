"""Bulk issue into the built-in queue: who is queued, and that no statement waits for runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from batchtokens.models import (
    OperationToken,
    QueuedRun,
)
from batchtokens.services.issuing import issue_in_bulk as service
from batchtokens.services.issuing.issue_in_bulk import BulkOutcome
from batchtokens.services.queue.enqueue import queued_runs
from tests import bulk, mandates

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def row_of(outcome: BulkOutcome) -> OperationToken:
    return OperationToken.objects.get(pk=outcome.id.removeprefix("op_"))


def test_the_built_in_triggers_token_is_queued_and_never_handed_out(
    world: mandates.Savings,
) -> None:
    limits = mandates.constraints(schedule="FREQ=DAILY;COUNT=3", due_window="PT1H")
    (outcome,) = bulk.issue(bulk.line(client=None, constraints=limits))
    assert outcome.token == ""
    assert QueuedRun.objects.count() == 3
    assert OperationToken.objects.get().sealed_token is None


def test_queues_a_triggers_runs(world: mandates.Savings) -> None:
    (outcome,) = bulk.issue(bulk.line(), to=bulk.QUEUE)
    assert outcome.token == ""
    run = QueuedRun.objects.get()
    assert (run.operation_token, run.occurrence) == (row_of(outcome), "p0")


@pytest.mark.postgresql  # SQLite gives up on no statement
def test_runs_that_take_long_to_seal_outlast_no_statement(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement's time includes the wait for its rows; a chunk may have millions of runs."""
    real = queued_runs

    def slowly(*given: Any, **how: Any) -> Iterator[QueuedRun]:
        for run in real(*given, **how):
            time.sleep(0.5)
            yield run

    monkeypatch.setattr(service, "queued_runs", slowly)
    monkeypatch.setattr(service, "RUNS", 1, raising=False)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '2s'")
    limits = mandates.constraints(schedule="FREQ=DAILY;COUNT=5", due_window="PT1H")

    assert bulk.codes(bulk.issue(bulk.line(constraints=limits), to=bulk.QUEUE)) == ["issued"]
    assert QueuedRun.objects.count() == 5
