"""Batches and caps under real concurrency: two orders of one set of rows, and the last of a cap."""

from __future__ import annotations

from threading import Event

import pytest
from django.db import connection, transaction

from batchtokens.errors import AuthorityBusy
from batchtokens.models import (
    ExecutorControl,
    ExecutorUse,
    LedgerEntry,
    OperationToken,
    Redemption,
)
from batchtokens.services.ledger.verify_ledger import verify_ledger
from batchtokens.services.redemption import redeem_batch as batches
from batchtokens.services.redemption.redeem import RedemptionAnswer, RedemptionRequest
from batchtokens.services.redemption.redeem_batch import Line, Outcome, redeem_batch
from batchtokens.services.redemption.set_caps import Caps, set_caps
from batchtokens_verifier.errors import ExecutorStopped, SlotAlreadyRedeemed
from tests import mandates
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgresql,
    pytest.mark.race,
    pytest.mark.slow,
]


def lines(tokens: list[str], prefix: str) -> list[Line]:
    return [
        Line(f"{prefix}-{number}", RedemptionRequest(token, mandates.OPERATION))
        for number, token in enumerate(tokens)
    ]


def check_ledger() -> None:
    assert [findings for _, findings in verify_ledger() if findings] == []


def test_opposite_batches_wait_for_each_other_and_do_not_lock_up() -> None:
    world = mandates.savings(max_live_mandates=1000)
    tokens = [mandates.issue(world).token for _ in range(60)]
    there, back = lines(tokens, "there"), lines(tokens[::-1], "back")

    def send(own: list[Line]) -> list[Outcome]:
        return redeem_batch(by=world.redeemer, lines=own)

    for _ in range(3):
        answers = at_once(lambda: send(there), lambda: send(back), lambda: send(there))
        kinds = {type(each) for answer in answers for each in answer}
        assert kinds <= {RedemptionAnswer, SlotAlreadyRedeemed}, kinds
    assert Redemption.objects.count() == len(tokens)
    assert LedgerEntry.objects.filter(kind="reserved").count() == len(tokens)
    check_ledger()


def test_the_same_batch_twice_at_once_makes_one_of_each() -> None:
    world = mandates.savings(max_live_mandates=1000)
    own = lines([mandates.issue(world).token for _ in range(40)], "same")

    first, second = at_once(*[lambda: redeem_batch(by=world.redeemer, lines=own)] * 2)

    for one, other in zip(first, second, strict=True):
        assert isinstance(one, RedemptionAnswer)
        assert isinstance(other, RedemptionAnswer)
        assert one.attempt.receipt == other.attempt.receipt
        assert [one.created, other.created].count(True) == 1
    check_ledger()


def test_a_row_that_somebody_holds_spoils_no_other_line() -> None:
    world = mandates.savings()
    busy, free = mandates.issue(world), mandates.issue(world)
    own = lines([busy.token, free.token], "line")
    held, over = Event(), Event()

    def hold() -> list[Outcome]:
        with transaction.atomic():
            OperationToken.objects.select_for_update().get(pk=busy.row.pk)
            held.set()
            over.wait(timeout=60)
        return []

    def send() -> list[Outcome]:
        held.wait(timeout=60)
        try:
            return redeem_batch(by=world.redeemer, lines=own)
        finally:
            over.set()

    _, (first, second) = at_once(hold, send, patient=False)

    assert isinstance(first, AuthorityBusy)
    assert isinstance(second, RedemptionAnswer)
    assert [isinstance(each, RedemptionAnswer) for each in send()] == [True, True]
    check_ledger()


@pytest.mark.parametrize("chunk", [1, 4, 500])
def test_a_cap_is_reached_and_never_passed(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(batches, "CHUNK", chunk)
    most, racers, each = 20, 6, 8
    world = mandates.savings(max_live_mandates=1000)
    set_caps(executor=world.redeemer, caps=Caps(max_count_day=most), reason="test")
    shares = [
        lines([mandates.issue(world).token for _ in range(each)], f"racer-{number}")
        for number in range(racers)
    ]

    def race(own: list[Line]) -> list[Outcome]:
        assert not connection.in_atomic_block
        return redeem_batch(by=world.redeemer, lines=own)

    answers = at_once(*[lambda own=own: race(own) for own in shares])

    outcomes = [outcome for answer in answers for outcome in answer]
    assert sum(isinstance(outcome, RedemptionAnswer) for outcome in outcomes) == most
    assert sum(isinstance(outcome, ExecutorStopped) for outcome in outcomes) == (
        racers * each - most
    )
    assert Redemption.objects.count() == ExecutorUse.objects.get().count == most
    assert ExecutorControl.objects.get().stopped_by == "breaker"
    stops = LedgerEntry.objects.filter(kind="executor_stopped")
    assert stops.count() == 1
    check_ledger()
