"""The queue: sealed rows, leases, retries inside the window, poison set aside with its reason."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from accounts.models import SecurityEvent
from batchtokens.models import HoldKind, QueuedRun, RunState
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.queue.deliver import deliver_run
from batchtokens.services.queue.dispatch import Outcome, backoff, claim_runs, finish_run
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens_verifier.errors import (
    OperationHeld,
    OperationMismatch,
    OperationRevoked,
    OperationTokenNotValid,
    VerificationError,
)
from tests import factories, mandates

pytestmark = pytest.mark.django_db

DAILY: dict[str, Any] = {
    "schedule": "FREQ=DAILY;COUNT=3",
    "due_window": "PT1H",
    "periodic_limits": None,
}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world, **DAILY)


@pytest.fixture
def queued(world: mandates.Savings, issued: Issued) -> Issued:
    enqueue(world, issued)
    return issued


def enqueue(
    world: mandates.Savings, issued: Issued, operation: dict[str, Any] = mandates.OPERATION
) -> int:
    return enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=operation
    )[1]


def claim_one(now: datetime | None = None) -> QueuedRun:
    (run,) = claim_runs(owner="worker", limit=10, now=now)
    return run


def answering(status: int, body: object = None) -> httpx.Client:
    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=body)

    return httpx.Client(transport=httpx.MockTransport(handle))


def test_each_due_run_has_a_sealed_row(world: mandates.Savings, issued: Issued) -> None:
    assert enqueue(world, issued) == 3

    runs = list(QueuedRun.objects.order_by("due_at"))
    start = issued.row.valid_from
    assert [run.occurrence for run in runs] == ["o0", "o1", "o2"]
    assert [run.due_at - start for run in runs] == [timedelta(days=n) for n in range(3)]
    assert all(issued.token.encode() not in bytes(run.sealed) for run in runs)


def test_queueing_again_adds_nothing(world: mandates.Savings, queued: Issued) -> None:
    assert enqueue(world, queued) == 0
    assert QueuedRun.objects.count() == 3


def test_without_a_schedule_there_is_one_run(world: mandates.Savings) -> None:
    assert enqueue(world, mandates.issue(world)) == 1
    assert QueuedRun.objects.get().occurrence == "p0"


def test_only_what_was_issued_to_this_trigger_is_queued(
    world: mandates.Savings, issued: Issued
) -> None:
    rival = factories.service_client("rival", scopes=["token_exchange"])

    with pytest.raises(OperationTokenNotValid):
        enqueue_operation_token(by=rival.client, token=issued.token, operation=mandates.OPERATION)


def test_an_edited_copy_is_not_queued(world: mandates.Savings, issued: Issued) -> None:
    with pytest.raises(OperationMismatch):
        enqueue(world, issued, {**mandates.OPERATION, "creditor_account": "sav-6666"})


@pytest.mark.parametrize(
    ("change", "refusal"), [(hold_operation, OperationHeld), (cancel_operation, OperationRevoked)]
)
def test_what_is_held_or_cancelled_is_not_queued(
    world: mandates.Savings,
    issued: Issued,
    change: Callable[..., Any],
    refusal: type[VerificationError],
) -> None:
    change(operation_id=issued.row.pk, by=HoldKind.USER)

    with pytest.raises(refusal):
        enqueue(world, issued)


def test_only_due_runs_are_claimed_and_by_one_worker(queued: Issued) -> None:
    assert claim_one().occurrence == "o0"
    assert claim_runs(owner="other", limit=10) == []


def test_a_lease_that_ended_is_claimed_again(queued: Issued) -> None:
    first = claim_one()
    second = claim_one(now=first.leased_until)

    assert (first.pk, first.attempts, second.attempts) == (second.pk, 1, 2)


def test_a_zombie_worker_cannot_finish_a_later_attempt(queued: Issued) -> None:
    zombie = claim_one()
    claim_one(now=zombie.leased_until)

    assert finish_run(zombie, Outcome(RunState.DONE)) is False
    assert QueuedRun.objects.get(pk=zombie.pk).state == RunState.LEASED


def test_a_failed_run_is_tried_again_later(queued: Issued) -> None:
    run = claim_one()
    finish_run(run, Outcome(RunState.PENDING, "http_500"))

    stored = QueuedRun.objects.get(pk=run.pk)
    assert (stored.state, stored.code) == (RunState.PENDING, "http_500")
    assert stored.next_attempt_at > run.due_at
    assert claim_runs(owner="worker", limit=10) == []


def test_retries_end_with_the_window(queued: Issued) -> None:
    run = claim_one()
    finish_run(run, Outcome(RunState.PENDING, "http_500"), now=run.closes_at)

    stored = QueuedRun.objects.get(pk=run.pk)
    assert (stored.state, stored.code) == (RunState.DEAD, "http_500")


def test_waits_double_up_to_an_hour() -> None:
    waits = [backoff(attempts) for attempts in (1, 2, 5, 50)]

    assert all(early < late for early, late in pairwise(waits))
    assert timedelta(minutes=30) <= waits[-1] <= timedelta(hours=1)


def test_a_held_operations_run_waits_and_is_skipped_after_its_window(queued: Issued) -> None:
    hold_operation(operation_id=queued.row.pk, by=HoldKind.USER)
    run = QueuedRun.objects.order_by("due_at")[0]

    assert claim_runs(owner="worker", limit=10) == []
    assert claim_runs(owner="worker", limit=10, now=run.closes_at + timedelta(seconds=1)) == []

    run.refresh_from_db()
    assert (run.state, run.code) == (RunState.DEAD, "operation_held")


def test_a_resumed_operation_runs_inside_its_window(queued: Issued) -> None:
    hold_operation(operation_id=queued.row.pk, by=HoldKind.USER)
    resume_operation(operation_id=queued.row.pk, by=HoldKind.USER)

    assert claim_one().occurrence == "o0"


def test_a_delivery_is_signed_and_carries_the_run(world: mandates.Savings, queued: Issued) -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    run = claim_one()
    deliver_run(run, http=httpx.Client(transport=httpx.MockTransport(handle)))

    (request,) = seen
    secret = world.executor.client.delivery_secret()
    body = Webhook(secret).verify(request.content, dict(request.headers))
    assert body == {
        "operation_token": queued.token,
        "operation": mandates.OPERATION,
        "occurrence": "o0",
        "attempt": 1,
    }
    assert request.headers["webhook-id"] == f"{queued.row.public_id}.o0"
    assert QueuedRun.objects.get(pk=run.pk).state == RunState.DONE


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 302, 204])
def test_what_may_pass_is_tried_again(queued: Issued, status: int) -> None:
    assert deliver_run(claim_one(), http=answering(status)).state == RunState.PENDING


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_final_and_recorded_once(queued: Issued, status: int) -> None:
    run = claim_one()
    deliver_run(run, http=answering(status, {"code": "operation_mismatch"}))

    stored = QueuedRun.objects.get(pk=run.pk)
    assert (stored.state, stored.code) == (RunState.DEAD, "operation_mismatch")
    assert SecurityEvent.objects.filter(code="operation_mismatch").count() == 1


def test_the_executors_refusal_and_the_authoritys_are_one_event(
    world: mandates.Savings, queued: Issued
) -> None:
    """The executor redeems under the delivery's key, is refused, and passes the code on."""
    run = claim_one()
    edited = {**mandates.OPERATION, "creditor_account": "sav-6666"}
    with pytest.raises(OperationMismatch):
        mandates.redeem(world, queued, f"{run.webhook_id}.1", operation=edited)

    deliver_run(run, http=answering(403, {"code": "operation_mismatch"}))

    assert SecurityEvent.objects.filter(outcome="refused").count() == 1


