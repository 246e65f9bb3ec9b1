"""The executor after a crash or a lost answer: the money moved once, and the run ends settled."""

from datetime import UTC, datetime

from examples.savings.bank import Bank
from examples.savings.executor import Executor
from tests.unit.savings.authority import (
    FakeAuthority,
    problem,
    saved,
    status_at_authority,
)
from tests.unit.savings.conftest import Deliver

WRONG_SECRET = "whsec_" + "A" * 32


def test_asks_again_with_the_same_key_when_the_answer_of_a_redemption_is_lost(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.lost["redemptions"] = 2
    assert deliver(authority.token()).status == 200
    [slot] = authority.slots.values()
    assert (slot.keys, slot.attempt) == ({"op_1.p0.1"}, 1)
    assert saved(bank) == 5000


def test_settles_after_a_crash_and_moves_nothing_again(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(503, "down")
    token = authority.token()
    assert deliver(token).status == 503
    assert saved(bank) == 5000
    del authority.refusals["settle"]
    answer = deliver(token, attempt=2)
    assert (answer.status, answer.json["receipt"]) == (200, "receipt-1")
    assert (saved(bank), authority.calls["redemptions"]) == (5000, 1)
    assert status_at_authority(authority) == ["settled"]


def test_settles_again_when_the_answer_of_the_settling_is_lost(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.lost["settle"] = 1
    token = authority.token()
    assert deliver(token).status == 503
    assert deliver(token, attempt=2).status == 200
    assert saved(bank) == 5000


def test_answers_a_duplicate_without_asking_the_authority(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    token = authority.token()
    first, second = deliver(token), deliver(token, attempt=2)
    assert (second.status, second.json) == (200, first.json)
    assert (authority.calls["redemptions"], authority.calls["settle"]) == (1, 1)
    assert saved(bank) == 5000


def test_settles_with_the_present_attempt_when_a_later_one_began(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(503, "down")
    token = authority.token()
    deliver(token)
    del authority.refusals["settle"]
    [slot] = authority.slots.values()
    # Another run began attempt 2 and died before it could find the money moved.
    slot.attempt, slot.lease_expires_at = 2, datetime.now(UTC)
    assert deliver(token, attempt=2).status == 200
    assert (slot.attempt, slot.status, saved(bank)) == (3, "settled", 5000)


def test_waits_for_the_lease_of_a_later_attempt(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(503, "down")
    token = authority.token()
    deliver(token)
    del authority.refusals["settle"]
    [slot] = authority.slots.values()
    slot.attempt = 2
    assert deliver(token, attempt=2).status == 503
    assert (slot.status, saved(bank)) == ("reserved", 5000)


def test_a_run_that_lost_its_lease_before_settling_comes_again(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(409, "lease_lost")
    answer = deliver(authority.token())
    assert (answer.status, answer.code) == (503, "try_later")
    assert len(bank.owed()) == 1


def test_settles_at_the_next_start_what_no_delivery_comes_for(
    deliver: Deliver, executor: Executor, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(503, "down")
    deliver(authority.token())
    del authority.refusals["settle"]
    executor.settle_owed()
    assert status_at_authority(authority) == ["settled"]
    assert bank.owed() == []


def test_leaves_to_a_later_sweep_what_another_attempt_holds(
    deliver: Deliver, executor: Executor, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(409, "lease_lost")
    deliver(authority.token())
    executor.settle_owed()
    assert len(bank.owed()) == 1


def test_owes_nothing_when_the_answer_to_a_later_attempts_settling_is_lost(
    deliver: Deliver, executor: Executor, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(503, "down")
    token = authority.token()
    deliver(token)
    del authority.refusals["settle"]
    [slot] = authority.slots.values()
    slot.attempt, slot.status = 2, "settled"
    executor.settle_owed()
    assert bank.owed() == []
    assert [each.attempt for each in bank.latest()] == [2]
    assert deliver(token, attempt=3).status == 200


def test_still_owes_what_a_later_attempt_has_not_settled(
    deliver: Deliver, executor: Executor, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["settle"] = problem(503, "down")
    deliver(authority.token())
    del authority.refusals["settle"]
    [slot] = authority.slots.values()
    slot.attempt = 2
    executor.settle_owed()
    assert len(bank.owed()) == 1
