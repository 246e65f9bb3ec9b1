"""What an executor may reserve in a minute and a day, its breaker, and the staff's switch."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import SecurityEvent
from batchtokens.errors import CapsNotValid
from batchtokens.models import (
    ExecutorControl,
    ExecutorUse,
    LedgerEntry,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.models.clock import database_now
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.operation_types.switch_operation_type import switch_operation_type
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from batchtokens.services.redemption.stop_executor import start_executor, stop_executor
from batchtokens_verifier.errors import ExecutorStopped, LimitExceeded, OperationHeld
from tests import mandates

pytestmark = pytest.mark.django_db


def cap(world: mandates.Savings, **caps: Any) -> ExecutorControl:
    return set_caps(executor=world.redeemer, caps=Caps(**caps), reason="test")


def kinds_of_the_authority() -> list[str]:
    own = LedgerEntry.objects.filter(operation_token=None).order_by("seq")
    return list(own.values_list("kind", flat=True))


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=1000)


@pytest.mark.parametrize(
    "caps",
    [
        {"max_count_minute": 2},
        {"max_count_day": 2},
        {"max_minor_minute": 10_000, "currency": "USD"},
        {"max_minor_day": 14_999, "currency": "USD"},
    ],
    ids=["count a minute", "count a day", "sum a minute", "sum a day"],
)
def test_one_more_than_a_cap_stops_the_executor(
    world: mandates.Savings, caps: dict[str, Any]
) -> None:
    cap(world, **caps)
    first, second, third = (mandates.issue(world) for _ in range(3))
    now = database_now()
    mandates.redeem(world, first, "1", now=now)
    mandates.redeem(world, second, "2", now=now)

    with pytest.raises(ExecutorStopped):
        mandates.redeem(world, third, "3", now=now)

    control = ExecutorControl.objects.get()
    assert (control.stopped_by, control.stopped_at) == ("breaker", now)
    assert Redemption.objects.count() == RedemptionAttempt.objects.count() == 2
    assert kinds_of_the_authority()[-1] == "executor_stopped"
    assert SecurityEvent.objects.filter(code="executor_stopped", data__by="breaker").count() == 1
    assert [findings for _, findings in verify_ledger() if findings] == []


def test_a_stopped_executor_stays_stopped_in_the_next_minute(world: mandates.Savings) -> None:
    cap(world, max_count_minute=1)
    first, second = mandates.issue(world), mandates.issue(world)
    now = database_now()
    mandates.redeem(world, first, "1", now=now)
    with pytest.raises(ExecutorStopped):
        mandates.redeem(world, second, "2", now=now)

    with pytest.raises(ExecutorStopped):
        mandates.redeem(world, second, "3", now=now + timedelta(minutes=2))
    start_executor(executor=world.redeemer, reason="looked into it")

    mandates.redeem(world, second, "4", now=now + timedelta(minutes=2))
    assert kinds_of_the_authority()[-2:] == ["executor_stopped", "executor_started"]


def test_the_next_minute_has_room_again(world: mandates.Savings) -> None:
    cap(world, max_count_minute=1)
    now = database_now()
    mandates.redeem(world, mandates.issue(world), "1", now=now)
    mandates.redeem(world, mandates.issue(world), "2", now=now + timedelta(minutes=1))

    assert not ExecutorControl.objects.get().stopped_by


def test_a_retry_counts_nothing(world: mandates.Savings) -> None:
    cap(world, max_count_day=1)
    issued = mandates.issue(world)
    for _ in range(3):
        mandates.redeem(world, issued, "same")

    assert ExecutorUse.objects.get().count == 1


def test_a_further_attempt_in_doubt_counts_nothing(world: mandates.Savings, settings: Any) -> None:
    cap(world, max_count_day=1, max_minor_day=5000, currency="USD")
    issued, now = mandates.issue(world), database_now()
    mandates.redeem(world, issued, "1", now=now)
    again = mandates.redeem(world, issued, "2", now=now + settings.REDEMPTION_LEASE)

    assert again.attempt.attempt == 2
    assert (ExecutorUse.objects.get().count, ExecutorUse.objects.get().minor) == (1, 5000)


def test_a_release_gives_nothing_back(world: mandates.Savings) -> None:
    cap(world, max_count_day=1)
    issued = mandates.issue(world)
    taken = mandates.redeem(world, issued, "1").redemption
    release_redemption(by=world.redeemer, closing=Closing(taken.pk, 1, "not done"))

    with pytest.raises(ExecutorStopped):
        mandates.redeem(world, issued, "2")


def test_another_currency_is_refused_where_sums_are_capped(world: mandates.Savings) -> None:
    cap(world, max_minor_day=10**6, currency="EUR")
    issued = mandates.issue(world)

    with pytest.raises(LimitExceeded):
        mandates.redeem(world, issued, "1")

    assert not Redemption.objects.exists()
    assert not ExecutorControl.objects.get().stopped_by


def test_counts_alone_take_every_currency(world: mandates.Savings) -> None:
    cap(world, max_count_day=5)
    mandates.redeem(world, mandates.issue(world), "1")

    assert (ExecutorUse.objects.get().count, ExecutorUse.objects.get().minor) == (1, 0)


def test_staff_stop_an_executor_for_retries_too(world: mandates.Savings) -> None:
    issued, other = mandates.issue(world), mandates.issue(world)
    assert mandates.redeem(world, issued, "1").proceed

    stop_executor(executor=world.redeemer, reason="odd transfers", actor="usr_x")

    assert not mandates.redeem(world, issued, "1").proceed
    with pytest.raises(ExecutorStopped):
        mandates.redeem(world, other, "2")
    stop_executor(executor=world.redeemer, reason="again")
    assert kinds_of_the_authority().count("executor_stopped") == 1

    start_executor(executor=world.redeemer, reason="all well")
    start_executor(executor=world.redeemer, reason="again")
    assert mandates.redeem(world, issued, "1").proceed
    assert mandates.redeem(world, other, "2").proceed
    assert kinds_of_the_authority().count("executor_started") == 1


def test_a_stopped_executor_settles_and_releases(world: mandates.Savings) -> None:
    first, second = (mandates.redeem(world, mandates.issue(world), key) for key in "ab")
    stop_executor(executor=world.redeemer, reason="odd transfers")

    settled = settle_redemption(by=world.redeemer, closing=Closing(first.redemption.pk, 1))
    released = release_redemption(by=world.redeemer, closing=Closing(second.redemption.pk, 1, "no"))

    assert (settled.status, released.status) == ("settled", "released")


def test_staff_keep_what_the_breaker_stopped(world: mandates.Savings) -> None:
    cap(world, max_count_day=1)
    for key, issued in (("1", mandates.issue(world)), ("2", mandates.issue(world))):
        try:
            mandates.redeem(world, issued, key)
        except ExecutorStopped:
            assert key == "2"
    assert ExecutorControl.objects.get().stopped_by == "breaker"

    stop_executor(executor=world.redeemer, reason="until Monday")

    assert ExecutorControl.objects.get().stopped_by == "staff"
    entry = LedgerEntry.objects.filter(operation_token=None).latest("seq")
    data = json.loads(entry.entry)["data"]
    assert (data["by"], data["executor"]) == ("staff", "savings")


def test_a_type_that_is_switched_off_stops_every_run(world: mandates.Savings) -> None:
    issued, other = mandates.issue(world), mandates.issue(world)
    mandates.redeem(world, issued, "1")

    switch_operation_type(name="savings.deposit", is_active=False, reason="fault")

    assert not mandates.redeem(world, issued, "1").proceed
    with pytest.raises(OperationHeld):
        mandates.redeem(world, other, "2")
    assert switch_operation_type(name="savings.deposit", is_active=False) == 0
    assert switch_operation_type(name="savings.deposit", is_active=True) == 1
    assert kinds_of_the_authority()[-2:] == ["type_stopped", "type_started"]
    assert mandates.redeem(world, other, "3").proceed


@pytest.mark.parametrize(
    "caps",
    [
        {"max_count_minute": 0},
        {"max_count_day": 2**31},
        {"max_minor_day": 5},
        {"currency": "USD"},
        {"max_minor_day": 5, "currency": "XXQ"},
        {"max_minor_day": 2**53, "currency": "USD"},
    ],
    ids=str,
)
def test_refuses_caps_that_cap_nothing(world: mandates.Savings, caps: dict[str, Any]) -> None:
    with pytest.raises(CapsNotValid):
        cap(world, **caps)
    assert not ExecutorControl.objects.exists()


def caps_told() -> list[dict[str, Any]]:
    entries = LedgerEntry.objects.filter(kind="executor_capped").order_by("seq")
    return [json.loads(entry.entry)["data"]["caps"] for entry in entries]


def test_the_ledger_tells_all_caps_that_hold(world: mandates.Savings) -> None:
    cap(world, max_count_day=5)
    set_caps(
        executor=world.redeemer,
        caps=Caps(max_minor_day=900, currency="USD"),
        named=("max_minor_day", "currency"),
        reason="test",
    )
    cap(world, max_minor_day=900, currency="USD")
    cap(world)

    assert caps_told() == [
        {"max_count_day": 5},
        {"max_count_day": 5, "max_minor_day": 900, "currency": "USD"},
        {"max_minor_day": 900, "currency": "USD"},
        {},
    ]
    assert [findings for _, findings in verify_ledger() if findings] == []


def test_the_same_caps_again_tell_nothing(world: mandates.Savings) -> None:
    for _ in range(2):
        cap(world, max_count_day=5)

    assert len(caps_told()) == SecurityEvent.objects.filter(code="executor_caps_set").count() == 1


def test_the_currency_goes_with_the_last_sum(world: mandates.Savings) -> None:
    cap(world, max_minor_day=900, max_minor_minute=9, currency="USD")
    for named in ("max_minor_day", "max_minor_minute"):
        control = set_caps(executor=world.redeemer, caps=Caps(), named=(named,), reason="test")

    assert (control.currency, caps_told()[-2:]) == (
        "",
        [{"max_minor_minute": 9, "currency": "USD"}, {}],
    )


def test_another_currency_takes_no_cap_along_that_is_not_named(world: mandates.Savings) -> None:
    cap(world, max_minor_day=900, currency="USD")

    with pytest.raises(CapsNotValid):
        set_caps(
            executor=world.redeemer,
            caps=Caps(max_minor_minute=5, currency="EUR"),
            named=("max_minor_minute", "currency"),
            reason="test",
        )

    assert ExecutorControl.objects.get().currency == "USD"
