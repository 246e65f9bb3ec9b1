"""What the executor does and refuses, and that the money moves once whatever happens to it."""

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest

from examples.savings.bank import OPENING_BALANCE, Bank
from tests.unit.savings.authority import (
    OPERATION,
    FakeAuthority,
    problem,
    saved,
    status_at_authority,
)
from tests.unit.savings.conftest import Deliver

WRONG_SECRET = "whsec_" + "A" * 32


def test_moves_the_money_and_settles(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    answer = deliver(authority.token())
    assert answer.status == 200
    assert answer.json["receipt"] == "receipt-1"
    assert answer.json["redemption_id"] in authority.slots
    assert status_at_authority(authority) == ["settled"]
    assert saved(bank) == 5000


def test_stores_what_it_did_beside_the_redemption(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    answer = deliver(authority.token())
    [transfer] = bank.latest()
    assert transfer.redemption_id == answer.json["redemption_id"]
    assert (transfer.deposit.operation_id, transfer.deposit.slot) == ("op_1", "p0")
    assert transfer.deposit.owner == "usr_alice"
    assert transfer.settled_at is not None


def test_redeems_and_does_the_operation_of_the_token(
    deliver: Deliver, authority: FakeAuthority
) -> None:
    reordered = dict(reversed(OPERATION.items()))
    assert deliver(authority.token(), reordered).status == 200
    [redeemed, settled] = authority.bodies
    assert list(redeemed["operation"]) == list(OPERATION)
    assert redeemed["amount"] == OPERATION["amount"]
    assert settled == {"attempt": 1, "reference": "transfer-1"}


@pytest.mark.parametrize(
    "edit",
    [
        {"amount": {"amount": "5000.00", "currency": "USD"}},
        {"amount": {"amount": "50.00", "currency": "EUR"}},
        {"creditor_account": "sav-6666"},
        {"extra": "x"},
        {"reference": 1},
    ],
)
def test_refuses_a_copy_that_was_edited_in_the_queue(
    edit: dict[str, object], deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    answer = deliver(authority.token(), OPERATION | edit)
    assert (answer.status, answer.code) == (403, "operation_mismatch")
    assert saved(bank) == 0
    assert authority.calls["redemptions"] == 0


def test_refuses_a_delivery_that_is_not_signed(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    answer = deliver(authority.token(), secret=WRONG_SECRET)
    assert (answer.status, answer.code) == (401, "delivery_not_valid")
    assert bank.latest() == []


def test_refuses_a_delivery_whose_id_is_of_another_operation(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    answer = deliver(authority.token(), webhook_id="op_2.p0")
    assert (answer.status, answer.code) == (401, "delivery_not_valid")
    assert (authority.calls["redemptions"], bank.latest()) == (0, [])


def test_refuses_a_token_of_another_signer(deliver: Deliver, authority: FakeAuthority) -> None:
    answer = deliver(FakeAuthority().token())
    assert (answer.status, answer.code) == (403, "operation_token_not_valid")
    assert authority.calls["redemptions"] == 0


@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://loans.example/"}, {"iss": "https://evil.example"}, {"scope": "loans.pay"}],
)
def test_refuses_a_token_for_someone_else(
    claims: dict[str, Any], deliver: Deliver, authority: FakeAuthority
) -> None:
    answer = deliver(authority.token(**claims))
    assert (answer.status, answer.code) == (403, "operation_token_not_valid")
    assert authority.calls["redemptions"] == 0


@pytest.mark.parametrize("days", [-3, 3])
def test_refuses_outside_of_the_validity(
    days: int, deliver: Deliver, authority: FakeAuthority
) -> None:
    begin = datetime.now(UTC) + timedelta(days=days)
    iat = int(min(begin, datetime.now(UTC)).timestamp())
    token = authority.token(
        valid_from=begin,
        valid_to=begin + timedelta(days=1),
        iat=iat,
        nbf=max(iat, int(begin.timestamp())),
    )
    answer = deliver(token)
    assert (answer.status, answer.code) == (403, "outside_validity")
    assert authority.calls["redemptions"] == 0


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "operation_token_not_valid"),
        (403, "operation_held"),
        (403, "operation_revoked"),
        (403, "outside_validity"),
        (403, "limit_exceeded"),
        (422, "idempotency_mismatch"),
    ],
)
def test_hands_on_the_authoritys_refusal_as_final(
    status: int, code: str, deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["redemptions"] = problem(status, code)
    answer = deliver(authority.token())
    assert (answer.status, answer.code) == (status, code)
    assert bank.latest() == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_comes_again_when_the_authority_is_busy(
    status: int, deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["redemptions"] = problem(status, "busy")
    answer = deliver(authority.token())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert bank.latest() == []


def test_comes_again_when_its_own_secret_is_refused(
    deliver: Deliver, authority: FakeAuthority
) -> None:
    authority.refusals["redemptions"] = problem(401, "invalid_client")
    assert deliver(authority.token()).status == 502


def test_comes_again_when_there_are_no_keys(deliver: Deliver, authority: FakeAuthority) -> None:
    authority.refusals["jwks.json"] = problem(503, "down")
    assert deliver(authority.token()).status == 503


def test_does_not_act_without_permission_to_proceed(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.lease = timedelta(0)
    answer = deliver(authority.token())
    assert (answer.status, answer.code) == (503, "try_later")
    assert bank.latest() == []
    assert authority.calls["settle"] == 0


def test_does_not_act_for_another_amount_than_the_tokens(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.changes = {"amount": {"amount": "1.00", "currency": "USD"}}
    assert deliver(authority.token()).status == 503
    assert bank.latest() == []


def test_waits_while_another_run_holds_the_lease(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    authority.refusals["redemptions"] = problem(409, "slot_already_redeemed")
    answer = deliver(authority.token())
    assert (answer.status, answer.code) == (503, "try_later")
    assert answer.headers["Retry-After"] == "5"
    assert bank.latest() == []


def test_releases_the_slot_when_the_account_is_short(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    amount = {"amount": f"{OPENING_BALANCE // 100 + 1}.00", "currency": "USD"}
    operation = OPERATION | {"amount": amount}
    answer = deliver(authority.token(operation, cap=amount), operation)
    assert (answer.status, answer.code) == (422, "insufficient_funds")
    assert status_at_authority(authority) == ["released"]
    assert authority.bodies[-1] == {"attempt": 1, "reason": "insufficient_funds"}
    assert bank.latest() == []


def test_refuses_before_redeeming_when_the_token_names_no_account(
    deliver: Deliver, authority: FakeAuthority
) -> None:
    operation = {name: OPERATION[name] for name in ("action", "amount", "creditor_account")}
    answer = deliver(authority.token(operation), operation)
    assert (answer.status, answer.code) == (400, "invalid_operation")
    assert answer.json["errors"][0]["pointer"] == "/operation/debtor_account"
    assert authority.calls["redemptions"] == 0


def test_refuses_before_redeeming_when_the_token_leaves_the_amount_open(
    deliver: Deliver, authority: FakeAuthority
) -> None:
    operation = {name: value for name, value in OPERATION.items() if name != "amount"}
    answer = deliver(authority.token(operation), operation)
    assert (answer.status, answer.code) == (403, "unresolved_constraint")
    assert authority.calls["redemptions"] == 0


def test_eight_deliveries_at_once_move_the_money_once(
    deliver: Deliver, authority: FakeAuthority, bank: Bank
) -> None:
    token, barrier, statuses = authority.token(), Barrier(8), []

    def run(attempt: int) -> None:
        barrier.wait()
        statuses.append(deliver(token, attempt=attempt).status)

    # Half of them carry the same attempt, so the authority tells each of these to proceed.
    threads = [Thread(target=run, args=(max(1, n - 4),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert (saved(bank), len(bank.latest())) == (5000, 1)
    assert status_at_authority(authority) == ["settled"]
