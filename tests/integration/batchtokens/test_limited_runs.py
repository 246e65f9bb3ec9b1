"""Runs for which the limits had no room are skipped: the person wanted no more (I7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from batchtokens.models import OperationToken
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.introspect import introspect_operation_token
from batchtokens.services.mandates.lower_limits import Limits, lower_limits
from batchtokens.services.mandates.occurrences import tell_occurrences
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens.services.reports.report_missed import report_missed
from batchtokens_verifier.constraints import Amount
from tests import mandates
from tests.budgets import budget

pytestmark = pytest.mark.django_db(transaction=True)
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
VARIABLE = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}


def usd(minor: int) -> Amount:
    return Amount(minor, "USD")


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def daily(world: mandates.Savings, **limits: Any) -> Issued:
    """Issue a mandate of five runs, one a day, each with an hour to happen."""
    schedule = {"schedule": "FREQ=DAILY;COUNT=5", "due_window": "PT1H", "periodic_limits": None}
    return mandates.issue(world, **schedule | limits)


def take(world: mandates.Savings, issued: Issued, number: int, **how: Any) -> None:
    """Redeem and settle one run, a second after it is due."""
    at = issued.row.valid_from + number * DAY + SECOND
    answer = mandates.redeem(world, issued, f"run-{number}", now=at, **how)
    settle_redemption(by=world.redeemer, closing=Closing(answer.redemption.pk, 1), now=at)


def lower(issued: Issued, number: int, after: timedelta = 2 * SECOND, **limits: Any) -> None:
    """Lower limits this long after a run is due."""
    at = issued.row.valid_from + number * DAY + after
    lower_limits(operation_id=issued.row.pk, limits=Limits(**limits), now=at)


def told(issued: Issued, days: float = 9) -> list[str]:
    row = OperationToken.objects.get(pk=issued.row.pk)
    ((_, found),) = tell_occurrences([row], at=row.valid_from + days * DAY)
    return [each.state.value for each in found]


@pytest.mark.parametrize(
    ("limits", "states"),
    [
        ({"max_occurrences": 1}, ["skipped"] * 4),
        ({"max_occurrences": 2}, ["missed"] * 4),
        ({"max_total": usd(5000)}, ["skipped"] * 4),
        ({"max_total": usd(9999)}, ["skipped"] * 4),
        ({"max_total": usd(10_000)}, ["missed"] * 4),
        ({"max_individual_amount": usd(4999)}, ["skipped"] * 4),
        ({}, ["missed"] * 4),
    ],
    ids=str,
)
def test_a_run_that_no_longer_fits_is_skipped(
    world: mandates.Savings, limits: dict[str, Any], states: list[str]
) -> None:
    issued = daily(world)
    take(world, issued, 0)
    lower(issued, 0, **limits)

    assert told(issued) == ["settled", *states]


def test_a_signed_total_that_is_used_up_skips_the_rest(world: mandates.Savings) -> None:
    issued = daily(world, max_total={"amount": "120.00", "currency": "USD"})
    take(world, issued, 0)
    take(world, issued, 2)

    assert told(issued) == ["settled", "missed", "settled", "skipped", "skipped"]


@pytest.mark.parametrize(
    ("total", "state"), [(6000, "missed"), (5001, "missed"), (5000, "skipped")], ids=str
)
def test_a_variable_amount_fits_as_long_as_anything_is_left(
    world: mandates.Savings, total: int, state: str
) -> None:
    cap = {"amount": "60.00", "currency": "USD"}
    issued = daily(world, operation=VARIABLE, max_individual_amount=cap)
    take(world, issued, 0, operation=VARIABLE, amount=usd(5000))
    lower(issued, 0, max_total=usd(total))

    assert told(issued) == ["settled", *[state] * 4]


@pytest.mark.parametrize(
    ("after", "state"), [(HOUR, "skipped"), (HOUR + SECOND, "missed")], ids=["within", "after"]
)
def test_only_what_was_lowered_before_its_window_closed_excuses_a_run(
    world: mandates.Savings, after: timedelta, state: str
) -> None:
    issued = daily(world)
    lower(issued, 1, after=after, max_individual_amount=usd(1))

    assert told(issued) == ["missed", state, "skipped", "skipped", "skipped"]


def test_what_was_skipped_stays_so_when_a_release_makes_room(world: mandates.Savings) -> None:
    issued = daily(world)
    lower(issued, 0, max_occurrences=1)
    at = issued.row.valid_from + 3 * SECOND
    answer = mandates.redeem(world, issued, "run-0", now=at)
    assert told(issued, 2.5)[1:] == ["skipped", "skipped"]

    release_redemption(
        by=world.redeemer, closing=Closing(answer.redemption.pk, 1, "no"), now=at + 3 * DAY
    )

    assert told(issued) == ["released", "skipped", "skipped", "missed", "missed"]


def test_a_taken_run_is_what_its_redemption_says(world: mandates.Savings) -> None:
    issued = daily(world)
    take(world, issued, 0)
    lower(issued, 0, max_occurrences=1, max_total=usd(1), max_individual_amount=usd(1))

    assert told(issued)[0] == "settled"


def test_without_a_schedule_the_first_period_may_be_skipped(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    lower(issued, 0, max_total=usd(4999))

    assert told(issued, 40) == ["skipped"]


def test_nobody_is_told_that_it_was_missed(world: mandates.Savings) -> None:
    issued = daily(world)
    lower(issued, 0, max_individual_amount=usd(1))

    assert sum(report_missed(now=issued.row.valid_from + 5 * DAY)) == 0


def test_costs_no_more_statements(world: mandates.Savings) -> None:
    rows = []
    for _ in range(3):
        issued = daily(world)
        lower(issued, 0, max_occurrences=1)
        rows.append(OperationToken.objects.get(pk=issued.row.pk))

    with budget(2):
        list(tell_occurrences(rows, at=rows[0].valid_from + 9 * DAY))


def test_introspection_tells_how_many_runs_there_may_be(world: mandates.Savings) -> None:
    issued = daily(world)
    lower_limits(operation_id=issued.row.pk, limits=Limits(max_occurrences=2))

    answer = introspect_operation_token(by=world.trigger.client, token=issued.token)

    assert answer["consumption"]["occurrences"] == 2


def test_a_count_above_the_slots_adds_none(world: mandates.Savings) -> None:
    issued = mandates.issue(world, max_occurrences=100)
    assert issued.row.max_occurrences < 100
    lower_limits(operation_id=issued.row.pk, limits=Limits(max_occurrences=90))

    answer = introspect_operation_token(by=world.trigger.client, token=issued.token)

    assert answer["consumption"]["occurrences"] == issued.row.max_occurrences
