"""Runs whose window closed on a hold: skipped for good; a later hold excuses none."""

from datetime import timedelta

import pytest

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models import HoldKind, QueuedRun, RunState
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation, resume_operation
from batchtokens.services.mandates.occurrences import tell_occurrences
from batchtokens.services.queue.dispatch import claim_runs
from batchtokens.services.queue.enqueue import enqueue_operation_token
from tests import mandates, reissues

pytestmark = pytest.mark.django_db


@pytest.fixture
def queued() -> Issued:
    world = mandates.savings()
    issued = mandates.issue(
        world, schedule="FREQ=DAILY;COUNT=3", due_window="PT1H", periodic_limits=None
    )
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )
    return issued


def test_what_its_window_closed_on_stays_skipped_after_the_resume(queued: Issued) -> None:
    hold_operation(operation_id=queued.row.pk, by=HoldKind.USER)
    first, second = QueuedRun.objects.order_by("due_at")[:2]
    # No worker looked until the hold was gone.
    resume_operation(
        operation_id=queued.row.pk, by=HoldKind.USER, now=first.closes_at + timedelta(seconds=1)
    )

    claimed = claim_runs(owner="worker", limit=10, now=second.due_at)

    assert [run.occurrence for run in claimed] == ["o1"]
    first.refresh_from_db()
    assert (first.state, first.code) == (RunState.DEAD, "operation_held")


def test_a_hold_after_its_window_excuses_no_run(queued: Issued) -> None:
    run = QueuedRun.objects.order_by("due_at")[0]
    late = run.closes_at + timedelta(seconds=1)
    hold_operation(operation_id=queued.row.pk, by=HoldKind.USER, now=late)

    assert claim_runs(owner="worker", limit=10, now=late) == []

    run.refresh_from_db()
    assert (run.state, run.code) == (RunState.DEAD, "outside_validity")


def test_a_window_that_closed_while_a_signature_was_disowned_was_skipped() -> None:
    ensure_signing_keys()
    world = mandates.savings()
    issued = mandates.issue(world, **reissues.DAILY)
    row = reissues.compromise(issued)

    ((_, before),) = tell_occurrences([row], at=row.valid_from + timedelta(hours=20))
    reissues.reissue()
    ((_, after),) = tell_occurrences([row], at=row.valid_to)

    assert [each.state for each in before] == ["skipped"]
    assert [each.state for each in after] == ["missed"] * 3  # it was signed anew at once
