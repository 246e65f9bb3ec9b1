"""Makes an effect single: the redemption id is stored with it, in one database transaction.

Not the authority's lease but this unique id is what keeps two runs from both acting.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from batchtokens_verifier.errors import NoPermission
from batchtokens_verifier.redemptions import Redemption

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
PLACEHOLDERS = frozenset({"?", "%s"})
_MARK = "redemption_effect"
_UNDONE = 0  # the attempt of an id whose effect has not ended


class Cursor(Protocol):
    """What is used of a DB-API cursor (PEP 249)."""

    @property
    def rowcount(self) -> int:
        """Return how many rows the last statement changed."""

    def execute(self, sql: Any, parameters: Any = ..., /) -> Any:
        """Run one statement."""

    def fetchone(self) -> Any:
        """Return the next row, or None."""


class Connection(Protocol):
    """What is used of a DB-API connection (PEP 249)."""

    def cursor(self) -> Any:
        """Return a `Cursor`."""

    def commit(self) -> None:
        """Keep what the transaction did."""

    def rollback(self) -> None:
        """Undo what the transaction did."""


Effect: TypeAlias = Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done for a redemption. reference: the effect's own name, to settle with.

    attempt: the one that did it. is_new: False where an earlier run did it.
    """

    reference: str
    attempt: int
    is_new: bool


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Effects:
    """A table of the effects that were done, in the database that they change.

    placeholder: "?" for sqlite3, "%s" for psycopg and for Django. Make the table with `schema`.
    """

    placeholder: str
    table: str = "redemption_effects"
    clock: Callable[[], datetime] = _utc_now

    def __post_init__(self) -> None:
        """Refuse what does not belong into SQL. Raises ValueError."""
        if self.placeholder not in PLACEHOLDERS or not _NAME.fullmatch(self.table):
            raise ValueError('the placeholder is "?" or "%s", the table a plain name')

    @property
    def schema(self) -> str:
        """Return the statement that makes the table where there is none."""
        return (
            f"CREATE TABLE IF NOT EXISTS {self.table} (redemption_id VARCHAR(64) PRIMARY KEY,"
            " attempt INTEGER NOT NULL, reference TEXT NOT NULL)"
        )

    def run(self, connection: Connection, redemption: Redemption, effect: Effect) -> Outcome:
        """Do the effect and store its redemption id, both or neither, in a transaction of its own.

        effect: takes a cursor of that transaction, which it leaves open; returns its reference. An
        earlier run's outcome is returned instead of a second one. Raises NoPermission, ValueError
        where a transaction is open already, and what the effect raises; then nothing is changed.
        """
        if _is_open(connection):
            raise ValueError("a transaction is open: it would be committed with the effect")
        cursor = connection.cursor()
        try:
            if begin := _begin(connection):
                cursor.execute(begin)
            outcome = self.run_inside(cursor, redemption, effect)
            _commit(connection, cursor)
        except BaseException:
            _rollback(connection, cursor)
            raise
        finally:
            cursor.close()
        return outcome

    def run_inside(self, cursor: Cursor, redemption: Redemption, effect: Effect) -> Outcome:
        """Do as `run` does, in a transaction that the caller has begun, and commits or rolls back.

        Raises ValueError where there is none: the id would be stored without the effect.
        """
        if not _will_hold(cursor):
            raise ValueError("begin a transaction first")
        # A redemption without permission may still have been acted on by an earlier run.
        if not redemption.proceed:
            return self._stored(cursor, redemption)
        # The id comes first: whoever is second waits here until the first has committed or not.
        if not self._claim(cursor, redemption):
            return self._stored(cursor, redemption)
        self._check_lease(redemption)
        cursor.execute(f"SAVEPOINT {_MARK}")
        reference = effect(cursor)
        # An effect that committed or rolled back took the mark with it: this is then an error.
        cursor.execute(f"RELEASE SAVEPOINT {_MARK}")
        self._check_lease(redemption)  # what took too long is rolled back with its id
        update = f"UPDATE {self.table} SET reference = ?, attempt = ? WHERE redemption_id = ?"  # noqa: S608 the name is checked
        self._execute(cursor, update, reference, redemption.attempt, redemption.redemption_id)
        return Outcome(reference, redemption.attempt, is_new=True)

    def _claim(self, cursor: Cursor, redemption: Redemption) -> bool:
        insert = (
            f"INSERT INTO {self.table} (redemption_id, attempt, reference)"  # noqa: S608 the name is checked
            f" VALUES (?, {_UNDONE}, '') ON CONFLICT (redemption_id) DO NOTHING"
        )
        self._execute(cursor, insert, redemption.redemption_id)
        return cursor.rowcount == 1

    def _stored(self, cursor: Cursor, redemption: Redemption) -> Outcome:
        select = f"SELECT reference, attempt FROM {self.table} WHERE redemption_id = ?"  # noqa: S608 the name is checked
        self._execute(cursor, select, redemption.redemption_id)
        row = cursor.fetchone()
        if row is None or int(row[1]) == _UNDONE:
            raise NoPermission
        return Outcome(str(row[0]), int(row[1]), is_new=False)

    def _check_lease(self, redemption: Redemption) -> None:
        if self.clock() >= redemption.lease_expires_at:
            raise NoPermission

    def _execute(self, cursor: Cursor, sql: str, *values: object) -> None:
        cursor.execute(sql.replace("?", self.placeholder), values)


def _is_open(connection: Any) -> bool:
    """Tell whether a transaction is open, as far as the driver says."""
    if hasattr(connection, "in_transaction"):  # sqlite3
        return bool(connection.in_transaction)
    if hasattr(connection, "info"):  # psycopg; 0 is libpq's idle
        return int(connection.info.transaction_status) != 0
    return False


def _begin(connection: Any) -> str:
    """Return the statement that begins a transaction where the driver would not do it in time."""
    if hasattr(connection, "in_transaction"):
        return "BEGIN IMMEDIATE"  # the write lock comes before any read
    return "BEGIN" if getattr(connection, "autocommit", False) else ""


def _commit(connection: Connection, cursor: Cursor) -> None:
    connection.commit()
    if _is_open(connection):  # in autocommit some drivers' commit() and rollback() do nothing
        cursor.execute("COMMIT")


def _rollback(connection: Connection, cursor: Cursor) -> None:
    connection.rollback()
    if _is_open(connection):
        cursor.execute("ROLLBACK")


def _will_hold(cursor: Any) -> bool:
    """Tell whether the next statements belong to one transaction."""
    if hasattr(cursor, "db"):  # Django's, whose own connection is behind it
        return bool(cursor.db.in_atomic_block)
    connection = cursor.connection
    if hasattr(connection, "in_transaction"):
        return bool(connection.in_transaction)
    return _is_open(connection) or not getattr(connection, "autocommit", False)
