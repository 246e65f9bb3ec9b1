"""Slots at the boundaries of their windows and periods."""

from datetime import datetime
from typing import Any

import pytest

from batchtokens_verifier.constraints import Amount, Constraints, SlotPlan, plan_slots
from batchtokens_verifier.errors import OutsideValidity
from tests.unit.verifier.vectors import cases, load

FIFTY = Amount(5000, "USD")


def plan(constraints: dict[str, Any]) -> SlotPlan:
    return plan_slots(Constraints.parse(constraints, operation_amount=FIFTY))


@pytest.mark.parametrize("vector", cases("slots", "vectors"))
def test_slots_are_open_when_published(vector: dict[str, Any]) -> None:
    slots = plan(vector["constraints"])

    for moment in vector["open"]:
        names = [slot.name for slot in slots.open_at(datetime.fromisoformat(moment["at"]))]
        assert (moment["at"], names) == (moment["at"], moment["slots"])


@pytest.mark.parametrize("vector", cases("slots", "vectors"))
def test_every_slot_has_its_own_name(vector: dict[str, Any]) -> None:
    slots = plan(vector["constraints"])

    assert slots.capacity == len({slot.name for slot in slots.slots}) == vector["capacity"]
    assert all(slots.named(slot.name) == slot for slot in slots.slots)


@pytest.mark.parametrize("name", ["o12", "o-1", "o00", "p0", "o", "", "O0", "o0 ", "p0.0"])
def test_other_names_are_outside(name: str) -> None:
    monthly = plan(load("slots")["vectors"][0]["constraints"])

    with pytest.raises(OutsideValidity):
        monthly.named(name)


def test_due_run_counts_where_it_was_due() -> None:
    monthly = plan(load("slots")["vectors"][0]["constraints"])
    run = monthly.named("o1")

    assert monthly.counts_at(run, run.closes_at) == run.opens_at


def test_period_slot_counts_where_it_happens() -> None:
    months = plan(load("slots")["vectors"][4]["constraints"])
    at = datetime.fromisoformat("2026-03-01T00:00:00Z")

    assert months.counts_at(months.named("p1"), at) == at


def test_plan_is_a_pure_function() -> None:
    constraints = load("slots")["vectors"][0]["constraints"]

    assert plan(constraints) == plan(dict(reversed(constraints.items())))
