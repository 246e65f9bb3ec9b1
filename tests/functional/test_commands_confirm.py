"""What a command asks at a terminal: only yes is yes, and what will change is said before."""

from __future__ import annotations

from io import StringIO

import pytest

from accounts.management.base import Exit
from batchtokens.models import ExecutorControl, OperationType
from batchtokens.services.redemption.stop_executor import stop_executor
from tests import mandates
from tests.commands import Ended, ended

pytestmark = pytest.mark.django_db

WHY = ("--reason", "odd transfers")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def typed(monkeypatch: pytest.MonkeyPatch, answer: str, *words: str) -> Ended:
    """Run a command and answer its question; "" is the end of what is typed, Ctrl-D."""
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    return ended(*words, *WHY)


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yess\n"])
def test_all_but_yes_changes_nothing(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    told = typed(monkeypatch, answer, "executor_control", "stop", "savings")

    assert (told.code, told.out) == (Exit.REFUSED, "")
    assert not ExecutorControl.objects.exists()


@pytest.mark.parametrize("answer", ["y\n", "Yes \n"])
def test_yes_is_yes(world: mandates.Savings, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    told = typed(monkeypatch, answer, "operation_type_control", "stop", "savings.deposit")

    assert (told.code, told.rows["done"]) == (Exit.OK, "stopped")
    assert not OperationType.objects.get().is_active


def test_who_answers_late_is_told_that_it_was_so(
    world: mandates.Savings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(_: Terminal) -> str:
        stop_executor(executor=world.redeemer, reason="faster")
        return "y\n"

    monkeypatch.setattr(Terminal, "readline", meanwhile)
    told = typed(monkeypatch, "", "executor_control", "stop", "savings")

    assert (told.rows["done"], told.rows["reason"]) == ("was stopped before", "faster")


def test_says_which_caps_change(world: mandates.Savings, monkeypatch: pytest.MonkeyPatch) -> None:
    caps = ("--max-count-day", "7", "--max-minor-day=5", "--currency", "usd")
    typed(monkeypatch, "y\n", "executor_control", "set-caps", "savings", *caps)
    told = typed(
        monkeypatch, "n\n", "executor_control", "set-caps", "savings", "--max-count-day", "none"
    )

    assert "max_count_day: 7 → none" in told.said
    assert "max_minor_day" not in told.said
    assert ExecutorControl.objects.get().currency == "USD"
