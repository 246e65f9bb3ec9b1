"""Where a redemption counts against its executor's caps, and against which of them."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest

from batchtokens.models import ExecutorUse, Redemption
from batchtokens.models.clock import database_now
from batchtokens.services.redemption.redeem import RedemptionAnswer, RedemptionRequest
from batchtokens.services.redemption.redeem_batch import Line, redeem_batch
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens_verifier.errors import ExecutorStopped
from tests import mandates

pytestmark = pytest.mark.django_db

RUN = 5000  # cents that each redemption moves
KINDS = {
    "count a minute": ("max_count_minute", 1),
    "count a day": ("max_count_day", 1),
    "sum a minute": ("max_minor_minute", RUN),
    "sum a day": ("max_minor_day", RUN),
}
OF_EACH_KIND = pytest.mark.parametrize(("cap", "unit"), KINDS.values(), ids=KINDS.keys())


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=1000)


def cap_at(world: mandates.Savings, **caps: Any) -> None:
    currency = "USD" if any("minor" in name for name in caps) else ""
    set_caps(executor=world.redeemer, caps=Caps(**caps, currency=currency), reason="test")


def test_a_late_run_counts_when_it_is_reserved(world: mandates.Savings) -> None:
    """In that minute and UTC day, whenever it was due and wherever the clock stands."""
    cap_at(world, max_count_minute=9, max_count_day=9)
    issued = mandates.issue(
        world, schedule="FREQ=DAILY;COUNT=3", due_window="P2D", periodic_limits=None
    )
    tomorrow = issued.row.valid_from + timedelta(days=1)
    late = tomorrow.replace(hour=17, minute=42, second=31, microsecond=5)
    far_east = timezone(timedelta(hours=14))

    mandates.redeem(world, issued, occurrence="o0", now=late.astimezone(far_east))

    uses = ExecutorUse.objects.order_by("starts_at").values_list("period", "starts_at", "count")
    assert list(uses) == [
        ("day", late.replace(hour=0, minute=0, second=0, microsecond=0), 1),
        ("minute", late.replace(second=0, microsecond=0), 1),
    ]


def test_a_batch_counts_each_of_its_lines_in_every_period(world: mandates.Savings) -> None:
    cap_at(world, max_count_minute=9, max_count_day=9, max_minor_day=9 * RUN)
    lines = [
        Line(f"run-{n}", RedemptionRequest(mandates.issue(world).token, mandates.OPERATION))
        for n in range(3)
    ]

    answers = redeem_batch(by=world.redeemer, lines=lines)

    assert [type(each) for each in answers] == [RedemptionAnswer] * 3
    day = ExecutorUse.objects.get(period="day")
    assert (day.count, day.minor) == (3, 3 * RUN)
    # A minute may end between two of them.
    assert sum(use.count for use in ExecutorUse.objects.filter(period="minute")) == 3


@OF_EACH_KIND
def test_a_cap_that_is_lowered_binds_at_once(world: mandates.Savings, cap: str, unit: int) -> None:
    now = database_now()
    cap_at(world, **{cap: 3 * unit})
    mandates.redeem(world, mandates.issue(world), "1", now=now)
    cap_at(world, **{cap: 1 * unit})

    with pytest.raises(ExecutorStopped):
        mandates.redeem(world, mandates.issue(world), "2", now=now)

    assert Redemption.objects.count() == 1


@OF_EACH_KIND
def test_a_cap_that_is_raised_gives_room_at_once(
    world: mandates.Savings, cap: str, unit: int
) -> None:
    now = database_now()
    cap_at(world, **{cap: 1 * unit})
    mandates.redeem(world, mandates.issue(world), "1", now=now)
    cap_at(world, **{cap: 2 * unit})

    mandates.redeem(world, mandates.issue(world), "2", now=now)
    with pytest.raises(ExecutorStopped):
        mandates.redeem(world, mandates.issue(world), "3", now=now)

    assert Redemption.objects.count() == 2
