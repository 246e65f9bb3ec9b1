"""POST /api/v1/queue: a trigger leaves its operation token until it is due."""

from __future__ import annotations

from typing import Any

import pytest

from batchtokens.models import QueuedRun
from batchtokens.models.operation_tokens import HoldKind
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.revoke import cancel_operation
from tests import factories, mandates
from tests.rest import QUEUE, Caller, code_of, job, machine, person, pointers_of

pytestmark = pytest.mark.django_db


def test_queues_the_run(trigger: Caller, issued: Issued) -> None:
    answer = trigger.post(QUEUE, job(issued))

    assert answer.status_code == 201
    assert answer.json()["operation_id"] == issued.row.public_id
    assert answer.json()["queued"] == 1
    assert QueuedRun.objects.get().state == "pending"


def test_queues_every_run_of_a_schedule(world: mandates.Savings, trigger: Caller) -> None:
    issued = mandates.issue(
        world, schedule="FREQ=DAILY;COUNT=4", due_window="PT1H", periodic_limits=None
    )

    answer = trigger.post(QUEUE, job(issued))

    assert answer.json()["queued"] == 4
    assert set(QueuedRun.objects.values_list("occurrence", flat=True)) == {"o0", "o1", "o2", "o3"}


def test_adds_nothing_the_second_time(trigger: Caller, issued: Issued) -> None:
    trigger.post(QUEUE, job(issued))

    again = trigger.post(QUEUE, job(issued))

    assert (again.status_code, again.json()["queued"]) == (200, 0)
    assert QueuedRun.objects.count() == 1


def test_seals_what_it_keeps(trigger: Caller, issued: Issued) -> None:
    trigger.post(QUEUE, job(issued))

    sealed = bytes(QueuedRun.objects.get().sealed)
    assert issued.token.encode() not in sealed
    assert b"sav-7781" not in sealed


@pytest.mark.parametrize(
    "tampered",
    [
        {"creditor_account": "sav-6666"},
        {"amount": {"amount": "5000.00", "currency": "USD"}},
        {"extra": "member"},
    ],
)
def test_refuses_a_tampered_copy(trigger: Caller, issued: Issued, tampered: dict[str, Any]) -> None:
    answer = trigger.post(QUEUE, job(issued, operation=mandates.OPERATION | tampered))

    assert code_of(answer) == (403, "operation_mismatch")
    assert QueuedRun.objects.count() == 0


def test_refuses_another_triggers_token(issued: Issued) -> None:
    thief = factories.service_client("thief", scopes=["token_exchange"])

    answer = machine(thief).post(QUEUE, job(issued))

    assert code_of(answer) == (403, "operation_token_not_valid")
    assert QueuedRun.objects.count() == 0


@pytest.mark.parametrize("change", ["x", " ", "\n"])
def test_refuses_bytes_that_were_not_issued(trigger: Caller, issued: Issued, change: str) -> None:
    answer = trigger.post(QUEUE, job(issued, operation_token=issued.token + change))

    assert code_of(answer) == (403, "operation_token_not_valid")


def test_refuses_an_access_token(world: mandates.Savings, trigger: Caller) -> None:
    body = {"operation_token": mandates.subject_token(world), "operation": mandates.OPERATION}

    assert code_of(trigger.post(QUEUE, body)) == (403, "operation_token_not_valid")


def test_refuses_a_held_operation(trigger: Caller, issued: Issued) -> None:
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER)

    assert code_of(trigger.post(QUEUE, job(issued))) == (403, "operation_held")


def test_refuses_a_cancelled_operation(trigger: Caller, issued: Issued) -> None:
    cancel_operation(operation_id=issued.row.pk, by=HoldKind.USER)

    assert code_of(trigger.post(QUEUE, job(issued))) == (403, "operation_revoked")


def test_is_for_clients_that_may_exchange(
    world: mandates.Savings, executor: Caller, issued: Issued
) -> None:
    assert code_of(executor.post(QUEUE, job(issued))) == (403, "insufficient_scope")
    assert code_of(person(world.alice).post(QUEUE, job(issued))) == (403, "permission_denied")
    assert code_of(Caller({}).post(QUEUE, job(issued))) == (401, "not_authenticated")


def test_does_not_open_to_the_operation_token_itself(issued: Issued) -> None:
    bearer = Caller(factories.bearer(issued.token))

    assert code_of(bearer.post(QUEUE, job(issued))) == (401, "token_not_valid")


def test_names_the_missing_members(trigger: Caller) -> None:
    answer = trigger.post(QUEUE, {})

    assert code_of(answer) == (400, "invalid")
    assert pointers_of(answer) == ["/operation_token", "/operation"]
