"""A bank for the example: accounts and transfers in SQLite, amounts in integer minor units.

`transfer` moves the money and stores the redemption id, which is unique, in ONE transaction: that
makes the effect single, not the authority's lease. Accounts belong to a person (`owner`) and open
with play money at first use, so a mandate reaches nobody else's.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from batchtokens_verifier.constraints import Amount
from examples.savings.web import TryLater, WebError

OPENING_BALANCE = 10_000_000  # minor units, in an account that money is first taken from
LOCK_TIMEOUT = 5.0  # seconds
PAGE = 1000  # rows

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    owner TEXT NOT NULL, number TEXT NOT NULL, currency TEXT NOT NULL,
    balance INTEGER NOT NULL CHECK (balance >= 0),
    PRIMARY KEY (owner, number, currency)
);
CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY,
    redemption_id TEXT NOT NULL UNIQUE,
    attempt INTEGER NOT NULL, receipt TEXT NOT NULL,
    operation_id TEXT NOT NULL, slot TEXT NOT NULL,
    owner TEXT NOT NULL, debtor TEXT NOT NULL, creditor TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor > 0), currency TEXT NOT NULL,
    moved_at TEXT NOT NULL, settled_at TEXT
);
CREATE INDEX IF NOT EXISTS transfers_owed ON transfers (id) WHERE settled_at IS NULL;
"""


SELECT_TRANSFERS = """
SELECT id, redemption_id, attempt, receipt, moved_at, settled_at,
       operation_id, slot, owner, debtor, creditor, minor, currency
FROM transfers
"""


class InsufficientFunds(WebError):
    code = "insufficient_funds"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The account does not hold that much."


class LeaseOver(TryLater):
    code = "lease_over"
    title = "The permission to act ended before the money could move."


@dataclass(frozen=True)
class Deposit:
    """What a verified operation token asks for."""

    operation_id: str
    slot: str
    owner: str
    debtor: str
    creditor: str
    amount: Amount


@dataclass(frozen=True)
class Permit:
    """The redemption that lets one deposit happen, once, before its lease ends."""

    redemption_id: str
    attempt: int
    receipt: str
    lease_expires_at: datetime


@dataclass(frozen=True)
class Transfer:
    """Money that has moved."""

    id: int
    redemption_id: str
    attempt: int
    receipt: str
    moved_at: str
    settled_at: str | None
    deposit: Deposit

    @property
    def reference(self) -> str:
        return f"transfer-{self.id}"

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.reference,
            "redemption_id": self.redemption_id,
            "operation_id": self.deposit.operation_id,
            "slot": self.deposit.slot,
            "owner": self.deposit.owner,
            "debtor_account": self.deposit.debtor,
            "creditor_account": self.deposit.creditor,
            "amount": self.deposit.amount.as_json(),
            "moved_at": self.moved_at,
            "settled_at": self.settled_at,
        }


class Bank:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with closing(self._connect()) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(SCHEMA)

    def transfer(self, deposit: Deposit, permit: Permit) -> Transfer:
        """Move the money and store the redemption id, both or neither, unless the id is there.

        Returns the one transfer that has the id. Raises LeaseOver or InsufficientFunds, with
        nothing changed.
        """
        with self._transaction() as database:
            if _store(database, deposit, permit):
                _move(database, deposit)
                # The clock is read under the lock: the wait for it may have outlived the lease.
                if datetime.now(UTC) >= permit.lease_expires_at:
                    raise LeaseOver
            return _select(database, "WHERE redemption_id = ?", permit.redemption_id)[0]

    def find(self, redemption_id: str) -> Transfer | None:
        found = self._select("WHERE redemption_id = ?", redemption_id)
        return found[0] if found else None

    def owed(self) -> list[Transfer]:
        """List transfers that the authority does not know to be settled, oldest first."""
        return self._select("WHERE settled_at IS NULL ORDER BY id LIMIT 100")

    def latest(self) -> list[Transfer]:
        return self._select("ORDER BY id DESC LIMIT ?", PAGE)

    def mark_settled(self, redemption_id: str, *, attempt: int) -> None:
        """Store that the authority knows, and the attempt that settled: maybe a later one."""
        update = (
            "UPDATE transfers SET settled_at = ?, attempt = ?"
            " WHERE redemption_id = ? AND settled_at IS NULL"
        )
        with self._transaction() as database:
            database.execute(update, (_now(), attempt, redemption_id))

    def balances(self) -> list[tuple[str, str, Amount]]:
        """List owner, account number and balance."""
        query = "SELECT owner, number, balance, currency FROM accounts ORDER BY 1, 2, 4 LIMIT ?"
        with closing(self._connect()) as database:
            rows = database.execute(query, (PAGE,))
            return [(owner, number, Amount(*balance)) for owner, number, *balance in rows]

    def _select(self, where: str, *values: object) -> list[Transfer]:
        with closing(self._connect()) as database:
            return _select(database, where, *values)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # The inner `database` commits when the block ends and rolls back when it raises.
        with closing(self._connect()) as database, database:
            database.execute("BEGIN IMMEDIATE")  # the write lock comes before any read
            yield database

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=LOCK_TIMEOUT, isolation_level=None)


def _store(database: sqlite3.Connection, deposit: Deposit, permit: Permit) -> bool:
    stored = database.execute(
        "INSERT INTO transfers (redemption_id, attempt, receipt, operation_id, slot, owner, debtor,"
        " creditor, minor, currency, moved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (redemption_id) DO NOTHING",
        (
            *(permit.redemption_id, permit.attempt, permit.receipt),
            *(deposit.operation_id, deposit.slot, deposit.owner, deposit.debtor, deposit.creditor),
            *(deposit.amount.minor, deposit.amount.currency, _now()),
        ),
    )
    return stored.rowcount == 1


def _move(database: sqlite3.Connection, deposit: Deposit) -> None:
    owner, minor, currency = deposit.owner, deposit.amount.minor, deposit.amount.currency
    database.executemany(
        "INSERT INTO accounts VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (owner, deposit.debtor, currency, OPENING_BALANCE),
            (owner, deposit.creditor, currency, 0),
        ],
    )
    taken = database.execute(
        "UPDATE accounts SET balance = balance - ?"
        " WHERE owner = ? AND number = ? AND currency = ? AND balance >= ?",
        (minor, owner, deposit.debtor, currency, minor),
    )
    if taken.rowcount != 1:
        raise InsufficientFunds
    database.execute(
        "UPDATE accounts SET balance = balance + ? WHERE owner = ? AND number = ? AND currency = ?",
        (minor, owner, deposit.creditor, currency),
    )


def _select(database: sqlite3.Connection, where: str, *values: object) -> list[Transfer]:
    """Read transfers; `where` is written in this module, what comes from outside is in `values`."""
    return [_transfer(row) for row in database.execute(SELECT_TRANSFERS + where, values)]


def _transfer(row: tuple[Any, ...]) -> Transfer:
    number, redemption_id, attempt, receipt, moved_at, settled_at, *rest = row
    operation_id, slot, owner, debtor, creditor, minor, currency = rest
    deposit = Deposit(operation_id, slot, owner, debtor, creditor, Amount(minor, currency))
    return Transfer(number, redemption_id, attempt, receipt, moved_at, settled_at, deposit)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
