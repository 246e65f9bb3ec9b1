"""`executor_control` and `operation_type_control`: staff's hand on executors and types."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.management.base import Exit
from accounts.models import SecurityEvent
from batchtokens.models import EntryKind, ExecutorControl, LedgerEntry, OperationType
from batchtokens.models.clock import database_now
from batchtokens.services.ledger.find_decision import find_decision
from batchtokens.services.redemption.stop_executor import trip_breaker
from batchtokens_verifier.errors import ExecutorStopped, OperationHeld
from tests import factories, mandates
from tests.commands import Ended, ended

pytestmark = pytest.mark.django_db

WHY = ("--reason", "odd transfers", "--yes", "--operator", "olga")
CAP = ("set-caps", "savings", *WHY)


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def executor_control(*arguments: str) -> Ended:
    return ended("executor_control", *arguments)


def type_control(*arguments: str) -> Ended:
    return ended("operation_type_control", *arguments)


def decisions(*kinds: EntryKind) -> list[tuple[str, str]]:
    """Return who took the decisions of these kinds, and why."""
    own = LedgerEntry.objects.filter(operation_token=None, kind__in=kinds).order_by("seq")
    found = [find_decision(entry) for entry in own]
    return [(each.actor, each.reason) for each in found if each and each.is_as_recorded]


class TestExecutors:
    def test_is_stopped_and_started_with_who_and_why(self, world: mandates.Savings) -> None:
        shown = executor_control("stop", "savings", *WHY).rows
        assert (shown["stopped_by"], shown["done"]) == ("staff", "stopped")
        with pytest.raises(ExecutorStopped):
            mandates.redeem(world, mandates.issue(world))

        shown = executor_control("start", "savings", *WHY).rows
        assert (shown["is_running"], shown["reason"]) == (True, "odd transfers")
        kinds = (EntryKind.EXECUTOR_STOPPED, EntryKind.EXECUTOR_STARTED)
        assert decisions(*kinds) == [("operator:olga", "odd transfers")] * 2

    def test_shows_caps_uses_and_types(self, world: mandates.Savings) -> None:
        executor_control(*CAP, "--max-count-day", "5", "--max-minor-day", "9000", "--currency=USD")
        mandates.redeem(world, mandates.issue(world), now=database_now())
        type_control("stop", world.kind.name, *WHY)

        for shown in (executor_control("show", "savings").rows, executor_control().rows[0]):
            assert (shown["used_count_day"], shown["used_minor_day"]) == (1, 5000)
            assert shown["used_count_minute"] is None  # no cap counts it
            assert shown["types"] == [{"name": "savings.deposit", "is_active": False}]

    @pytest.mark.parametrize("form", ["table", "csv", "ndjson"])
    def test_shows_in_each_format(self, world: mandates.Savings, form: str) -> None:
        executor_control("stop", "savings", *WHY)

        for words in (("show", "savings"), ()):
            out = executor_control(*words, "--format", form).out
            assert all(word in out for word in ("savings.", "staff", "odd"))
            assert form != "csv" or "[{" not in out

    def test_shows_without_writing(self, world: mandates.Savings) -> None:
        assert [row["id"] for row in executor_control().rows] == ["savings"]
        assert executor_control("show", "savings").rows["is_running"]
        assert not ExecutorControl.objects.exists()

    def test_a_cap_that_is_left_out_stays(self, world: mandates.Savings) -> None:
        executor_control(*CAP, "--max-count-minute", "5", "--max-minor-day", "9", "--currency=USD")
        shown = executor_control(*CAP, "--max-count-day", "7").rows
        assert (shown["max_count_minute"], shown["max_count_day"]) == (5, 7)
        assert (shown["max_minor_day"], shown["currency"]) == (9, "USD")

        shown = executor_control(*CAP, "--max-count-minute", "none", "--max-minor-day=none").rows
        assert (shown["max_count_minute"], shown["max_count_day"]) == (None, 7)
        assert (shown["max_minor_day"], shown["currency"]) == (None, "")

    def test_closes_the_breaker(self, world: mandates.Savings) -> None:
        trip_breaker(executor=world.redeemer, cap="executor_use_count_within_cap")
        assert executor_control("show", "savings").rows["stopped_by"] == "breaker"

        executor_control("start", "savings", *WHY)

        assert not ExecutorControl.objects.get().stopped_by

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("stop", "savings"), "would be stopped"),
            (("start", "savings"), "was started before"),
            (("set-caps", "savings", "--max-count-day=5"), "would be capped"),
        ],
        ids=["stop", "start", "set-caps"],
    )
    def test_a_dry_run_changes_nothing(
        self, world: mandates.Savings, words: tuple[str, ...], told: str
    ) -> None:
        assert executor_control(*words, "--reason=x", "--dry-run").rows["done"] == told

        assert not ExecutorControl.objects.exists()
        assert not SecurityEvent.objects.filter(code__startswith="executor").exists()

    def test_a_second_stop_says_so(self, world: mandates.Savings) -> None:
        executor_control("stop", "savings", *WHY)

        assert executor_control("stop", "savings", *WHY).rows["done"] == "was stopped before"
        assert len(decisions(EntryKind.EXECUTOR_STOPPED)) == 1

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("stop", "savings", "--yes"), Exit.USAGE),
            (("stop", "savings", "--reason", " ", "--yes"), Exit.USAGE),
            (("stop", "savings", "--reason", "x" * 201, "--yes"), Exit.USAGE),
            (("stop", "savings", "--reason", "x"), Exit.USAGE),
            (("stop", *WHY), Exit.USAGE),
            (("stop", "", *WHY), Exit.USAGE),
            (("stop", "nobody", *WHY), Exit.NOTHING_MATCHED),
            (("show", "nobody"), Exit.NOTHING_MATCHED),
            (("savings",), Exit.USAGE),
            (("show", "savings", "--yes"), Exit.USAGE),
            (("stop", "savings", *WHY, "--max-count-day", "5"), Exit.USAGE),
            (CAP, Exit.USAGE),
            ((*CAP, "--max-minor-day", "5"), Exit.USAGE),
            ((*CAP, "--max-minor-day", "5", "--currency", "XXQ"), Exit.USAGE),
            ((*CAP, "--currency", "USD"), Exit.USAGE),
            ((*CAP, "--max-count-day", "0"), Exit.USAGE),
            ((*CAP, "--max-count-day", "-1"), Exit.USAGE),
            ((*CAP, "--max-count-day", "5.5"), Exit.USAGE),
            ((*CAP, "--max-count-day", str(2**31)), Exit.USAGE),
        ],
        ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else value.name,
    )
    def test_refuses_what_is_not_whole(
        self, world: mandates.Savings, words: tuple[str, ...], code: Exit
    ) -> None:
        told = executor_control(*words)

        assert (told.code, told.out) == (code, "")
        assert not ExecutorControl.objects.exists()

    def test_needs_no_more_statements_for_many(
        self, world: mandates.Savings, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(20):
            client = factories.service_client(f"bank-{number}").client
            ExecutorControl.objects.create(executor=client, max_count_day=5)

        with django_assert_max_num_queries(5):
            assert len(executor_control().rows) == 21


class TestTypes:
    def test_is_stopped_and_started_with_who_and_why(self, world: mandates.Savings) -> None:
        issued = mandates.issue(world)

        shown = type_control("stop", "savings.deposit", *WHY).rows
        assert (shown["is_active"], shown["done"], shown["live_mandates"]) == (False, "stopped", 1)
        with pytest.raises(OperationHeld):
            mandates.redeem(world, issued)
        shown = type_control("show", "savings.deposit").rows
        assert (shown["switched_by"], shown["reason"]) == ("operator:olga", "odd transfers")

        type_control("start", "savings.deposit", *WHY)
        assert mandates.redeem(world, issued).proceed
        kinds = (EntryKind.TYPE_STOPPED, EntryKind.TYPE_STARTED)
        assert decisions(*kinds) == [("operator:olga", "odd transfers")] * 2

    def test_shows_all(self, world: mandates.Savings) -> None:
        assert [row["id"] for row in type_control().rows] == ["savings.deposit"]
        for words in (("show", "savings.deposit"), ()):
            assert "savings.deposit" in type_control(*words, "--format", "table").out

    @pytest.mark.parametrize(
        ("verb", "told"), [("stop", "would be stopped"), ("start", "was started before")]
    )
    def test_a_dry_run_changes_nothing(self, world: mandates.Savings, verb: str, told: str) -> None:
        rows = type_control(verb, "savings.deposit", "--reason", "x", "--dry-run").rows

        assert rows["done"] == told
        assert OperationType.objects.get().is_active
        assert decisions(EntryKind.TYPE_STOPPED) == []

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("stop", "savings.deposit", "--yes"), Exit.USAGE),
            (("stop", "savings.deposit", "--reason", "x"), Exit.USAGE),
            (("stop", *WHY), Exit.USAGE),
            (("stop", "nothing", *WHY), Exit.NOTHING_MATCHED),
            (("show", "nothing"), Exit.NOTHING_MATCHED),
            (("savings.deposit",), Exit.USAGE),
        ],
        ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else value.name,
    )
    def test_refuses_what_is_not_whole(
        self, world: mandates.Savings, words: tuple[str, ...], code: Exit
    ) -> None:
        told = type_control(*words)

        assert (told.code, told.out) == (code, "")
        assert OperationType.objects.get().is_active
