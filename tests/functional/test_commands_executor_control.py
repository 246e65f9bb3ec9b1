"""`executor_control`: staff's hand on one executor."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from batchtokens.models import ExecutorControl, LedgerEntry
from batchtokens.services.stop_executor import trip_breaker
from tests import mandates

pytestmark = pytest.mark.django_db


def run(capsys: Any, *arguments: str) -> Any:
    call_command("executor_control", *arguments, "--format", "json")
    return json.loads(capsys.readouterr().out)


def kinds() -> list[str]:
    entries = LedgerEntry.objects.filter(kind__startswith="executor").order_by("seq")
    return list(entries.values_list("kind", flat=True))


def test_shows_caps_stops_and_starts(world: mandates.Savings, capsys: Any) -> None:
    assert run(capsys, "show", "savings")["stopped_at"] is None
    assert not ExecutorControl.objects.exists()

    caps = ["--max-count-minute", "5", "--max-minor-day", "100000", "--currency", "USD"]
    shown = run(capsys, "set-caps", "savings", "--reason", "new", *caps)
    assert (shown["max_count_minute"], shown["max_minor_day"]) == (5, 100_000)
    assert run(capsys, "stop", "savings", "--reason", "odd")["stopped_by"] == "staff"
    shown = run(capsys, "start", "savings", "--reason", "well")
    assert (shown["stopped_by"], shown["max_count_minute"]) == ("", 5)
    assert kinds() == ["executor_stopped", "executor_started"]


def test_closes_the_breaker(world: mandates.Savings, capsys: Any) -> None:
    trip_breaker(executor=world.redeemer, cap="executor_use_count_within_cap")
    assert run(capsys, "show", "savings")["stopped_by"] == "breaker"

    run(capsys, "start", "savings", "--reason", "looked into it")

    assert not ExecutorControl.objects.get().stopped_by


@pytest.mark.parametrize(
    "arguments",
    [
        ["stop", "savings"],
        ["start", "savings", "--reason", " "],
        ["stop", "nobody", "--reason", "x"],
        ["set-caps", "savings", "--reason", "x", "--max-minor-day", "5"],
        ["set-caps", "savings", "--reason", "x", "--max-count-day", "0"],
    ],
    ids=" ".join,
)
def test_refuses_what_is_not_whole(world: mandates.Savings, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("executor_control", *arguments)
    assert not ExecutorControl.objects.exists()
