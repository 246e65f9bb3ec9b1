"""Sums and counts at their limits, and the amount of one redemption."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchtokens_verifier.constraints import Amount, Constraints, Use, check_limits, resolve_amount
from batchtokens_verifier.errors import (
    LimitExceeded,
    OperationMismatch,
    ProblemError,
    UnresolvedConstraint,
)
from tests.unit.verifier.vectors import cases

FIXED = {"action": "a", "amount": {"amount": "50.00", "currency": "USD"}}
VARIABLE = {"action": "a"}
FIFTY = Amount(5000, "USD")
DAY = {"period_type": "day", "period_alignment": "calendar", "time_zone": "UTC"}


def bounded(**members: Any) -> Constraints:
    validity = {"valid_from": "2026-12-01T00:00:00Z", "valid_to": "2026-12-31T00:00:00Z"}
    return Constraints.parse(validity | members, operation_amount=FIFTY)


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


def use(at: str, minor: int = 5000) -> Use:
    return Use(datetime.fromisoformat(f"2026-12-{at}+00:00"), Amount(minor, "USD"))


@pytest.mark.parametrize("vector", cases("limits", "vectors"))
def test_limits_leave_what_is_published(vector: dict[str, Any]) -> None:
    operation = vector["operation"]
    fixed = Amount.parse(operation["amount"], "") if "amount" in operation else None
    limits = Constraints.parse(vector["constraints"], operation_amount=fixed)
    taken: list[Use] = []

    for wanted in vector["uses"]:
        named = Amount.parse(wanted["amount"], "") if "amount" in wanted else None
        at = datetime.fromisoformat(wanted["at"])
        try:
            new = Use(at, resolve_amount(operation, limits, named))
            found: dict[str, Any] = {"remaining": check_limits(limits, taken, new).as_json()}
            taken.append(new)
        except ProblemError as refusal:
            found = {"code": refusal.code}
        assert wanted == {name: wanted[name] for name in ("at", "amount") if name in wanted} | found


@pytest.mark.parametrize(("minor", "fits"), [(4999, True), (5000, True), (5001, False)])
def test_total_is_reached_and_not_passed(minor: int, fits: bool) -> None:
    constraints = bounded(max_total=money("100.00"))

    if fits:
        left = check_limits(constraints, [use("01T00:00:00")], use("02T00:00:00", minor))
        assert left.total == Amount(5000 - minor, "USD")
        return
    with pytest.raises(LimitExceeded):
        check_limits(constraints, [use("01T00:00:00")], use("02T00:00:00", minor))


@pytest.mark.parametrize(("taken", "fits"), [(0, True), (1, True), (2, False)])
def test_occurrences_are_reached_and_not_passed(taken: int, fits: bool) -> None:
    constraints = bounded(max_occurrences=2)
    uses = [use("01T00:00:00")] * taken

    if fits:
        assert check_limits(constraints, uses, use("02T00:00:00")).occurrences == 1 - taken
        return
    with pytest.raises(LimitExceeded):
        check_limits(constraints, uses, use("02T00:00:00"))


@pytest.mark.parametrize(("at", "fits"), [("01T23:59:59", False), ("02T00:00:00", True)])
@pytest.mark.parametrize("limit", [{"max_count": 1}, money("50.00")])
def test_period_ends_at_its_boundary(at: str, fits: bool, limit: dict[str, Any]) -> None:
    constraints = bounded(periodic_limits=[DAY | limit])

    if fits:
        check_limits(constraints, [use("01T00:00:00")], use(at))
        return
    with pytest.raises(LimitExceeded):
        check_limits(constraints, [use("01T00:00:00")], use(at))


def test_all_limits_count_not_only_the_first() -> None:
    month = DAY | {"period_type": "month", "max_count": 1}
    constraints = bounded(periodic_limits=[DAY | {"max_count": 5}, month])

    with pytest.raises(LimitExceeded):
        check_limits(constraints, [use("01T00:00:00")], use("20T00:00:00"))


def test_absent_max_count_does_not_cap() -> None:
    constraints = bounded(periodic_limits=[DAY | money("150.00")])

    left = check_limits(constraints, [use("01T00:00:00")] * 2, use("01T00:00:00"))

    assert left.as_json() == {"period": money("0.00"), "total": None, "occurrences": None}


def test_remaining_period_is_the_tightest() -> None:
    month = DAY | {"period_type": "month"} | money("60.00")
    constraints = bounded(periodic_limits=[DAY | money("90.00"), month])

    assert check_limits(constraints, [], use("01T00:00:00")).period == Amount(1000, "USD")


def test_without_limits_nothing_is_counted() -> None:
    left = check_limits(bounded(), [use("01T00:00:00")], use("01T00:00:00"))

    assert (left.period, left.total, left.occurrences) == (None, None, None)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 29), st.integers(1, 6000)), max_size=6))
def test_accepted_uses_never_pass_the_limits(wanted: list[tuple[int, int]]) -> None:
    constraints = bounded(periodic_limits=[DAY | money("80.00")], max_total=money("120.00"))
    taken: list[Use] = []

    for day, minor in wanted:
        new = use(f"{day:02}T12:00:00", minor)
        try:
            check_limits(constraints, taken, new)
        except LimitExceeded:
            continue
        taken.append(new)

    assert sum(one.amount.minor for one in taken) <= 12000
    for day in range(1, 30):
        assert sum(one.amount.minor for one in taken if one.counts_at.day == day) <= 8000


@pytest.mark.parametrize("presented", [None, FIFTY])
def test_fixed_amount_is_the_operations(presented: Amount | None) -> None:
    assert resolve_amount(FIXED, bounded(), presented) == FIFTY


@pytest.mark.parametrize(
    "presented", [Amount(4999, "USD"), Amount(5001, "USD"), Amount(5000, "EUR")]
)
def test_fixed_amount_is_not_the_executors(presented: Amount) -> None:
    with pytest.raises(OperationMismatch):
        resolve_amount(FIXED, bounded(), presented)


@pytest.mark.parametrize(("minor", "fits"), [(4999, True), (5000, True), (5001, False)])
def test_variable_amount_stays_below_its_cap(minor: int, fits: bool) -> None:
    constraints = bounded(max_individual_amount=money("50.00"))

    if fits:
        named = Amount(minor, "USD")
        assert resolve_amount(VARIABLE, constraints, named) == named
        return
    with pytest.raises(LimitExceeded):
        resolve_amount(VARIABLE, constraints, Amount(minor, "USD"))


def test_variable_amount_must_be_named() -> None:
    with pytest.raises(UnresolvedConstraint):
        resolve_amount(VARIABLE, bounded(max_individual_amount=money("50.00")), None)


def test_variable_amount_keeps_the_currency() -> None:
    with pytest.raises(OperationMismatch):
        resolve_amount(VARIABLE, bounded(max_individual_amount=money("50.00")), Amount(1, "EUR"))
