"""The bank: money and redemption id move together, once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from batchtokens_verifier.constraints import Amount
from examples.savings.bank import (
    OPENING_BALANCE,
    Bank,
    Deposit,
    InsufficientFunds,
    LeaseOver,
    Permit,
)

DEPOSIT = Deposit("op_1", "p0", "usr_alice", "chk-1042", "sav-7781", Amount(5000, "USD"))


def permit(redemption_id: str = "rdm_1", *, attempt: int = 1, seconds: int = 300) -> Permit:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return Permit(redemption_id, attempt, f"receipt-{attempt}", ends)


def balances(bank: Bank) -> dict[tuple[str, str], int]:
    return {(owner, number): balance.minor for owner, number, balance in bank.balances()}


def test_moves_money_between_the_persons_accounts(bank: Bank) -> None:
    bank.transfer(DEPOSIT, permit())
    assert balances(bank) == {
        ("usr_alice", "chk-1042"): OPENING_BALANCE - 5000,
        ("usr_alice", "sav-7781"): 5000,
    }


def test_a_known_redemption_moves_nothing_and_returns_its_transfer(bank: Bank) -> None:
    first = bank.transfer(DEPOSIT, permit())
    assert bank.transfer(DEPOSIT, permit(attempt=2)) == first
    assert balances(bank)["usr_alice", "sav-7781"] == 5000


def test_another_redemption_moves_money_again(bank: Bank) -> None:
    bank.transfer(DEPOSIT, permit("rdm_1"))
    bank.transfer(DEPOSIT, permit("rdm_2"))
    assert balances(bank)["usr_alice", "sav-7781"] == 10000


def test_moves_nothing_once_the_lease_is_over(bank: Bank) -> None:
    with pytest.raises(LeaseOver):
        bank.transfer(DEPOSIT, permit(seconds=0))
    assert (bank.latest(), bank.balances()) == ([], [])


@pytest.mark.parametrize(("more", "moves"), [(-1, True), (0, True), (1, False)])
def test_moves_no_more_than_is_there(more: int, moves: bool, bank: Bank) -> None:
    deposit = replace(DEPOSIT, amount=Amount(OPENING_BALANCE + more, "USD"))
    if not moves:
        with pytest.raises(InsufficientFunds):
            bank.transfer(deposit, permit())
        assert (bank.find("rdm_1"), bank.balances()) == (None, [])
    else:
        bank.transfer(deposit, permit())
        assert balances(bank)["usr_alice", "chk-1042"] == -more


def test_a_person_cannot_reach_the_accounts_of_another(bank: Bank) -> None:
    bank.transfer(DEPOSIT, permit("rdm_1"))
    bank.transfer(replace(DEPOSIT, owner="usr_bob"), permit("rdm_2"))
    assert balances(bank)["usr_alice", "chk-1042"] == OPENING_BALANCE - 5000
    assert balances(bank)["usr_bob", "sav-7781"] == 5000


def test_owes_the_authority_a_settling_until_it_is_marked(bank: Bank) -> None:
    transfer = bank.transfer(DEPOSIT, permit())
    assert bank.owed() == [transfer]
    bank.mark_settled("rdm_1", attempt=1)
    assert bank.owed() == []


def test_keeps_the_first_instant_of_settling(bank: Bank) -> None:
    bank.transfer(DEPOSIT, permit())
    bank.mark_settled("rdm_1", attempt=1)
    settled = bank.find("rdm_1")
    bank.mark_settled("rdm_1", attempt=1)
    assert bank.find("rdm_1") == settled


def test_keeps_everything_over_a_restart(bank: Bank, tmp_path: Path) -> None:
    transfer = bank.transfer(DEPOSIT, permit())
    assert Bank(tmp_path / "savings.sqlite3").find("rdm_1") == transfer


def test_eight_threads_move_one_redemption_once(bank: Bank) -> None:
    barrier = Barrier(8)
    moved = []

    def run(attempt: int) -> None:
        barrier.wait()
        moved.append(bank.transfer(DEPOSIT, permit(attempt=attempt)))

    threads = [Thread(target=run, args=(attempt,)) for attempt in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(moved), len(set(moved))) == (8, 1)
    assert balances(bank)["usr_alice", "sav-7781"] == 5000
