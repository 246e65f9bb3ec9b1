"""`POST /api/v1/redemptions/batch`: every line as if it had come alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import OperationalError

from accounts.models import SecurityEvent
from batchtokens.api import ndjson
from batchtokens.models import (
    HoldKind,
    LedgerEntry,
    OperationToken,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.services import redeem_batch
from batchtokens.services.hold import hold_operation
from batchtokens.services.issue import Issued
from batchtokens.services.reserve import write_reservations
from batchtokens.services.stop_executor import Caps, set_caps
from batchtokens.services.verify_ledger import verify_ledger
from tests import mandates
from tests.rest import REDEMPTIONS, Caller, code_of, end_leases, job, machine, redeem

pytestmark = pytest.mark.django_db

BATCH = f"{REDEMPTIONS}/batch"
NDJSON = "application/x-ndjson"
VARIABLE = {name: value for name, value in mandates.OPERATION.items() if name != "amount"}


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=1000)


@pytest.fixture
def executor(world: mandates.Savings) -> Caller:
    return machine(world.executor)


def line(issued: Issued, key: str, **changes: Any) -> dict[str, Any]:
    return {"idempotency_key": key} | job(issued, **changes)


def send(executor: Caller, *lines: Any) -> Any:
    """Post lines: values as JSON, bytes as they are."""
    texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines]
    return executor.client.post(BATCH, b"\n".join(texts), NDJSON, headers=executor.headers)


def answers(answer: Any) -> list[Any]:
    assert answer.status_code == 200, answer.content
    assert answer.headers["Content-Type"] == NDJSON
    return [json.loads(each) for each in answer.content.decode().splitlines()]


def verdicts(read: list[Any]) -> list[tuple[int, str]]:
    return [(each["http_status"], each.get("code", each["status"])) for each in read]


def whole_ledger() -> bool:
    return not [findings for _, findings in verify_ledger() if findings]


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


def test_lines_of_one_token_are_decided_in_order(world: mandates.Savings, executor: Caller) -> None:
    issued = mandates.issue(
        world,
        operation=VARIABLE,
        max_individual_amount={"amount": "60.00", "currency": "USD"},
        periodic_limits=[
            {
                "period_type": "day",
                "period_alignment": "consent",
                "time_zone": "UTC",
                "amount": "100.00",
                "currency": "USD",
                "max_count": 3,
            }
        ],
    )

    def take(key: str, amount: str, **more: Any) -> dict[str, Any]:
        money = {"amount": amount, "currency": "USD"}
        return line(issued, key, operation=VARIABLE, amount=money, **more)

    read = answers(
        send(
            executor,
            take("a", "60.00"),
            take("b", "60.00"),
            take("c", "30.00", occurrence="p0.1"),
            take("a", "60.00"),
            take("c", "31.00", occurrence="p0.1"),
            take("d", "10.00", occurrence="p0.1"),
            take("e", "10.00"),
            take("f", "0.01"),
        )
    )

    assert verdicts(read) == [
        (201, "reserved"),
        (403, "limit_exceeded"),
        (201, "reserved"),
        (200, "reserved"),
        (422, "idempotency_mismatch"),
        (409, "slot_already_redeemed"),
        (201, "reserved"),
        (409, "slot_already_redeemed"),
    ]
    assert [each["remaining"]["period"]["amount"] for each in read if "receipt" in each] == [
        "40.00",
        "10.00",
        "40.00",
        "0.00",
    ]
    assert read[3]["receipt"] == read[0]["receipt"]
    row = OperationToken.objects.get(pk=issued.row.pk)
    assert (row.taken_count, row.taken_minor, row.seq) == (3, 10_000, 4)
    assert whole_ledger()


def test_one_bad_line_spoils_no_other(world: mandates.Savings, executor: Caller) -> None:
    good, held, last = (mandates.issue(world) for _ in range(3))
    hold_operation(operation_id=held.row.pk, by=HoldKind.USER)
    forged = good.token[:-4] + ("AAAA" if good.token[-4:] != "AAAA" else "BBBB")
    lines: list[Any] = [
        b"{",
        b'{"idempotency_key":"k1","idempotency_key":"k2"}',
        b"[]",
        b"\xff",
        line(good, "good"),
        line(good, ""),
        line(good, "sp ace"),
        {"operation_token": good.token, "operation": mandates.OPERATION},
        line(good, "more", colour="red"),
        line(good, "typed", occurrence=7),
        line(good, "money", amount={"amount": 50, "currency": "USD"}),
        line(good, "forged", operation_token=forged),
        line(good, "mixed", operation={**mandates.OPERATION, "reference": "other"}),
        line(held, "held"),
        line(good, "again"),
        b'{"idempotency_key":"nul","operation":{"a":"\\u0000"},"operation_token":"x"}',
        b'{"a":' + b"[" * 200_000,
        b'{"idempotency_key":"long","operation_token":"' + b"x" * 70_000 + b'"}',
        line(last, "last"),
    ]

    read = answers(send(executor, *lines))

    invalid = (400, "invalid")
    assert verdicts(read) == [
        *[invalid] * 4,
        (201, "reserved"),
        *[invalid] * 6,
        (403, "operation_token_not_valid"),
        (403, "operation_mismatch"),
        (403, "operation_held"),
        (409, "slot_already_redeemed"),
        *[invalid] * 3,
        (201, "reserved"),
    ]
    assert [each["line"] for each in read] == list(range(1, len(lines) + 1))
    assert Redemption.objects.count() == 2
    assert set(
        SecurityEvent.objects.filter(outcome="refused").values_list("code", "data__run")
    ) == {
        ("operation_token_not_valid", "forged"),
        ("operation_mismatch", "mixed"),
        ("operation_held", "held"),
        ("slot_already_redeemed", "again"),
    }
    assert whole_ledger()


def test_refusals_are_recorded_once(world: mandates.Savings, executor: Caller) -> None:
    issued = mandates.issue(world)
    lines = [line(issued, f"{n % 2}", operation={"action": "x"}) for n in range(6)]
    send(executor, *lines)
    send(executor, *lines)

    assert SecurityEvent.objects.filter(code="operation_mismatch").count() == 2


def test_starts_a_further_attempt_in_doubt(world: mandates.Savings, executor: Caller) -> None:
    issued = mandates.issue(world)
    first = redeem(executor, issued, "first").json()
    end_leases()

    retry, attempt = answers(send(executor, line(issued, "first"), line(issued, "second")))

    assert (retry["http_status"], retry["proceed"]) == (200, False)
    assert (attempt["http_status"], attempt["attempt"], attempt["proceed"]) == (200, 2, True)
    assert attempt["redemption_id"] == first["redemption_id"]
    assert whole_ledger()


def test_a_cap_lets_through_exactly_its_number(world: mandates.Savings, executor: Caller) -> None:
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=3), reason="test")
    lines = [line(mandates.issue(world), f"key-{n}") for n in range(6)]

    read = answers(send(executor, *lines))

    assert verdicts(read) == [(201, "reserved")] * 3 + [(403, "executor_stopped")] * 3
    assert Redemption.objects.count() == 3
    assert whole_ledger()


def test_a_cap_that_is_not_reached_is_counted_once_a_chunk(
    world: mandates.Savings, executor: Caller
) -> None:
    caps = Caps(max_count_day=3, max_minor_day=15_000, currency="USD")
    control = set_caps(executor=world.redeemer, caps=caps, reason="test")
    send(executor, *(line(mandates.issue(world), f"key-{n}") for n in range(3)))

    use = control.executor.uses.get()
    assert (use.count, use.minor) == (3, 15_000)


def test_a_broken_ledger_spoils_no_other_line(world: mandates.Savings, executor: Caller) -> None:
    broken, good = mandates.issue(world), mandates.issue(world)
    OperationToken.objects.filter(pk=broken.row.pk).update(taken_count=1)

    read = answers(send(executor, line(broken, "1"), line(good, "2")))

    assert verdicts(read) == [(503, "ledger_broken"), (201, "reserved")]


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


@pytest.mark.parametrize("body", [b"", b"\n\n"], ids=["empty", "blank"])
def test_refuses_an_empty_batch(executor: Caller, body: bytes) -> None:
    assert code_of(send(executor, body)) == (400, "invalid")


def test_refuses_too_many_lines_and_bytes(
    executor: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert code_of(send(executor, *[b"{}"] * (ndjson.MAX_LINES + 1))) == (413, "batch_too_large")
    monkeypatch.setattr(ndjson, "MAX_BYTES", 1000)
    assert code_of(send(executor, b"x" * 1001)) == (413, "batch_too_large")


def test_refuses_another_media_type(executor: Caller) -> None:
    answer = executor.post(BATCH, {"a": "b"})
    assert code_of(answer) == (415, "unsupported_media_type")


def test_takes_more_than_an_ordinary_body(world: mandates.Savings, executor: Caller) -> None:
    issued = mandates.issue(world)
    read = answers(send(executor, *(line(issued, f"key-{n}") for n in range(200))))

    assert verdicts(read) == [(201, "reserved")] + [(409, "slot_already_redeemed")] * 199


def test_is_for_executors(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    assert code_of(send(machine(world.trigger), line(issued, "k"))) == (403, "insufficient_scope")
    assert code_of(send(Caller({}), line(issued, "k")))[0] == 401
    assert not LedgerEntry.objects.filter(kind="reserved").exists()
