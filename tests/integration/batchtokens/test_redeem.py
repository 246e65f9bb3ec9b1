"""Redemption at the service: one slot once, whoever asks, however often."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batchtokens.models import LedgerEntry, OperationToken, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens_verifier.claims import redemption_id
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import (
    IdempotencyMismatch,
    LimitExceeded,
    OperationMismatch,
    OutsideValidity,
    SlotAlreadyRedeemed,
    UnresolvedConstraint,
    VerificationError,
)
from tests import mandates

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
LEASE = timedelta(seconds=300)
VARIABLE = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}
THREE_DAYS: dict[str, Any] = {
    "schedule": "FREQ=DAILY;COUNT=3",
    "due_window": "PT1H",
    "periodic_limits": None,
    "max_occurrences": 3,
}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world)


def variable(world: mandates.Savings, **limits: Any) -> Issued:
    """Issue a mandate whose executor names the amount, at most 20.00 USD a run."""
    cap = {"max_individual_amount": {"amount": "20.00", "currency": "USD"}}
    return mandates.issue(world, operation=VARIABLE, **(cap | limits))


def usd(amount: str) -> Amount:
    return Amount.parse({"amount": amount, "currency": "USD"}, "")


def test_reserves_the_period_and_stores_the_receipt(
    world: mandates.Savings, issued: Issued
) -> None:
    answer = mandates.redeem(world, issued)

    assert (answer.proceed, answer.created, answer.redemption.slot) == (True, True, "p0")
    stored = Redemption.objects.get()
    assert (stored.status, stored.amount_minor, stored.currency) == ("reserved", 5000, "USD")
    assert stored.pk == redemption_id(issued.row.token_hash, "p0")
    assert stored.attempts.get().receipt == answer.attempt.receipt
    kinds = LedgerEntry.objects.of_operations().order_by("seq").values_list("kind", flat=True)
    assert list(kinds) == ["issued", "reserved"]


def test_a_retry_gets_the_first_receipt_and_permission_as_of_now(
    world: mandates.Savings, issued: Issued
) -> None:
    first = mandates.redeem(world, issued)
    again = mandates.redeem(world, issued)
    late = mandates.redeem(world, issued, now=first.at + LEASE)

    assert {first.attempt.receipt} == {again.attempt.receipt, late.attempt.receipt}
    assert (first.proceed, again.proceed, late.proceed) == (True, True, False)
    assert Redemption.objects.count() == 1


def test_a_retry_permits_no_longer_than_the_mandate_is_valid(
    world: mandates.Savings, issued: Issued
) -> None:
    end = issued.row.valid_to
    first = mandates.redeem(world, issued, now=end - LEASE / 2)
    assert first.attempt.lease_expires_at > end

    assert mandates.redeem(world, issued, now=end - timedelta(microseconds=1)).proceed
    assert not mandates.redeem(world, issued, now=end).proceed


def test_another_key_is_refused_while_the_lease_runs(
    world: mandates.Savings, issued: Issued
) -> None:
    first = mandates.redeem(world, issued, "run-1")

    with pytest.raises(SlotAlreadyRedeemed) as refusal:
        mandates.redeem(world, issued, "run-2", now=first.at + LEASE - timedelta(microseconds=1))

    assert refusal.value.redemption_id == first.redemption.pk


def test_a_refusal_names_the_redemption_of_the_slot_that_was_meant(
    world: mandates.Savings,
) -> None:
    """The named one; without a name, the earliest that is open."""
    issued = mandates.issue(world, periodic_limits=None, max_occurrences=2)
    taken = [mandates.redeem(world, issued, key).redemption for key in "ab"]

    for occurrence, meant in ((None, "p0.0"), ("p0.0", "p0.0"), ("p0.1", "p0.1")):
        with pytest.raises(SlotAlreadyRedeemed) as refusal:
            mandates.redeem(world, issued, "c", occurrence=occurrence)
        assert {refusal.value.redemption_id} == {each.pk for each in taken if each.slot == meant}


def test_a_slot_in_doubt_goes_to_the_next_key_with_the_same_id(
    world: mandates.Savings, issued: Issued
) -> None:
    first = mandates.redeem(world, issued, "run-1")
    second = mandates.redeem(world, issued, "run-2", now=first.at + LEASE)

    assert (second.created, second.proceed, second.attempt.attempt) == (False, True, 2)
    assert second.redemption.pk == first.redemption.pk
    assert second.attempt.receipt != first.attempt.receipt
    assert OperationToken.objects.get().taken_count == 1


def test_a_late_retry_of_an_old_key_never_spends_the_next_slot(
    world: mandates.Savings, issued: Issued
) -> None:
    first = mandates.redeem(world, issued, "run-1")
    retry = mandates.redeem(world, issued, "run-1", now=first.at + DAY)

    assert (retry.redemption.slot, retry.proceed) == ("p0", False)
    assert Redemption.objects.count() == 1


def test_the_next_period_has_its_own_slot(world: mandates.Savings, issued: Issued) -> None:
    start = issued.row.valid_from
    end_of_first = start + DAY - timedelta(microseconds=1)

    assert mandates.redeem(world, issued, "a", now=end_of_first).redemption.slot == "p0"
    assert mandates.redeem(world, issued, "b", now=start + DAY).redemption.slot == "p1"


@pytest.mark.parametrize("member", ["operation", "amount", "occurrence"])
def test_a_key_used_with_another_body_is_refused(
    world: mandates.Savings, issued: Issued, member: str
) -> None:
    mandates.redeem(world, issued)
    changes: dict[str, Any] = {
        "operation": {**mandates.OPERATION, "creditor_account": "evil"},
        "amount": usd("50.00"),
        "occurrence": "p0",
    }

    with pytest.raises(IdempotencyMismatch):
        mandates.redeem(world, issued, **{member: changes[member]})


@pytest.mark.parametrize("offset", [timedelta(microseconds=-1), timedelta(days=31)])
def test_outside_its_validity_it_is_refused(world: mandates.Savings, offset: timedelta) -> None:
    start = mandates.in_days(0.5)
    issued = mandates.issue(world, valid_from=start, periodic_limits=None)
    OperationToken.objects.update(last_at=issued.row.valid_from - DAY)

    with pytest.raises(OutsideValidity):
        mandates.redeem(world, issued, now=issued.row.valid_from + offset)


def test_a_scheduled_run_is_redeemed_inside_its_window_only(world: mandates.Savings) -> None:
    issued = mandates.issue(world, **THREE_DAYS)
    due = issued.row.valid_from + DAY
    end = due + timedelta(hours=1)

    assert mandates.redeem(world, issued, "a", occurrence="o1", now=end).redemption.slot == "o1"
    for key, instant in (("b", end + timedelta(microseconds=1)), ("c", due + 2 * DAY)):
        with pytest.raises(OutsideValidity):
            mandates.redeem(world, issued, key, occurrence="o1", now=instant)


def test_an_unknown_occurrence_is_refused(world: mandates.Savings) -> None:
    issued = mandates.issue(world, **THREE_DAYS)

    for occurrence in ("o3", "p0", "O0", "o-1", ""):
        with pytest.raises(OutsideValidity):
            mandates.redeem(world, issued, f"key-{occurrence}", occurrence=occurrence)


def test_without_a_name_the_earliest_open_run_is_taken(world: mandates.Savings) -> None:
    issued = mandates.issue(world, **(THREE_DAYS | {"due_window": "P3D"}))
    late = issued.row.valid_from + 2 * DAY

    slots = [mandates.redeem(world, issued, key, now=late).redemption.slot for key in "abc"]

    assert slots == ["o0", "o1", "o2"]


def test_a_missed_run_does_not_eat_the_next_periods_limit(world: mandates.Savings) -> None:
    limit = mandates.constraints()["periodic_limits"]
    issued = mandates.issue(world, **(THREE_DAYS | {"due_window": "P2D", "periodic_limits": limit}))
    late = issued.row.valid_from + DAY

    assert mandates.redeem(world, issued, "a", now=late).redemption.slot == "o0"
    assert mandates.redeem(world, issued, "b", now=late).redemption.slot == "o1"


def test_the_executor_names_a_variable_amount(world: mandates.Savings) -> None:
    issued = variable(world)

    answer = mandates.redeem(world, issued, operation=VARIABLE, amount=usd("19.99"))

    assert answer.redemption.amount_minor == 1999


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        (None, UnresolvedConstraint),
        (usd("20.01"), LimitExceeded),
        (Amount(1000, "EUR"), OperationMismatch),
    ],
)
def test_a_variable_amount_stays_within_its_cap(
    world: mandates.Savings, amount: Amount | None, refusal: type[VerificationError]
) -> None:
    issued = variable(world)

    with pytest.raises(refusal):
        mandates.redeem(world, issued, operation=VARIABLE, amount=amount)


def test_a_total_is_reached_and_never_passed(world: mandates.Savings) -> None:
    issued = variable(world, max_total={"amount": "30.00", "currency": "USD"})
    start = issued.row.valid_from + timedelta(hours=1)

    def redeem(day: int, amount: str) -> None:
        mandates.redeem(
            world,
            issued,
            f"{day}-{amount}",
            operation=VARIABLE,
            amount=usd(amount),
            now=start + day * DAY,
        )

    redeem(0, "20.00")
    with pytest.raises(LimitExceeded):
        redeem(1, "10.01")
    redeem(1, "10.00")
    with pytest.raises(LimitExceeded):
        redeem(2, "0.01")
    assert OperationToken.objects.get().taken_minor == 3000


def test_instants_never_decrease(world: mandates.Savings, issued: Issued) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    mandates.redeem(world, issued, now=later)

    again = mandates.redeem(world, issued, now=later - timedelta(hours=1))

    assert again.at == later
