"""Whoever writes to the tables redeems nothing by it: a row counts with its ledger alone (I15)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchtokens.errors import LedgerBroken
from batchtokens.models import HoldKind, LedgerEntry, OperationToken, Redemption, RedemptionAttempt
from batchtokens.models.clock import database_now
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.redemption.settle import Closing, release_redemption, settle_redemption
from tests import mandates
from tests.guards import as_insider

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


def twice_a_day(world: mandates.Savings) -> Issued:
    limit = mandates.constraints()["periodic_limits"][0] | {"amount": "100.00", "max_count": 2}
    return mandates.issue(world, periodic_limits=[limit])


@pytest.mark.parametrize(
    "edit",
    [
        {"seq": 1},
        {"seq": 3},
        {"taken_count": 0},
        {"taken_minor": 0},
        {"taken_minor": 4999},
        {"settled_count": 1},
        {"head_hash": "A" * 43},
        {"lowered": {"max_occurrences": 9}},
    ],
    ids=str,
)
def test_an_edited_mandate(world: mandates.Savings, edit: dict[str, Any]) -> None:
    issued = twice_a_day(world)
    taken = mandates.redeem(world, issued, "run-1").redemption
    OperationToken.objects.update(**edit)

    with pytest.raises(LedgerBroken):
        mandates.redeem(world, issued, "run-2")
    with pytest.raises(LedgerBroken):
        mandates.redeem(world, issued, "run-1")  # nor is an earlier answer repeated
    with pytest.raises(LedgerBroken):
        settle_redemption(by=world.redeemer, closing=Closing(taken.pk, 1))
    assert Redemption.objects.get().status == "reserved"


@pytest.mark.parametrize(
    "edit",
    [
        {"status": "released"},
        {"status": "settled", "settled_at": database_now},
        {"amount_minor": 1},
    ],
    ids=["released", "settled", "amount"],
)
def test_an_edited_redemption(world: mandates.Savings, edit: dict[str, Any]) -> None:
    issued = twice_a_day(world)
    taken = mandates.redeem(world, issued, "run-1").redemption
    with as_insider():
        told = {name: value() if callable(value) else value for name, value in edit.items()}
        Redemption.objects.update(**told)

    with pytest.raises(LedgerBroken):
        mandates.redeem(world, issued, "run-2")
    with pytest.raises(LedgerBroken):
        release_redemption(by=world.redeemer, closing=Closing(taken.pk, 1, "not done"))


def test_a_redemption_that_is_gone(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    mandates.redeem(world, issued, "run-1")
    with as_insider():
        RedemptionAttempt.objects.all().delete()
        Redemption.objects.all().delete()

    with pytest.raises(LedgerBroken):
        mandates.redeem(world, issued, "run-2")
    assert not Redemption.objects.exists()


def test_a_hold_that_was_taken_out_of_the_row_and_its_last_entry(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    last = LedgerEntry.objects.filter(operation_token=issued.row).latest("seq")
    entry = json.loads(last.entry)
    entry["state"]["holds"] = []
    with as_insider():
        LedgerEntry.objects.filter(pk=last.pk).update(entry=json.dumps(entry))
        OperationToken.objects.update(holds=[])

    with pytest.raises(LedgerBroken):
        mandates.redeem(world, issued)
    assert not Redemption.objects.exists()
