"""Settling and releasing: facts about one attempt, which exclude each other for ever."""

from datetime import timedelta

import pytest

from batchtokens.errors import RedemptionNotFound, ReleaseLimitReached
from batchtokens.models import HoldKind, OperationToken, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.redemption.redeem import RedemptionAnswer
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import (
    IdempotencyMismatch,
    LeaseLost,
    OperationMismatch,
    SlotAlreadyRedeemed,
)
from tests import factories, mandates

pytestmark = pytest.mark.django_db

LEASE = timedelta(seconds=300)


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world)


@pytest.fixture
def redeemed(world: mandates.Savings, issued: Issued) -> RedemptionAnswer:
    return mandates.redeem(world, issued)


def closing(answer: RedemptionAnswer, *, note: str = "", attempt: int | None = None) -> Closing:
    return Closing(answer.redemption.pk, attempt or answer.attempt.attempt, note)


def test_settles(world: mandates.Savings, redeemed: RedemptionAnswer) -> None:
    settled = settle_redemption(by=world.redeemer, closing=closing(redeemed, note="tx-1"))

    assert (settled.status, settled.reference) == ("settled", "tx-1")
    assert settled.closing_receipt
    token = OperationToken.objects.get()
    assert (token.taken_count, token.settled_count, token.seq) == (1, 1, 3)


def test_settling_again_gives_the_same_receipt(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    receipts = {
        settle_redemption(by=world.redeemer, closing=closing(redeemed)).closing_receipt
        for _ in range(2)
    }

    assert len(receipts) == 1
    assert OperationToken.objects.get().settled_count == 1


def test_settling_again_with_another_reference_is_refused(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    settle_redemption(by=world.redeemer, closing=closing(redeemed, note="tx-1"))

    with pytest.raises(IdempotencyMismatch):
        settle_redemption(by=world.redeemer, closing=closing(redeemed, note="tx-2"))


def test_a_late_settle_records_the_fact(
    world: mandates.Savings, issued: Issued, redeemed: RedemptionAnswer
) -> None:
    """After lease end, cancel and exp: what happened has happened."""
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    after_exp = issued.row.valid_to + timedelta(days=1)

    settled = settle_redemption(by=world.redeemer, closing=closing(redeemed), now=after_exp)

    assert settled.status == "settled"


def test_a_slot_in_doubt_is_released_as_one_whose_lease_runs(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    """Whoever found out late that nothing happened ends the doubt."""
    late = redeemed.at + 2 * LEASE

    released = release_redemption(
        by=world.redeemer, closing=closing(redeemed, note="not done"), now=late
    )

    assert released.status == "released"
    assert OperationToken.objects.get().taken_count == 0


def test_a_zombie_cannot_settle_a_later_attempt(
    world: mandates.Savings, issued: Issued, redeemed: RedemptionAnswer
) -> None:
    second = mandates.redeem(world, issued, "run-2", now=redeemed.at + LEASE)

    with pytest.raises(LeaseLost):
        settle_redemption(by=world.redeemer, closing=closing(redeemed))
    assert settle_redemption(by=world.redeemer, closing=closing(second)).status == "settled"


def test_an_attempt_that_never_was_closes_nothing(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    for close in (settle_redemption, release_redemption):
        with pytest.raises(LeaseLost):
            close(by=world.redeemer, closing=closing(redeemed, attempt=2, note="x"))

    assert Redemption.objects.get().status == "reserved"


def test_another_executors_redemption_is_not_found(redeemed: RedemptionAnswer) -> None:
    thief = factories.service_client("thief", scopes=["redeem"], audience="https://thief.example/")

    for close in (settle_redemption, release_redemption):
        with pytest.raises(RedemptionNotFound):
            close(by=thief.client, closing=closing(redeemed))


def test_a_released_slot_is_free_again_at_the_same_amount_and_id(
    world: mandates.Savings, issued: Issued, redeemed: RedemptionAnswer
) -> None:
    release_redemption(by=world.redeemer, closing=closing(redeemed, note="bank closed"))
    assert OperationToken.objects.get().taken_count == 0

    again = mandates.redeem(world, issued, "run-2")

    assert (again.redemption.pk, again.attempt.attempt) == (redeemed.redemption.pk, 2)
    assert OperationToken.objects.get().taken_count == 1


def test_a_released_slot_has_its_amount_for_ever(world: mandates.Savings) -> None:
    operation = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}
    thirty, forty = Amount(3000, "USD"), Amount(4000, "USD")
    issued = mandates.issue(
        world, operation=operation, max_individual_amount=forty.as_json(), max_occurrences=2
    )
    first = mandates.redeem(world, issued, "1", operation=operation, amount=thirty)
    release_redemption(by=world.redeemer, closing=closing(first, note="no"))

    for slot, refusal in ((first.redemption.slot, OperationMismatch), (None, SlotAlreadyRedeemed)):
        with pytest.raises(refusal):
            mandates.redeem(world, issued, "2", operation=operation, amount=forty, occurrence=slot)

    again = mandates.redeem(world, issued, "3", operation=operation, amount=thirty)
    assert again.redemption.pk == first.redemption.pk


def test_settled_and_released_exclude_each_other(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    settle_redemption(by=world.redeemer, closing=closing(redeemed))

    with pytest.raises(LeaseLost):
        release_redemption(by=world.redeemer, closing=closing(redeemed, note="regret"))


def test_releasing_again_gives_the_same_receipt_for_the_same_reason_only(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    receipts = {
        release_redemption(by=world.redeemer, closing=closing(redeemed, note="no")).closing_receipt
        for _ in range(2)
    }
    assert len(receipts) == 1
    assert Redemption.objects.get().releases == 1

    with pytest.raises(IdempotencyMismatch):
        release_redemption(by=world.redeemer, closing=closing(redeemed, note="other"))


def test_the_instant_of_settling_is_kept(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    later = redeemed.at + timedelta(minutes=1)

    settle_redemption(by=world.redeemer, closing=closing(redeemed), now=later)

    assert Redemption.objects.get().settled_at == later


def test_what_was_released_cannot_be_settled(
    world: mandates.Savings, redeemed: RedemptionAnswer
) -> None:
    release_redemption(by=world.redeemer, closing=closing(redeemed, note="bank closed"))

    with pytest.raises(LeaseLost):
        settle_redemption(by=world.redeemer, closing=closing(redeemed))


def test_a_slot_is_released_three_times_at_most(
    world: mandates.Savings, issued: Issued, redeemed: RedemptionAnswer
) -> None:
    answer = redeemed
    for number in range(3):
        release_redemption(by=world.redeemer, closing=closing(answer, note="again"))
        answer = mandates.redeem(world, issued, f"retry-{number}")

    with pytest.raises(ReleaseLimitReached):
        release_redemption(by=world.redeemer, closing=closing(answer, note="again"))
    assert Redemption.objects.get().releases == 3
