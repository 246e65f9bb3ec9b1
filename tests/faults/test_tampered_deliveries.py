"""An insider with the delivery secret posts what he likes: money moves once, if at all."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from batchtokens.models import HoldKind
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.revoke import cancel_operation
from tests import insiders, mandates
from tests.cluster import Cluster, check_ledger
from tests.insiders import EDITED, Job, codes_recorded_for, token_for_another

pytestmark = [pytest.mark.faults, pytest.mark.slow]


def edited(cluster: Cluster) -> tuple[Issued, Job]:
    issued = cluster.issue()
    return issued, Job(issued.token, EDITED)


def of_another_executor(cluster: Cluster) -> tuple[Issued, Job]:
    return cluster.issue(), Job(token_for_another(cluster.world), mandates.OPERATION)


def altered(cluster: Cluster) -> tuple[Issued, Job]:
    issued = cluster.issue()
    return issued, Job(insiders.alter(issued.token), EDITED)


def cancelled(cluster: Cluster) -> tuple[Issued, Job]:
    issued = cluster.issue()
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    return issued, Job(issued.token, mandates.OPERATION)


def held(cluster: Cluster) -> tuple[Issued, Job]:
    issued = cluster.issue()
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    return issued, Job(issued.token, mandates.OPERATION)


def past_its_window(cluster: Cluster) -> tuple[Issued, Job]:
    issued = cluster.issue(due_window="PT1S")
    time.sleep(1.1)
    return issued, Job(issued.token, mandates.OPERATION)


def before_its_start(cluster: Cluster) -> tuple[Issued, Job]:
    issued = cluster.issue(valid_from=mandates.in_days(0.5), schedule="FREQ=DAILY;COUNT=1")
    return issued, Job(issued.token, mandates.OPERATION)


# Who finds out: the executor by itself, or the authority, whose log then has the refusal.
ALONE, AUTHORITY = "executor", "authority"
POSTED: dict[Callable[[Cluster], tuple[Issued, Job]], tuple[str, str]] = {
    edited: ("operation_mismatch", ALONE),
    of_another_executor: ("operation_token_not_valid", ALONE),
    before_its_start: ("outside_validity", ALONE),
    altered: ("operation_token_not_valid", AUTHORITY),
    cancelled: ("operation_revoked", AUTHORITY),
    held: ("operation_held", AUTHORITY),
    past_its_window: ("outside_validity", AUTHORITY),
}


@pytest.mark.parametrize("make", POSTED, ids=lambda make: make.__name__)
def test_a_delivery_of_an_insiders_moves_nothing(
    cluster: Cluster, make: Callable[[Cluster], tuple[Issued, Job]]
) -> None:
    code, found_by = POSTED[make]
    issued, job = make(cluster)
    webhook_id = f"{issued.row.public_id}.o0"
    logged = cluster.executor.log.read_text().count(f"refused: {code}")

    answers = [post(cluster, job, webhook_id) for _ in range(2)]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(403, code)] * 2
    assert cluster.transfers_of(webhook_id) == []
    assert codes_recorded_for(webhook_id) == ([code] if found_by == AUTHORITY else [])
    assert cluster.executor.log.read_text().count(f"refused: {code}") == logged + 2


def test_a_delivery_without_the_workers_signature_is_refused(cluster: Cluster) -> None:
    issued = cluster.issue()
    webhook_id = f"{issued.row.public_id}.o0"

    answer = post(cluster, Job(issued.token, mandates.OPERATION), webhook_id, secret="whsec_Zm9y")

    assert (answer.status_code, answer.json()["code"]) == (401, "delivery_not_valid")
    assert cluster.transfers_of(webhook_id) == []


def test_a_run_put_back_into_the_queue_moves_its_money_once(cluster: Cluster) -> None:
    (run,) = cluster.queue()
    cluster.check_done_once(run)

    insiders.make_due(run)

    cluster.check_done_once(run)
    assert run.attempts == 2
    assert codes_recorded_for(run.webhook_id) == []


def test_a_job_posted_many_times_at_once_moves_its_money_once(cluster: Cluster) -> None:
    issued = cluster.issue()
    job, webhook_id = Job(issued.token, mandates.OPERATION), f"{issued.row.public_id}.o0"

    with ThreadPoolExecutor(8) as pool:
        posts = [pool.submit(post, cluster, job, webhook_id, attempt=n) for n in range(1, 9)]
        statuses = {each.result().status_code for each in posts}

    assert statuses <= {200, 503}
    assert 200 in statuses
    assert len(cluster.transfers_of(webhook_id)) == 1
    check_ledger()


def test_equal_jobs_whose_tokens_were_swapped_pay_each_mandate_once(cluster: Cluster) -> None:
    mine, yours = cluster.issue(), cluster.issue()
    ids = [f"{issued.row.public_id}.o0" for issued in (mine, yours)]
    jobs = [Job(issued.token, mandates.OPERATION) for issued in (yours, mine)]

    swapped = [post(cluster, job, webhook_id) for job, webhook_id in zip(jobs, ids, strict=True)]
    right = [
        post(cluster, job, webhook_id, attempt=2)
        for job, webhook_id in zip(jobs, ids[::-1], strict=True)
    ]

    assert [answer.json()["code"] for answer in swapped] == ["delivery_not_valid"] * 2
    assert [answer.status_code for answer in right] == [200] * 2
    assert [len(cluster.transfers_of(webhook_id)) for webhook_id in ids] == [1, 1]


def post(
    cluster: Cluster, job: Job, webhook_id: str, *, attempt: int = 1, secret: str = ""
) -> httpx.Response:
    executor = cluster.world.redeemer
    return insiders.deliver(
        executor.delivery_url,
        job,
        secret=secret or executor.delivery_secret(),
        webhook_id=webhook_id,
        occurrence=webhook_id.partition(".")[2],
        attempt=attempt,
    )
