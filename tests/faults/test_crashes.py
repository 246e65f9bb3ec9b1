"""Processes killed and frozen, answers lost: the money moves once, the run ends settled."""

import pytest

from batchtokens.models import QueuedRun, Redemption, RedemptionAttempt, RunState
from tests.cluster import Cluster, eventually
from tests.proxies import REDEEM, SETTLE

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def test_an_executor_killed_between_moving_and_settling_settles_when_it_is_back(
    cluster: Cluster,
) -> None:
    settling = cluster.link.swallow_request(SETTLE)
    (run,) = cluster.queue()
    settling.wait()
    (transfer,) = cluster.transfers_of(run.webhook_id)
    assert transfer["settled_at"] is None

    cluster.executor.kill()
    settling.release()
    assert Redemption.objects.get(pk=transfer["redemption_id"]).status == "reserved"
    cluster.executor.start()
    cluster.executor.wait_until_ready()

    cluster.check_done_once(run)
    assert cluster.transfers_of(run.webhook_id)[0]["id"] == transfer["id"]


def test_an_executor_that_is_back_first_after_its_window_still_settles(cluster: Cluster) -> None:
    """No delivery comes any more: what the bank remembers is enough."""
    settling = cluster.link.swallow_request(SETTLE)
    (run,) = cluster.queue()
    settling.wait()
    cluster.executor.kill()
    settling.release()
    cluster.worker.kill()
    cluster.executor.start()
    cluster.executor.wait_until_ready()

    eventually(lambda: redemption_of(run).status == "settled")
    assert len(cluster.transfers_of(run.webhook_id)) == 1


@pytest.mark.parametrize("lost", [1, 2])
def test_a_redemption_whose_answer_is_lost_is_answered_the_same_again(
    cluster: Cluster, lost: int
) -> None:
    cut = cluster.link.cut_answer(REDEEM, times=lost)
    (run,) = cluster.queue()

    cluster.check_done_once(run)
    assert cut.times == 0
    attempt = RedemptionAttempt.objects.get(redemption=redemption_of(run))
    assert (attempt.attempt, run.attempts) == (1, 1)
    assert attempt.receipt in b"".join(cluster.link.answers).decode()


def test_an_answer_that_is_lost_for_good_is_taken_over_after_its_lease(cluster: Cluster) -> None:
    cluster.link.cut_answer(REDEEM, times=3)
    (run,) = cluster.queue()

    cluster.check_done_once(run)
    assert redemption_of(run).attempt == 2
    assert RedemptionAttempt.objects.filter(redemption=redemption_of(run)).count() == 2


def test_a_settling_whose_answer_is_lost_is_settled_once(cluster: Cluster) -> None:
    cut = cluster.link.cut_answer(SETTLE)
    (run,) = cluster.queue()
    cut.wait()

    cluster.check_done_once(run)
    assert run.operation_token.ledger_entries.filter(kind="settled").count() == 1


def test_another_worker_takes_over_from_one_that_was_killed(cluster: Cluster) -> None:
    slow = cluster.link.hold_answer(REDEEM)
    (run,) = cluster.queue()
    slow.wait()
    cluster.worker.kill()
    assert QueuedRun.objects.get(pk=run.pk).state == RunState.LEASED

    cluster.another_worker()
    slow.release()

    cluster.check_done_once(run)
    assert run.attempts == 2


def test_a_zombie_that_settles_late_is_refused(cluster: Cluster) -> None:
    """Two processes of one service: the first is frozen with its permission in the mail."""
    permission = cluster.link.hold_answer(REDEEM)
    (run,) = cluster.queue()
    permission.wait()
    cluster.executor.freeze()
    permission.release()
    known = cluster.link.hold_answer(SETTLE)
    cluster.fail_over()
    known.wait()  # the second attempt is settled, which its own process does not know yet
    assert (redemption_of(run).status, redemption_of(run).attempt) == ("settled", 2)

    cluster.executor.thaw()
    eventually(lambda: b"lease_lost" in b"".join(cluster.link.answers))
    known.release()

    cluster.check_done_once(run)
    assert run.operation_token.ledger_entries.filter(kind="settled").count() == 1


def test_a_worker_that_is_asked_to_stop_finishes_what_is_in_flight(cluster: Cluster) -> None:
    cluster.worker.kill()
    slow = cluster.link.hold_answer(REDEEM)
    runs = cluster.queue(3)
    worker = cluster.another_worker("--threads", "1")
    slow.wait()
    worker.ask_to_stop()
    assert worker.is_running
    slow.release()

    assert worker.wait() == 0
    states = [QueuedRun.objects.get(pk=run.pk).state for run in runs]
    assert sorted(states) == ["done", "pending", "pending"]


def test_two_workers_deliver_thirty_runs_once_each(cluster: Cluster) -> None:
    cluster.worker.kill()
    cluster.executor.freeze()
    cluster.queue(10)  # more than one worker takes: both are at work before it begins
    workers = [cluster.another_worker() for _ in range(2)]
    leased = QueuedRun.objects.filter(state=RunState.LEASED)
    eventually(lambda: leased.values("lease_owner").distinct().count() == len(workers))
    cluster.executor.thaw()

    runs = [run for _ in range(3) for run in cluster.queue(10)]

    cluster.check_done_once(*runs)
    logs = [worker.log.read_text() for worker in workers]
    deliveries = [[log.count(f"{run.webhook_id} attempt") for log in logs] for run in runs]
    assert {sum(each) for each in deliveries} == {1}
    assert all(any(each) for each in zip(*deliveries, strict=True))


def redemption_of(run: QueuedRun) -> Redemption:
    return Redemption.objects.get(operation_token=run.operation_token_id, slot=run.occurrence)
