"""What redemption refuses: edited, swapped, forged, switched off; each refusal recorded once."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from accounts.errors import IdempotencyKeyMissing
from accounts.models import SecurityEvent, ServiceClient
from batchtokens.errors import LedgerBroken
from batchtokens.models import OperationToken, OperationType, Redemption
from batchtokens.services.issuing.issue import Issued
from batchtokens_verifier.constraints import Amount
from batchtokens_verifier.errors import (
    OperationHeld,
    OperationMismatch,
    OperationTokenNotValid,
    OutsideValidity,
)
from tests import factories, mandates

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("creditor_account", "sav-6666"),
        ("reference", "monthly savings "),
        ("amount", {"amount": "50.01", "currency": "USD"}),
        ("amount", {"amount": "50.00", "currency": "EUR"}),
        ("extra", "member"),
    ],
)
def test_an_edited_operation_moves_nothing(
    world: mandates.Savings, issued: Issued, member: str, value: object
) -> None:
    with pytest.raises(OperationMismatch):
        mandates.redeem(world, issued, operation={**mandates.OPERATION, member: value})

    assert not Redemption.objects.exists()


def test_tokens_swapped_between_two_jobs_are_refused(world: mandates.Savings) -> None:
    other = {**mandates.OPERATION, "creditor_account": "sav-9999"}
    mine, yours = mandates.issue(world), mandates.issue(world, operation=other)

    for token, operation in ((mine, other), (yours, mandates.OPERATION)):
        with pytest.raises(OperationMismatch):
            mandates.redeem(world, token, token.token[-9:], operation=operation)


def test_another_executor_cannot_redeem(world: mandates.Savings, issued: Issued) -> None:
    thief = factories.service_client("thief", scopes=["redeem"], audience="https://thief.example/")
    robbed = mandates.Savings(world.alice, world.trigger, thief, world.kind)

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(robbed, issued)


def test_an_audience_that_passes_to_another_client_takes_no_mandates_along(
    world: mandates.Savings, issued: Issued
) -> None:
    """A mandate is for one executor, and not for whoever answers to its name by now."""
    ServiceClient.objects.filter(pk=world.redeemer.pk).update(audience="https://moved.example/")
    heir = factories.service_client("heir", scopes=["redeem"], audience=mandates.EXECUTOR_AUDIENCE)

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(replace(world, executor=heir), issued)

    assert not Redemption.objects.exists()


def test_a_valid_signature_on_other_bytes_is_refused(
    world: mandates.Savings, issued: Issued
) -> None:
    """A leaked key could sign the same mandate again: only the issued bytes count."""
    OperationToken.objects.update(jws_digest=hashlib.sha256(b"other bytes").hexdigest()[:43])

    with pytest.raises(OperationTokenNotValid):
        mandates.redeem(world, issued)


def test_garbage_is_refused(world: mandates.Savings, issued: Issued) -> None:
    header, payload, signature = issued.token.split(".")
    for token in ("", "a.b.c", f"{header}.{payload}.", f"{header}.{payload}.{signature[::-1]}"):
        with pytest.raises(OperationTokenNotValid):
            mandates.redeem(world, Issued(token, issued.row), f"key-{len(token)}")


@pytest.mark.parametrize("switch", ["user", "executor", "trigger", "type"])
def test_whoever_is_switched_off_stops_it(
    world: mandates.Savings, issued: Issued, switch: str
) -> None:
    rows: dict[str, Any] = {
        "user": world.alice,
        "executor": world.executor.client,
        "trigger": world.trigger.client,
        "type": OperationType.objects.get(),
    }
    rows[switch].is_active = False
    rows[switch].save()

    with pytest.raises(OperationHeld):
        mandates.redeem(world, issued)


def test_a_row_that_is_not_what_its_ledger_says_is_not_redeemed(
    world: mandates.Savings, issued: Issued
) -> None:
    OperationToken.objects.update(holds=["staff"])

    with pytest.raises(LedgerBroken):
        mandates.redeem(world, issued)


def test_a_refusal_is_recorded_once_however_often_it_is_asked(
    world: mandates.Savings, issued: Issued
) -> None:
    edited = {**mandates.OPERATION, "creditor_account": "sav-6666"}
    for _ in range(3):
        with pytest.raises(OperationMismatch):
            mandates.redeem(world, issued, operation=edited)

    event = SecurityEvent.objects.get(code="operation_mismatch")
    assert (event.client, event.outcome) == (world.redeemer, "refused")


def test_what_is_over_is_told_so_whatever_is_asked_of_it(world: mandates.Savings) -> None:
    variable = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}
    cap = {"amount": "60.00", "currency": "USD"}
    issued = mandates.issue(world, operation=variable, max_individual_amount=cap)
    more, end = Amount(6001, "USD"), issued.row.valid_to

    with pytest.raises(OutsideValidity):
        mandates.redeem(world, issued, operation=variable, amount=more, now=end)


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_is_needed(world: mandates.Savings, issued: Issued, key: str) -> None:
    with pytest.raises(IdempotencyKeyMissing):
        mandates.redeem(world, issued, key)
