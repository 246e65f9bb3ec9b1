"""Promises that more than one service keeps: permission as of now, retries for a day, one place."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import SessionFamily
from batchtokens.errors import LedgerBroken, SubjectTokenSpent
from batchtokens.models import OperationToken, QueuedRun, Redemption
from batchtokens.services.issuing.erase_sealed_tokens import erase_sealed_tokens
from batchtokens.services.issuing.exchange import exchange_access_token
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.introspect import INACTIVE, introspect_operation_token
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.errors import IdempotencyMismatch, OperationTokenNotValid
from tests import factories, mandates

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=300)
PLACES = [
    {
        "period_type": "day",
        "period_alignment": "consent",
        "time_zone": "UTC",
        "amount": "500.00",
        "currency": "USD",
        "max_count": 3,
    }
]


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world)


def queue(world: mandates.Savings, issued: Issued) -> int:
    return enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )[1]


@pytest.mark.parametrize("switch", ["user", "executor", "trigger", "type"])
def test_a_retry_permits_nothing_once_someone_is_switched_off(
    world: mandates.Savings, issued: Issued, switch: str
) -> None:
    mandates.redeem(world, issued)
    rows: dict[str, Any] = {
        "user": world.alice,
        "executor": world.executor.client,
        "trigger": world.trigger.client,
        "type": world.kind,
    }
    rows[switch].is_active = False
    rows[switch].save()

    assert mandates.redeem(world, issued).proceed is False


def test_an_old_attempts_retry_permits_nothing(world: mandates.Savings, issued: Issued) -> None:
    first = mandates.redeem(world, issued, "run-1")
    later = first.at + LEASE
    mandates.redeem(world, issued, "run-2", now=later)

    assert mandates.redeem(world, issued, "run-1", now=later).proceed is False


def test_a_retry_permits_nothing_after_the_end(world: mandates.Savings, issued: Issued) -> None:
    end = issued.row.valid_to
    first = mandates.redeem(world, issued, now=end - timedelta(seconds=1))

    assert first.proceed is True
    assert mandates.redeem(world, issued, now=end).proceed is False


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(status="released"),
        lambda rows: rows.update(amount_minor=1),
        lambda rows: rows.update(status="settled", settled_at="2026-01-01T00:00:00Z"),
    ],
)
def test_edited_redemptions_are_not_built_on(
    world: mandates.Savings, issued: Issued, change: Callable[[Any], int]
) -> None:
    mandates.redeem(world, issued, "run-1")
    change(Redemption.objects.all())

    with pytest.raises(LedgerBroken):
        mandates.redeem(world, issued, "run-2")


def test_a_slot_in_doubt_still_counts_where_it_was_taken(world: mandates.Savings) -> None:
    issued = mandates.issue(world, periodic_limits=None)
    first = mandates.redeem(world, issued, "run-1")
    mandates.redeem(world, issued, "run-2", now=first.at + timedelta(days=3))

    assert Redemption.objects.get().counts_at == first.at


def test_a_reopened_slot_shows_nothing_of_its_release(
    world: mandates.Savings, issued: Issued
) -> None:
    first = mandates.redeem(world, issued, "run-1")
    closing = Closing(first.redemption.pk, 1, "bank closed")
    release_redemption(by=world.redeemer, closing=closing)
    mandates.redeem(world, issued, "run-2")

    assert Redemption.objects.values_list("reference", "closing_receipt").get() == ("", "")


def test_a_doubtful_redemption_can_be_settled(world: mandates.Savings, issued: Issued) -> None:
    first = mandates.redeem(world, issued)

    settled = settle_redemption(
        by=world.redeemer, closing=Closing(first.redemption.pk, 1), now=first.at + LEASE
    )

    assert settled.status == "settled"


def test_an_exchange_is_repeated_after_its_subject_token_ended(world: mandates.Savings) -> None:
    request = mandates.exchange_request(world)
    keyed = type(request)(**{**vars(request), "idempotency_key": "k"})
    first = exchange_access_token(by=world.trigger.client, request=keyed)
    SessionFamily.objects.update(ended_at=first.row.issued_at, end_reason="logout")

    assert exchange_access_token(by=world.trigger.client, request=keyed).token == first.token
    other = type(request)(**{**vars(keyed), "scope": "savings.withdraw"})
    with pytest.raises(IdempotencyMismatch):
        exchange_access_token(by=world.trigger.client, request=other)


@pytest.mark.parametrize(("hours", "repeated"), [(23.9, True), (24, False)])
def test_an_exchange_is_repeated_for_a_day(
    world: mandates.Savings, hours: float, repeated: bool
) -> None:
    request = mandates.exchange_request(world)
    keyed = type(request)(**{**vars(request), "idempotency_key": "k"})
    first = exchange_access_token(by=world.trigger.client, request=keyed)
    later = first.row.issued_at + timedelta(hours=hours)

    if repeated:
        again = exchange_access_token(by=world.trigger.client, request=keyed, now=later)
        assert again.token == first.token
        return
    with pytest.raises(SubjectTokenSpent):
        exchange_access_token(by=world.trigger.client, request=keyed, now=later)


def test_the_copy_for_retries_is_erased_after_a_day(world: mandates.Savings) -> None:
    request = mandates.exchange_request(world)
    keyed = type(request)(**{**vars(request), "idempotency_key": "k"})
    until = exchange_access_token(by=world.trigger.client, request=keyed).row.sealed_until
    assert until is not None

    assert erase_sealed_tokens(now=until - timedelta(microseconds=1)) == 0
    assert erase_sealed_tokens(now=until) == 1
    assert OperationToken.objects.get().sealed_token is None


def test_other_bytes_are_inactive(world: mandates.Savings, issued: Issued) -> None:
    OperationToken.objects.update(jws_digest="x" * 43)

    assert introspect_operation_token(by=world.redeemer, token=issued.token) == INACTIVE


def test_another_trigger_cannot_queue_a_token_that_it_got_hold_of(
    world: mandates.Savings, issued: Issued
) -> None:
    rival = factories.service_client("rival", scopes=["token_exchange"])

    with pytest.raises(OperationTokenNotValid):
        enqueue_operation_token(by=rival.client, token=issued.token, operation=mandates.OPERATION)
    assert not QueuedRun.objects.exists()


def test_without_a_schedule_the_run_is_the_first_place(world: mandates.Savings) -> None:
    """What the queue delivers must be redeemable under the name that it says."""
    issued = mandates.issue(world, periodic_limits=PLACES)
    queue(world, issued)
    run = QueuedRun.objects.get()

    assert (run.occurrence, run.closes_at - run.due_at) == ("p0.0", timedelta(days=1))
    assert mandates.redeem(world, issued, occurrence=run.occurrence).proceed is True
