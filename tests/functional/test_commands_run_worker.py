"""`run_worker`: what it delivers, what it sets aside, and how it ends."""

import json
import logging
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from accounts.crypto import seal
from accounts.management.base import Stop, UsageError
from accounts.models import SecurityEvent, ServiceClient
from batchtokens.management import worker as worker_module
from batchtokens.management.worker import Worker
from batchtokens.models import OperationToken, QueuedRun, RunState
from batchtokens.models.clock import database_now
from batchtokens.services.queue.deliver import deliver_run
from batchtokens.services.queue.dispatch import Outcome, claim_runs
from batchtokens.services.queue.enqueue import enqueue_operation_token, seal_context
from tests import mandates
from tests.cluster import eventually
from tests.executors import Executor, listening
from tests.servers import manage, running

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = 3
EVERY_SECOND: dict[str, Any] = {
    "schedule": f"FREQ=SECONDLY;COUNT={RUNS}",
    "due_window": "PT1M",
    "periodic_limits": None,
}


@pytest.fixture
def executor() -> Iterator[Executor]:
    with listening(Executor()) as fake:
        yield fake


@pytest.fixture
def queued(executor: Executor) -> None:
    """Queue three runs that are due now."""
    world = mandates.savings()
    ServiceClient.objects.filter(pk=world.redeemer.pk).update(delivery_url=executor.url)
    issued = mandates.issue(world, **EVERY_SECOND)
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    QueuedRun.objects.update(next_attempt_at=issued.row.valid_from)


def run_once(**options: Any) -> dict[str, int]:
    out = StringIO()
    call_command("run_worker", once=True, stdout=out, **options)
    counts: dict[str, int] = json.loads(out.getvalue())
    return counts


def states() -> list[str]:
    return list(QueuedRun.objects.order_by("occurrence").values_list("state", flat=True))


@pytest.mark.usefixtures("queued")
def test_delivers_what_is_due_and_ends(executor: Executor) -> None:
    assert run_once() == {"done": RUNS, "pending": 0, "dead": 0}
    assert states() == [RunState.DONE] * RUNS
    assert len(set(executor.deliveries)) == RUNS


@pytest.mark.usefixtures("queued")
def test_a_refused_run_is_dead_with_its_code(executor: Executor) -> None:
    executor.status, executor.body = 403, {"code": "operation_mismatch"}
    assert run_once(threads=1) == {"done": 0, "pending": 0, "dead": RUNS}
    assert set(QueuedRun.objects.values_list("code", flat=True)) == {"operation_mismatch"}


@pytest.mark.usefixtures("queued")
def test_a_failed_run_waits_for_its_next_try(executor: Executor) -> None:
    executor.status = 503
    assert run_once() == {"done": 0, "pending": RUNS, "dead": 0}
    assert QueuedRun.objects.filter(next_attempt_at__gt=database_now()).count() == RUNS


@pytest.mark.usefixtures("queued")
def test_poison_is_set_aside_and_the_others_flow(executor: Executor) -> None:
    QueuedRun.objects.filter(occurrence="o1").update(sealed=b"nothing that opens")
    assert run_once() == {"done": RUNS - 1, "pending": 0, "dead": 1}
    assert QueuedRun.objects.get(state=RunState.DEAD).code == "queued_run_not_valid"


@pytest.mark.usefixtures("queued")
def test_a_row_that_python_trips_over_is_set_aside_and_recorded() -> None:
    run = QueuedRun.objects.select_related("operation_token").get(occurrence="o1")
    context = seal_context(run.operation_token.public_id, run.occurrence)
    QueuedRun.objects.filter(pk=run.pk).update(sealed=seal(b"no JSON", context=context))
    assert run_once() == {"done": RUNS - 1, "pending": 0, "dead": 1}
    assert SecurityEvent.objects.filter(code="queued_run_not_valid").count() == 1


def test_forgets_what_was_kept_for_retries() -> None:
    mandates.issue(mandates.savings())
    OperationToken.objects.update(sealed_token=b"sealed", sealed_until=database_now())

    run_once()

    assert OperationToken.objects.get().sealed_token is None


@pytest.mark.usefixtures("queued")
def test_stops_after_what_is_in_flight(executor: Executor) -> None:
    executor.held = threading.Event()
    worker = Worker(threads=1, poll=0.05)
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(worker.run)
        assert executor.arrived.wait(60)
        worker.stop()
        executor.held.set()
        assert ended.result(60) == {RunState.DONE: 1}
    assert states() == [RunState.DONE, RunState.PENDING, RunState.PENDING]


