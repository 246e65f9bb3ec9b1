"""`POST /api/v1/redemptions/batch`: what is refused, and that it spoils nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import SecurityEvent
from batchtokens.api import ndjson
from batchtokens.models import HoldKind, LedgerEntry, OperationToken, Redemption
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.redemption.set_caps import Caps, set_caps
from tests import mandates
from tests.batches import BATCH, answers, line, send, verdicts, whole_ledger
from tests.rest import Caller, code_of, machine

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> mandates.Savings:
    return mandates.savings(max_live_mandates=1000)


@pytest.fixture
def executor(world: mandates.Savings) -> Caller:
    return machine(world.executor)


def bad_and_good_lines(world: mandates.Savings) -> list[tuple[Any, tuple[int, str]]]:
    """Return lines, two of them good, each with its verdict."""
    good, held, last = (mandates.issue(world) for _ in range(3))
    hold_operation(operation_id=held.row.pk, by=HoldKind.USER)
    forged = good.token[:-4] + ("AAAA" if good.token[-4:] != "AAAA" else "BBBB")
    other = {**mandates.OPERATION, "reference": "other"}
    number = {"amount": 50, "currency": "USD"}
    invalid, reserved = (400, "invalid"), (201, "reserved")
    return [
        (b"{", invalid),
        (b'{"idempotency_key":"k1","idempotency_key":"k2"}', invalid),
        (b"[]", invalid),
        (b"\xff", invalid),
        (line(good, "good"), reserved),
        (line(good, ""), invalid),
        (line(good, "sp ace"), invalid),
        ({"operation_token": good.token, "operation": mandates.OPERATION}, invalid),
        (line(good, "more", colour="red"), invalid),
        (line(good, "typed", occurrence=7), invalid),
        (line(good, "money", amount=number), invalid),
        (line(good, "forged", operation_token=forged), (403, "operation_token_not_valid")),
        (line(good, "mixed", operation=other), (403, "operation_mismatch")),
        (line(held, "held"), (403, "operation_held")),
        (line(good, "again"), (409, "slot_already_redeemed")),
        (b'{"idempotency_key":"nul","operation":{"a":"\\u0000"},"operation_token":"x"}', invalid),
        (b'{"a":' + b"[" * 200_000, invalid),
        (b'{"idempotency_key":"long","operation_token":"' + b"x" * 70_000 + b'"}', invalid),
        (line(last, "last"), reserved),
    ]


def test_one_bad_line_spoils_no_other(world: mandates.Savings, executor: Caller) -> None:
    lines = bad_and_good_lines(world)

    read = answers(send(executor, *(sent for sent, _ in lines)))

    assert verdicts(read) == [verdict for _, verdict in lines]
    assert [each["line"] for each in read] == list(range(1, len(lines) + 1))
    assert Redemption.objects.count() == 2
    refused = SecurityEvent.objects.filter(outcome="refused").values_list("code", "data__run")
    assert set(refused) == {
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


def test_is_for_executors(world: mandates.Savings) -> None:
    issued = mandates.issue(world)
    assert code_of(send(machine(world.trigger), line(issued, "k"))) == (403, "insufficient_scope")
    assert code_of(send(Caller({}), line(issued, "k")))[0] == 401
    assert not LedgerEntry.objects.filter(kind="reserved").exists()
