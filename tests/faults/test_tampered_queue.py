"""A tampered queue moves no money, and each refusal is recorded once, with its code.

All cases are written into the queue first; then real processes work it off, once.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from batchtokens.models import HoldKind, QueuedRun, RunState
from batchtokens.models.clock import database_now
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens_verifier.constraints import format_instant
from tests import insiders, mandates
from tests.cluster import Cluster, eventually
from tests.insiders import (
    EDITED,
    Job,
    codes_recorded_for,
    open_job,
    put_job,
    token_for_another,
)

pytestmark = [pytest.mark.faults, pytest.mark.slow]

Tamper = Callable[[Cluster], list[QueuedRun]]
# Seconds until a window or a token that is to be over has ended: it is issued and queued by then.
SOON = 5


def edit_the_operation(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue()
    put_job(run, open_job(run)._replace(operation=EDITED))
    return [run]


def swap_two_jobs_tokens(cluster: Cluster) -> list[QueuedRun]:
    (mine,), (yours,) = cluster.queue(), cluster.queue(operation=EDITED)
    my_job, your_job = open_job(mine), open_job(yours)
    put_job(mine, my_job._replace(operation_token=your_job.operation_token))
    put_job(yours, your_job._replace(operation_token=my_job.operation_token))
    return [mine, yours]


def swap_two_rows_sealed_bytes(cluster: Cluster) -> list[QueuedRun]:
    (mine,), (yours,) = cluster.queue(), cluster.queue()
    for run, sealed in ((mine, yours.sealed), (yours, mine.sealed)):
        QueuedRun.objects.filter(pk=run.pk).update(sealed=sealed)
    return [mine, yours]


def flip_a_sealed_bit(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue()
    sealed = bytearray(run.sealed)
    sealed[-1] ^= 1
    QueuedRun.objects.filter(pk=run.pk).update(sealed=bytes(sealed))
    return [run]


def rename_the_occurrence(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue()
    QueuedRun.objects.filter(pk=run.pk).update(occurrence="o1")
    run.occurrence = "o1"
    return [run]


def put_in_a_token_of_another_executor(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue()
    put_job(run, open_job(run)._replace(operation_token=token_for_another(cluster.world)))
    return [run]


def keep_an_expired_token(cluster: Cluster) -> list[QueuedRun]:
    soon = format_instant((datetime.now(UTC) + timedelta(seconds=SOON)).replace(microsecond=0))
    runs = cluster.queue(valid_from=None, valid_to=soon, schedule=None, due_window=None)
    insiders.make_due(runs[0])
    return runs


def revive_a_cancelled_run(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue()
    cancel_operation(operation_id=run.operation_token_id, by=HoldKind.USER)
    insiders.make_due(run)
    return [run]


def bring_a_run_forward(cluster: Cluster) -> list[QueuedRun]:
    end = mandates.in_days(3)
    first, second = cluster.queue(valid_to=end, schedule="FREQ=DAILY;COUNT=2")
    first.delete()
    insiders.make_due(second)
    return [second]


def bring_a_mandate_forward(cluster: Cluster) -> list[QueuedRun]:
    start = mandates.in_days(0.5)
    (run,) = cluster.queue(valid_from=start, schedule="FREQ=DAILY;COUNT=1")
    insiders.make_due(run)
    return [run]


def widen_the_window(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue(valid_from=None, due_window=f"PT{SOON}S")
    insiders.make_due(run)
    return [run]


def alter_and_sign_again(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue()
    put_job(run, Job(insiders.alter(open_job(run).operation_token), EDITED))
    return [run]


def come_late(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue()
    insiders.close(run)
    return [run]


def come_late_and_held(cluster: Cluster) -> list[QueuedRun]:
    (run,) = cluster.queue()
    hold_operation(operation_id=run.operation_token_id, by=HoldKind.USER)
    QueuedRun.objects.filter(pk=run.pk).update(closes_at=database_now())
    return [run]


CASES: dict[Tamper, str] = {
    edit_the_operation: "operation_mismatch",
    swap_two_jobs_tokens: "operation_mismatch",
    swap_two_rows_sealed_bytes: "queued_run_not_valid",
    flip_a_sealed_bit: "queued_run_not_valid",
    rename_the_occurrence: "queued_run_not_valid",
    put_in_a_token_of_another_executor: "operation_token_not_valid",
    keep_an_expired_token: "outside_validity",
    revive_a_cancelled_run: "operation_revoked",
    bring_a_run_forward: "outside_validity",
    bring_a_mandate_forward: "outside_validity",
    widen_the_window: "outside_validity",
    alter_and_sign_again: "operation_token_not_valid",
    come_late: "outside_validity",
    come_late_and_held: "operation_held",
}


@pytest.fixture(scope="module")
def untouched(one_cluster: Cluster) -> QueuedRun:
    (run,) = one_cluster.queue()
    return run


@pytest.fixture(scope="module")
def tampered(one_cluster: Cluster, untouched: QueuedRun) -> dict[Tamper, list[QueuedRun]]:
    """Tamper in every way while no worker runs, then let one work everything off."""
    cases = {tamper: tamper(one_cluster) for tamper in CASES}
    time.sleep(SOON)
    one_cluster.start()
    eventually(lambda: not QueuedRun.objects.unfinished().exists())
    return cases


@pytest.mark.parametrize("tamper", CASES, ids=lambda tamper: tamper.__name__)
def test_the_run_is_set_aside_and_its_refusal_recorded_once(
    tampered: dict[Tamper, list[QueuedRun]], tamper: Tamper
) -> None:
    for run in tampered[tamper]:
        run.refresh_from_db()
        assert (run.state, run.code) == (RunState.DEAD, CASES[tamper])
        assert codes_recorded_for(run.webhook_id) == [CASES[tamper]]


@pytest.mark.usefixtures("tampered")
def test_no_money_moves_but_that_of_the_untouched_run(
    cluster: Cluster, untouched: QueuedRun
) -> None:
    cluster.check_done_once(untouched)
    assert cluster.transfers() == cluster.transfers_of(untouched.webhook_id)
    assert codes_recorded_for(untouched.webhook_id) == []