@pytest.mark.usefixtures("queued")
def test_waits_out_a_fault_of_the_database(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults = iter([OperationalError("it went away\nDETAIL: a secret"), OperationalError("still")])

    def claim(**options: Any) -> list[QueuedRun]:
        if (fault := next(faults, None)) is not None:
            raise fault
        return claim_runs(**options)

    monkeypatch.setattr(worker_module, "claim_runs", claim)
    worker = Worker(threads=2, poll=0.01)
    with ThreadPoolExecutor() as pool, caplog.at_level(logging.WARNING):
        pool.submit(worker.run)
        assert executor.arrived.wait(60)
        worker.stop()
    assert "no runs can be claimed: it went away" in caplog.text
    assert "a secret" not in caplog.text


@pytest.mark.usefixtures("queued")
def test_no_fault_ends_a_thread(
    executor: Executor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults = iter([RecursionError("a secret"), LookupError("poison")])

    def deliver(run: QueuedRun, **options: Any) -> Outcome:
        if (fault := next(faults, None)) is not None:
            raise fault
        return deliver_run(run, **options)

    def finish(*_: Any) -> bool:
        raise OperationalError("it went away")

    monkeypatch.setattr(worker_module, "deliver_run", deliver)
    monkeypatch.setattr(worker_module, "finish_run", finish)
    with caplog.at_level(logging.WARNING):
        outcomes = Worker(threads=1, poll=0.01, once=True).run()
    assert outcomes == {RunState.LEASED: 2, RunState.DONE: 1}
    assert "may be delivered again: RecursionError" in caplog.text
    assert "may be delivered again: it went away" in caplog.text
    assert "a secret" not in caplog.text


@pytest.mark.usefixtures("queued")
def test_waits_out_every_fault_however_many_there_were(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = iter([MemoryError()])

    def claim(**options: Any) -> list[QueuedRun]:
        if (fault := next(faults, None)) is not None:
            raise fault
        return claim_runs(**options)

    monkeypatch.setattr(worker_module, "claim_runs", claim)
    monkeypatch.setattr(worker_module, "LONGEST_PAUSE", 0.01)
    worker = Worker(threads=1, poll=0.5)
    worker._faults = 2000
    with ThreadPoolExecutor() as pool:
        ended = pool.submit(worker.run)
        assert executor.arrived.wait(60)
        worker.stop()
        assert ended.result(60)[RunState.DONE] >= 1


@pytest.mark.usefixtures("queued")
def test_once_ends_with_the_databases_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def claim(**options: Any) -> list[QueuedRun]:
        raise OperationalError("it went away")

    monkeypatch.setattr(worker_module, "claim_runs", claim)
    with pytest.raises(Stop, match="it went away"):
        run_once(threads=1)


@pytest.mark.usefixtures("queued")
def test_a_killed_workers_run_comes_back_when_its_lease_ends(
    executor: Executor, settings: Any
) -> None:
    settings.DELIVERY_LEASE = timedelta(0)
    assert len(claim_runs(owner="killed", limit=RUNS)) == RUNS
    settings.DELIVERY_LEASE = timedelta(minutes=1)
    assert run_once()["done"] == RUNS
    assert set(QueuedRun.objects.values_list("attempts", flat=True)) == {2}


@pytest.mark.slow
@pytest.mark.usefixtures("queued")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_ends_cleanly_on_signals(
    number: signal.Signals, code: int, executor: Executor, tmp_path: Path
) -> None:
    with running(manage("run_worker"), log=tmp_path / "log") as process:
        assert executor.arrived.wait(120)
        process.send_signal(number)
        assert process.wait(60) == code
    assert RunState.LEASED not in states()


@pytest.mark.slow
@pytest.mark.usefixtures("queued")
def test_kill_9_leaves_leases_that_end(executor: Executor, tmp_path: Path) -> None:
    executor.held = threading.Event()
    with running(
        manage("run_worker"), log=tmp_path / "log", env={"DELIVERY_LEASE": "1"}
    ) as process:
        assert executor.arrived.wait(120)
        process.kill()
        process.wait()
    executor.held.set()
    assert RunState.LEASED in states()
    QueuedRun.objects.filter(state=RunState.LEASED).update(leased_until=database_now())
    assert run_once()["dead"] == 0
    assert states() == [RunState.DONE] * RUNS


@pytest.mark.parametrize(
    "options", [{"threads": 0}, {"threads": 65}, {"poll": 0.0}, {"poll": 61.0}]
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        call_command("run_worker", once=True, **options)


def test_each_thread_closes_its_connection() -> None:
    assert run_once(threads=8) == {"done": 0, "pending": 0, "dead": 0}
    if connection.vendor == "postgresql":
        eventually(lambda: connections() == 1)  # the server hears of an end a moment later


def connections() -> int:
    """Count the programs that are connected to this database: this one, and whoever else."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])
