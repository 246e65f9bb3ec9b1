"""Hold, resume, cancel: who may, what it stops, what it leaves (I6, I16)."""

import json

import pytest

from batchtokens.errors import HoldNotAllowed, OperationFinal, OperationNotFound
from batchtokens.models import HoldKind, LedgerEntry, OperationToken, QueuedRun, salted_digest
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import LIFTS, hold_operation, resume_operation
from batchtokens.services.mandates.revoke import cancel_operation
from batchtokens.services.mandates.words import Words
from batchtokens.services.queue.enqueue import enqueue_operation_token
from batchtokens_verifier.errors import OperationHeld, OperationRevoked
from tests import mandates

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings()


@pytest.fixture
def issued(world: mandates.Savings) -> Issued:
    return mandates.issue(world)


def test_a_held_operation_reserves_nothing_and_permits_nothing(
    world: mandates.Savings, issued: Issued
) -> None:
    mandates.redeem(world, issued, "before")
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER, words=Words(reason="on holiday"))

    with pytest.raises(OperationHeld):
        mandates.redeem(world, issued, "after")
    assert mandates.redeem(world, issued, "before").proceed is False


@pytest.mark.parametrize("setter", HoldKind)
@pytest.mark.parametrize("lifter", HoldKind)
def test_a_hold_is_lifted_by_its_setters_kind_and_a_clients_also_by_staff(
    issued: Issued, setter: HoldKind, lifter: HoldKind
) -> None:
    hold_operation(operation_id=issued.row.pk, by=setter)

    if lifter == setter or (setter, lifter) == (HoldKind.CLIENT, HoldKind.STAFF):
        assert resume_operation(operation_id=issued.row.pk, by=lifter).holds == []
    else:
        with pytest.raises(HoldNotAllowed):
            resume_operation(operation_id=issued.row.pk, by=lifter)
        assert OperationToken.objects.get().holds == [setter]


def test_each_kind_is_in_the_table_of_lifts() -> None:
    assert set(LIFTS) == set(HoldKind)


def test_two_holds_are_lifted_one_by_one(world: mandates.Savings, issued: Issued) -> None:
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.SYSTEM)
    resume_operation(operation_id=issued.row.pk, by=HoldKind.USER)

    with pytest.raises(OperationHeld):
        mandates.redeem(world, issued)


def test_holding_twice_is_one_entry(issued: Issued) -> None:
    for _ in range(2):
        hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)

    assert LedgerEntry.objects.filter(kind="held").count() == 1


def test_the_reason_is_in_the_ledger_as_a_salted_digest_only(issued: Issued) -> None:
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER, words=Words(reason="my divorce"))

    entry = LedgerEntry.objects.get(kind="held")
    assert entry.note == "my divorce"
    assert "divorce" not in entry.entry
    assert json.loads(entry.entry)["data"]["note"].startswith("sha-256:")


def test_cancel_is_final(world: mandates.Savings, issued: Issued) -> None:
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)

    with pytest.raises(OperationRevoked):
        mandates.redeem(world, issued)
    for change in (hold_operation, resume_operation, cancel_operation):
        with pytest.raises(OperationFinal):
            change(operation_id=issued.row.pk, by=HoldKind.STAFF)


def test_cancel_sets_waiting_runs_aside(world: mandates.Savings, issued: Issued) -> None:
    enqueue_operation_token(
        by=world.trigger.client, token=issued.token, operation=mandates.OPERATION
    )

    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)

    run = QueuedRun.objects.get()
    assert (run.state, run.code) == ("dead", "operation_revoked")


def test_an_unknown_operation_is_not_found(issued: Issued) -> None:
    with pytest.raises(OperationNotFound):
        hold_operation(operation_id=issued.row.operation_type_id, by=HoldKind.STAFF)


def test_the_ledger_keeps_a_salted_digest_of_who_decided(
    world: mandates.Savings, issued: Issued
) -> None:
    who = world.alice.public_id
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER, words=Words(who))

    data = json.loads(LedgerEntry.objects.get(kind="held").entry)["data"]
    assert data["actor"] == salted_digest(bytes(issued.row.salt), who)
