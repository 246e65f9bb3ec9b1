"""`POST /api/v1/redemptions/batch`: every line as if it had come alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from batchtokens.models import OperationToken, Redemption, RedemptionAttempt
from batchtokens.services.issuing.issue import Issued
from batchtokens.services.redemption import redeem_batch
from batchtokens.services.redemption.reserve import write_reservations
from tests import mandates
from tests.batches import answers, line, send, verdicts, whole_ledger
from tests.rest import Caller, end_leases, machine, redeem

pytestmark = pytest.mark.django_db

VARIABLE = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=1000)


@pytest.fixture
def executor(world: mandates.Savings) -> Caller:
    return machine(world.executor)


def test_answers_each_line_as_a_single_redemption(
    world: mandates.Savings, executor: Caller
) -> None:
    issued = [mandates.issue(world) for _ in range(3)]

    read = answers(send(executor, *(line(each, f"key-{n}") for n, each in enumerate(issued))))

    assert verdicts(read) == [(201, "reserved")] * 3
    assert [each["line"] for each in read] == [1, 2, 3]
    assert [each["idempotency_key"] for each in read] == ["key-0", "key-1", "key-2"]
    for number, each in enumerate(issued):
        alone = redeem(executor, each, f"key-{number}")
        place = {"line": number + 1, "idempotency_key": f"key-{number}", "http_status": 201}
        assert alone.status_code == 200
        assert alone.json() | place == read[number]
    assert Redemption.objects.count() == RedemptionAttempt.objects.count() == 3
    assert whole_ledger()


def test_the_same_batch_again_gets_the_same_bytes(
    world: mandates.Savings, executor: Caller
) -> None:
    lines = [line(mandates.issue(world), f"key-{n}") for n in range(5)]
    first = answers(send(executor, *lines))

    again = answers(send(executor, *lines))

    assert verdicts(again) == [(200, "reserved")] * 5
    assert [each["receipt"] for each in again] == [each["receipt"] for each in first]
    assert all(each["proceed"] for each in again)
    assert RedemptionAttempt.objects.count() == 5


def test_a_key_is_the_same_alone_and_in_a_batch(world: mandates.Savings, executor: Caller) -> None:
    issued, other = mandates.issue(world), mandates.issue(world)
    alone = redeem(executor, issued, "mine").json()

    same, another_body = answers(send(executor, line(issued, "mine"), line(other, "mine")))

    assert same["receipt"] == alone["receipt"]
    assert (another_body["http_status"], another_body["code"]) == (422, "idempotency_mismatch")
    assert OperationToken.objects.get(pk=other.row.pk).taken_count == 0


def variable(world: mandates.Savings) -> Issued:
    """Issue a mandate of three runs a day, of at most 60 USD each and 100 together."""
    day = {
        "period_type": "day",
        "period_alignment": "consent",
        "time_zone": "UTC",
        "amount": "100.00",
        "currency": "USD",
        "max_count": 3,
    }
    most = {"amount": "60.00", "currency": "USD"}
    return mandates.issue(
        world, operation=VARIABLE, max_individual_amount=most, periodic_limits=[day]
    )


def take(issued: Issued, key: str, amount: str, **more: Any) -> dict[str, Any]:
    money = {"amount": amount, "currency": "USD"}
    return line(issued, key, operation=VARIABLE, amount=money, **more)


def test_lines_of_one_token_are_decided_in_order(world: mandates.Savings, executor: Caller) -> None:
    issued = variable(world)
    asked_and_answered = [
        (take(issued, "a", "60.00"), (201, "reserved")),
        (take(issued, "b", "60.00"), (403, "limit_exceeded")),
        (take(issued, "c", "30.00", occurrence="p0.1"), (201, "reserved")),
        (take(issued, "a", "60.00"), (200, "reserved")),
        (take(issued, "c", "31.00", occurrence="p0.1"), (422, "idempotency_mismatch")),
        (take(issued, "d", "10.00", occurrence="p0.1"), (409, "slot_already_redeemed")),
        (take(issued, "e", "10.00"), (201, "reserved")),
        (take(issued, "f", "0.01"), (409, "slot_already_redeemed")),
    ]

    read = answers(send(executor, *(asked for asked, _ in asked_and_answered)))

    assert verdicts(read) == [answer for _, answer in asked_and_answered]
    left = [each["remaining"]["period"]["amount"] for each in read if "receipt" in each]
    assert left == ["40.00", "10.00", "40.00", "0.00"]
    assert read[3]["receipt"] == read[0]["receipt"]
    row = OperationToken.objects.get(pk=issued.row.pk)
    assert (row.taken_count, row.taken_minor, row.seq) == (3, 10_000, 4)
    assert whole_ledger()


def test_starts_a_further_attempt_in_doubt(world: mandates.Savings, executor: Caller) -> None:
    issued = mandates.issue(world)
    first = redeem(executor, issued, "first").json()
    end_leases()

    retry, attempt = answers(send(executor, line(issued, "first"), line(issued, "second")))

    assert (retry["http_status"], retry["proceed"]) == (200, False)
    assert (attempt["http_status"], attempt["attempt"], attempt["proceed"]) == (200, 2, True)
    assert attempt["redemption_id"] == first["redemption_id"]
    assert whole_ledger()


def test_answers_a_key_whose_token_cannot_be_verified_any_more(
    world: mandates.Savings, executor: Caller, settings: Any
) -> None:
    issued = mandates.issue(world)
    first = redeem(executor, issued, "key").json()
    settings.ISSUER_URL = "https://elsewhere.example"

    again, other = answers(send(executor, line(issued, "key"), line(issued, "new")))

    assert (again["http_status"], again["receipt"]) == (200, first["receipt"])
    assert (other["http_status"], other["code"]) == (403, "operation_token_not_valid")


def test_chunks_are_whole_or_absent(
    world: mandates.Savings, executor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redeem_batch, "CHUNK", 2)
    lines = [line(mandates.issue(world), f"key-{n}") for n in range(5)]
    write, calls = write_reservations, []

    def fail_second(reservations: Any) -> None:
        calls.append(reservations)
        write(reservations)
        if len(calls) == 2:
            raise OperationalError("the connection is gone")

    monkeypatch.setattr(redeem_batch, "write_reservations", fail_second)
    read = answers(send(executor, *lines))

    assert [each["http_status"] for each in read] == [201, 201, 503, 503, 201]
    assert {each.get("code") for each in read[2:4]} == {"unavailable"}
    assert OperationToken.objects.filter(taken_count=1).count() == Redemption.objects.count() == 3
    again = answers(send(executor, *lines))
    assert [each["http_status"] for each in again] == [200, 200, 201, 201, 200]
    assert [each["receipt"] for each in again[:2]] == [each["receipt"] for each in read[:2]]
    assert whole_ledger()


def test_takes_more_than_an_ordinary_body(world: mandates.Savings, executor: Caller) -> None:
    issued = mandates.issue(world)
    read = answers(send(executor, *(line(issued, f"key-{n}") for n in range(200))))

    assert verdicts(read) == [(201, "reserved")] + [(409, "slot_already_redeemed")] * 199