@pytest.mark.parametrize("code", [None, 7, "Not A Code", "x" * 61, ""])
def test_an_answer_without_a_code_leaves_the_status(queued: Issued, code: object) -> None:
    run = claim_one()
    deliver_run(run, http=answering(400, {"code": code}))

    assert QueuedRun.objects.get(pk=run.pk).code == "http_400"


def test_an_executor_that_is_away_is_tried_again(queued: Issued) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    outcome = deliver_run(claim_one(), http=httpx.Client(transport=httpx.MockTransport(refuse)))

    assert outcome == Outcome(RunState.PENDING, "executor_unavailable")


def test_an_executor_without_an_address_is_waited_for(
    world: mandates.Savings, queued: Issued
) -> None:
    world.executor.client.delivery_url = ""
    world.executor.client.save()

    outcome = deliver_run(claim_one(), http=answering(200))

    assert outcome == Outcome(RunState.PENDING, "delivery_not_configured")


def test_sealed_bytes_of_another_job_are_poison_and_others_flow(
    world: mandates.Savings, queued: Issued
) -> None:
    other = mandates.issue(
        world, operation={**mandates.OPERATION, "creditor_account": "sav-9999"}, **DAILY
    )
    enqueue(world, other, {**mandates.OPERATION, "creditor_account": "sav-9999"})
    mine, yours = (
        QueuedRun.objects.get(operation_token=token.row, occurrence="o0")
        for token in (queued, other)
    )
    QueuedRun.objects.filter(pk=mine.pk).update(sealed=yours.sealed)

    for run in claim_runs(owner="worker", limit=10):
        deliver_run(run, http=answering(200))

    mine.refresh_from_db()
    yours.refresh_from_db()
    assert (mine.state, mine.code) == (RunState.DEAD, "queued_run_not_valid")
    assert yours.state == RunState.DONE


def test_a_slow_flood_of_an_answer_is_cut(queued: Issued) -> None:
    body = json.dumps({"code": "x", "padding": "y" * 200_000})

    def flood(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, content=body)

    run = claim_one(now=datetime.now(UTC))
    deliver_run(run, http=httpx.Client(transport=httpx.MockTransport(flood)))

    assert QueuedRun.objects.get(pk=run.pk).code == "http_400"
