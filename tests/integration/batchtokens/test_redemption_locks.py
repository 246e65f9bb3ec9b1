"""The locks of redemptions, step by step: who waits for whom, and what is seen after a wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.models import User
from batchtokens.models import (
    ExecutorUse,
    OperationToken,
    QueuedRun,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.models.clock import database_now
from batchtokens.models.locking import lock_operation_token
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.redemption.redeem import RedemptionAnswer, RedemptionRequest
from batchtokens.services.redemption.redeem_batch import Line, redeem_batch
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens.services.redemption.stop_executor import stop_executor
from batchtokens_verifier.errors import (
    ExecutorStopped,
    IdempotencyMismatch,
    OperationHeld,
    VerificationError,
)
from tests import mandates
from tests.cluster import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql, pytest.mark.race]

AT_ALL, A_WHILE = timedelta(0), timedelta(milliseconds=300)
Call = Callable[[], Any]


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=1000)


@pytest.fixture
def others() -> Iterator[ThreadPoolExecutor]:
    """Threads that end after the test's own transaction, so that whoever waits for it can go on."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def patiently(call: Call) -> Any:
    """Call on a connection of the thread's own, which waits as long as it takes for a lock."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '60s'")
        return call()
    finally:
        connection.close()


def waiting(others: ThreadPoolExecutor, call: Call, *, longer: timedelta = AT_ALL) -> Future[Any]:
    """Begin a call elsewhere; return it when it waits for a lock, and has for longer than this."""
    begun = others.submit(patiently, call)
    eventually(lambda: begun.done() or longest_wait() > longer)
    assert not begun.done(), "it did not wait"
    return begun


def longest_wait() -> timedelta:
    """Return how long ago the statement began that waits for a lock; nothing if none does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(
            "SELECT max(clock_timestamp() - query_start) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        ((longest,),) = cursor.fetchall()
    return longest or AT_ALL


def hold_row(issued: Issued, *, nowait: bool = False) -> None:
    """Lock a mandate's row until the transaction ends."""
    OperationToken.objects.select_for_update(no_key=True, nowait=nowait).get(pk=issued.row.pk)


def two_out_of_order(world: mandates.Savings) -> tuple[Issued, Issued]:
    """Return two mandates: the older one is stored behind the other, and its hash sorts behind."""
    older, newer = mandates.issue(world), mandates.issue(world)
    while older.row.token_hash < newer.row.token_hash:
        older, newer = newer, mandates.issue(world)
    OperationToken.objects.filter(pk=older.row.pk).update(language="en")
    return older, newer


def test_rows_are_locked_in_the_order_of_their_ids(
    world: mandates.Savings, others: ThreadPoolExecutor
) -> None:
    """As by all who lock many, or a batch and a hold of the same two might wait in a circle."""
    older, newer = two_out_of_order(world)
    lines = [
        Line(f"run-{number}", RedemptionRequest(issued.token, mandates.OPERATION))
        for number, issued in enumerate((newer, older))
    ]

    with transaction.atomic():
        hold_row(older)
        batch = waiting(others, lambda: redeem_batch(by=world.redeemer, lines=lines))
        hold_row(newer, nowait=True)  # the batch has not locked it: it waits for the older one

    assert [type(each) for each in batch.result()] == [RedemptionAnswer] * 2


def test_a_locked_row_can_be_referred_to(
    world: mandates.Savings, others: ThreadPoolExecutor
) -> None:
    """Whoever writes a row beside a mandate need not wait for its redemption."""
    issued, now = mandates.issue(world), database_now()
    run = {"due_at": now, "closes_at": now, "next_attempt_at": now, "sealed": b""}

    def refer() -> None:
        QueuedRun.objects.create(operation_token=issued.row, occurrence="p0", **run)

    with transaction.atomic():
        assert lock_operation_token(pk=issued.row.pk) is not None
        others.submit(patiently, refer).result(timeout=30)

    assert QueuedRun.objects.count() == 1


@pytest.mark.parametrize(
    ("decide", "refusal"),
    [
        (lambda world: stop_executor(executor=world.redeemer, reason="odd"), ExecutorStopped),
        (lambda world: User.objects.update(is_active=False), OperationHeld),
    ],
    ids=["executor", "person"],
)
def test_whoever_waited_sees_what_was_decided_meanwhile(
    world: mandates.Savings,
    others: ThreadPoolExecutor,
    decide: Callable[[mandates.Savings], Any],
    refusal: type[VerificationError],
) -> None:
    """Even where the mandate's own row is as it was: whom it waited for changed nothing (I6)."""
    issued = mandates.issue(world)

    with transaction.atomic():
        hold_row(issued)
        redeemed = waiting(others, lambda: mandates.redeem(world, issued), longer=A_WHILE)
        others.submit(patiently, lambda: decide(world)).result(timeout=30)

    with pytest.raises(refusal):
        redeemed.result()
    assert not Redemption.objects.exists()


def answered(by: RedemptionAnswer, key: str) -> None:
    """Use up a key, as a further attempt would."""
    attempt = RedemptionAttempt.objects.get(pk=by.attempt.pk)
    attempt.pk, attempt.attempt, attempt.idempotency_key = None, 99, key
    attempt._state.adding = True
    attempt.save()


@pytest.mark.parametrize("lines", [1, 2])
def test_the_executors_counts_are_locked_last(
    world: mandates.Savings, others: ThreadPoolExecutor, lines: int
) -> None:
    """They are everybody's: who has them waits for nobody, or two might wait in a circle."""
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=1000), reason="test")
    first = mandates.redeem(world, mandates.issue(world), "first")
    asked = [
        Line(f"run-{number}", RedemptionRequest(mandates.issue(world).token, mandates.OPERATION))
        for number in range(lines)
    ]

    with transaction.atomic():
        answered(first, "run-0")
        batch = waiting(others, lambda: redeem_batch(by=world.redeemer, lines=asked))
        ExecutorUse.objects.select_for_update(nowait=True).get()  # nobody has it yet
        transaction.set_rollback(True)

    assert [type(each) for each in batch.result()] == [RedemptionAnswer] * lines
    assert ExecutorUse.objects.get().count == 1 + lines


def test_a_key_that_is_used_meanwhile_is_told_as_any_other(
    world: mandates.Savings, others: ThreadPoolExecutor
) -> None:
    """Two mandates under one key have no lock in common: they meet where the key is stored."""
    first, second = mandates.redeem(world, mandates.issue(world), "first"), mandates.issue(world)

    with transaction.atomic():
        answered(first, "run-1")
        redeemed = waiting(others, lambda: mandates.redeem(world, second, "run-1"))

    with pytest.raises(IdempotencyMismatch):
        redeemed.result()
    assert OperationToken.objects.get(pk=second.row.pk).taken_count == 0
