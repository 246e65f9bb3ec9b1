"""An edited copy beside a good token redeems nothing, by service and over HTTP."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest

from batchtokens.models import LedgerEntry, Redemption, RedemptionAttempt
from batchtokens.services.issuing.issue import Issued
from batchtokens_verifier.errors import OperationMismatch
from tests import edits, mandates, rest

pytestmark = pytest.mark.django_db

SEED = 20261123
# Each is other bytes, and another operation or none; the rest of the body is good.
TEXTS = {
    "a member twice": ('"reference":', '"reference":"other","reference":'),
    "an amount twice": ('"amount":"50.00"', '"amount":"50.01","amount":"50.00"'),
    "a number": ('"50.00"', "50.00"),
    "an integer": ('"50.00"', "50"),
    "an exponent": ('"50.00"', '"5e1"'),
    "a name in other letters": ('"reference"', '"Reference"'),
    "an escaped space": ('"monthly savings"', '"monthly\\u00a0savings"'),
    "a lone surrogate": ('"monthly savings"', '"monthly savings\\ud800"'),
    "not a number": ('"50.00"', "NaN"),
    "a comment": ('"reference":', '/* */"reference":'),
    "a comma too many": ('"monthly savings"', '"monthly savings",'),
}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world)


def stored() -> tuple[int, int, int]:
    return (
        Redemption.objects.count(),
        RedemptionAttempt.objects.count(),
        LedgerEntry.objects.count(),
    )


@pytest.mark.slow
def test_the_service_refuses_every_edit(world: mandates.Savings, issued: Issued) -> None:
    before = stored()
    for number, edited in enumerate(islice(edits.edits(mandates.OPERATION, seed=SEED), 300)):
        with pytest.raises(OperationMismatch):
            mandates.redeem(world, issued, f"run-{number}", operation=edited)

    assert stored() == before
    assert mandates.redeem(world, issued, "run-as-signed").proceed


@pytest.mark.slow
def test_http_refuses_every_edit(world: mandates.Savings, issued: Issued) -> None:
    executor, before = rest.machine(world.executor), stored()
    for number, edited in enumerate(islice(edits.edits(mandates.OPERATION, seed=SEED + 1), 60)):
        answer = rest.redeem(executor, issued, f"run-{number}", operation=edited)
        assert rest.code_of(answer) in [(403, "operation_mismatch"), (400, "invalid")]

    assert stored() == before
    assert rest.redeem(executor, issued, "run-as-signed").status_code == 201


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_http_refuses_other_spellings(
    world: mandates.Savings, issued: Issued, text: tuple[str, str]
) -> None:
    body = json.dumps(rest.job(issued), separators=(",", ":"))
    assert text[0] in body

    before = stored()
    answer = rest.machine(world.executor).post(rest.REDEMPTIONS, body.replace(*text), key="run-1")

    assert rest.code_of(answer) in [(403, "operation_mismatch"), (400, "invalid")]
    assert stored() == before


def test_members_in_another_order_are_the_same_operation(
    world: mandates.Savings, issued: Issued
) -> None:
    reordered: dict[str, Any] = dict(reversed(mandates.OPERATION.items()))

    assert mandates.redeem(world, issued, operation=reordered).proceed
