"""A slot that is taken again, in doubt or released: its new lease, and where it counts by then."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from batchtokens.models import ExecutorUse, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.redemption.redeem import RedemptionAnswer
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.errors import IdempotencyMismatch, LimitExceeded
from tests import mandates

pytestmark = pytest.mark.django_db

DAY, LEASE, TICK = timedelta(days=1), timedelta(seconds=300), timedelta(microseconds=1)


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    """A mandate of two runs a week, and of one a day."""
    day = mandates.constraints()["periodic_limits"][0]
    week = day | {"period_type": "week", "amount": "100.00", "max_count": 2}
    return mandates.issue(world, periodic_limits=[week, day])


def release(world: mandates.Savings, answer: RedemptionAnswer) -> None:
    closing = Closing(answer.redemption.pk, answer.attempt.attempt, "bank is closed")
    release_redemption(by=world.redeemer, closing=closing, now=answer.at)


def stored() -> dict[str, Any]:
    names = ("status", "attempt", "counts_at", "reserved_at", "lease_expires_at")
    row: dict[str, Any] = Redemption.objects.values(*names, "reference", "closing_receipt").get()
    return row


def as_taken(at: datetime, *, counts_at: datetime) -> dict[str, Any]:
    return {
        "status": "reserved",
        "attempt": 2,
        "counts_at": counts_at,
        "reserved_at": at,
        "lease_expires_at": at + LEASE,
        "reference": "",
        "closing_receipt": "",
    }


def whole_ledger() -> bool:
    return not [findings for _, findings in verify_ledger() if findings]


def test_a_slot_in_doubt_counts_where_it_did(world: mandates.Savings, issued: Issued) -> None:
    """Its first attempt may have had its effect on that day, so the next day has room."""
    first = mandates.redeem(world, issued, "run-1")
    again = mandates.redeem(world, issued, "run-2", now=first.at + DAY)

    assert again.redemption.slot == "p0.0"
    assert stored() == as_taken(again.at, counts_at=first.at)
    assert mandates.redeem(world, issued, "run-3", now=again.at).redemption.slot == "p0.1"
    assert whole_ledger()


def test_a_released_slot_counts_when_it_is_taken(world: mandates.Savings, issued: Issued) -> None:
    """Nothing came of its first attempt: this is that day's one run."""
    first = mandates.redeem(world, issued, "run-1")
    release(world, first)
    again = mandates.redeem(world, issued, "run-2", now=first.at + DAY)

    assert again.redemption.slot == "p0.0"
    assert stored() == as_taken(again.at, counts_at=again.at)
    with pytest.raises(LimitExceeded):
        mandates.redeem(world, issued, "run-3", now=again.at)
    assert whole_ledger()


@pytest.mark.parametrize("released", [True, False], ids=["released", "in doubt"])
def test_the_new_lease_runs_from_now(
    world: mandates.Savings, issued: Issued, released: bool
) -> None:
    first = mandates.redeem(world, issued, "run-1")
    if released:
        release(world, first)
    again = mandates.redeem(world, issued, "run-2", now=first.at + 2 * LEASE)

    def permitted(key: str, at: datetime) -> bool:
        answer = mandates.redeem(world, issued, key, now=at)
        assert answer.attempt.lease_expires_at == (again if key == "run-2" else first).at + LEASE
        return answer.proceed

    assert not permitted("run-1", again.at)
    assert permitted("run-2", again.at + LEASE - TICK)
    assert not permitted("run-2", again.at + LEASE)


def test_only_a_released_slot_takes_of_the_executors_caps_again(
    world: mandates.Savings, issued: Issued
) -> None:
    """And takes of the day on which that happens."""
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=5), reason="test")
    first = mandates.redeem(world, issued, "run-1")
    doubted = mandates.redeem(world, issued, "run-2", now=first.at + DAY)
    release(world, doubted)
    mandates.redeem(world, issued, "run-3", now=first.at + 2 * DAY)

    midnight = first.at.replace(hour=0, minute=0, second=0, microsecond=0)
    uses = ExecutorUse.objects.order_by("starts_at").values_list("starts_at", "count")
    assert list(uses) == [(midnight, 1), (midnight + 2 * DAY, 1)]


def test_the_note_of_a_release_is_not_that_of_the_next_attempt(
    world: mandates.Savings, issued: Issued
) -> None:
    release(world, mandates.redeem(world, issued, "run-1"))
    again = mandates.redeem(world, issued, "run-2")
    closing = Closing(again.redemption.pk, again.attempt.attempt)

    assert again.redemption.reference == again.redemption.closing_receipt == ""
    settled = settle_redemption(by=world.redeemer, closing=closing)
    assert settled.reference == ""
    with pytest.raises(IdempotencyMismatch):
        settle_redemption(
            by=world.redeemer, closing=Closing(closing.redemption_id, 2, "bank is closed")
        )


def test_what_was_released_leaves_its_room_to_another_slot(
    world: mandates.Savings, issued: Issued
) -> None:
    first = mandates.redeem(world, issued, "run-1")
    release(world, first)

    assert mandates.redeem(world, issued, "run-2", occurrence="p0.1", now=first.at).proceed
    with pytest.raises(LimitExceeded):
        mandates.redeem(world, issued, "run-3", occurrence="p0.0", now=first.at)
