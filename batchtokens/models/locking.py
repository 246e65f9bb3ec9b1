"""Lock operation tokens' rows and read all that decides about them, in one statement.

Many are locked in the order of their ids, so that no two callers wait for each other for ever.

The clock is read outside the locking SELECT, or it would be the instant before the wait. After a
wait the joined rows are those of before it (READ COMMITTED): then everything is read again. The
chain's head betrays a wait for a change, the statement's own time one for a change that was undone.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.db import OperationalError, connection
from django.db.models import Model

from accounts.models import ServiceClient, User
from batchtokens.errors import AuthorityBusy, LedgerBroken
from batchtokens.models.clock import CLOCK_TEXT, parse_clock
from batchtokens.models.executors import ExecutorControl
from batchtokens.models.ledger import LedgerEntry, entry_hash
from batchtokens.models.operation_tokens import OperationToken
from batchtokens.models.operation_types import OperationType
from batchtokens.models.redemptions import Redemption, RedemptionAttempt, RedemptionStatus
from batchtokens.models.tree import Checkpoint

# Per vendor: whether the lock was waited for, an aggregate of JSON objects, one JSON object, the
# row lock, which lets rows that refer to this one be written, and "is one of" a list, which is one
# parameter. SQLite's transaction is the only writer.
_DIALECTS = {
    "postgresql": (
        "clock_timestamp() - statement_timestamp() > interval '250 ms'",
        "json_agg",
        "json_build_object",
        "FOR NO KEY UPDATE",
        "= ANY(%s)",
    ),
    "sqlite": (
        "0",
        "json_group_array",
        "json_object",
        "",
        "IN (SELECT value FROM json_each(%s))",
    ),
}
_INSTANTS = frozenset(
    {"counts_at", "reserved_at", "lease_expires_at", "settled_at", "at", "stopped_at"}
)
# Long texts that decide nothing, and what is known already.
_LEFT_OUT = frozenset({"operation_token_id", "closing_receipt", "reference"})
# Of the token's own row: many are read for a redemption alone.
_LEFT_OUT_OF_MANY = frozenset(
    {
        *("operation", "details", "summary", "sealed_token", "claims_sealed", "cancellation"),
        *("language", "consent_mode", "consent_id", "kid", "alg", "issued_at", "type_name"),
        *("subject_digest", "idempotency_digest", "request_digest", "sealed_until"),
        *("status_list_id", "status_index"),
    }
)
_LOCK_NOT_AVAILABLE = "55P03"


@dataclass
class LockedToken:
    """A locked row, with what else was true at `at` (never before the row's last instant).

    control: the executor's caps and switch, where it has any. sealed_size: of the largest
    checkpoint that the database knows, 0 without one.
    """

    token: OperationToken
    at: dt.datetime
    suspended: bool
    redemptions: dict[str, Redemption] = field(default_factory=dict)
    attempt: RedemptionAttempt | None = None
    control: ExecutorControl | None = None
    sealed_size: int = 0

    @property
    def stopped(self) -> bool:
        return self.control is not None and self.control.stopped_at is not None


def lock_operation_token(
    *,
    now: dt.datetime | None = None,
    token_hash: str | None = None,
    pk: Any = None,
    attempt_of: ServiceClient | None = None,
    idempotency_key: str = "",
) -> LockedToken | None:
    """Lock one row by its token hash or its primary key; None if there is none.

    `attempt_of` and `idempotency_key` name the answered redemption request to bring along. `now`
    overrides the database's clock, for tests. Raises LedgerBroken where the row is not what its
    ledger says (I15), AuthorityBusy when the lock was not had in time.
    """
    where, value = ("token_hash", token_hash) if token_hash else ("id", pk)
    for row in _lock(where, [value], attempt_of, idempotency_key):
        locked = _locked(row, now)
        if isinstance(locked, LedgerBroken):
            raise locked
        return locked
    return None


def lock_operation_tokens(
    *, token_hashes: Iterable[str], now: dt.datetime | None = None
) -> dict[str, LockedToken | LedgerBroken]:
    """Lock all rows that there are of these token hashes; a broken one does not spoil the others.

    Raises AuthorityBusy when a lock was not had in time.
    """
    wanted = sorted(set(token_hashes))
    rows = _lock("token_hash", wanted, None, "", _LEFT_OUT_OF_MANY) if wanted else []
    return {row.token_hash: _locked(row, now) for row in rows}


def read_operation_token(*, pk: Any, now: dt.datetime | None = None) -> LockedToken | None:
    """Read the same of one row without a lock: what it says may be over when it is read.

    Raises LedgerBroken.
    """
    for row in _read("id", [pk], None, "", lock=False):
        found = _locked(row, now)
        if isinstance(found, LedgerBroken):
            raise found
        return found
    return None


def _lock(
    where: str,
    values: Sequence[Any],
    attempt_of: ServiceClient | None,
    idempotency_key: str,
    left_out: AbstractSet[str] = frozenset(),
) -> list[Any]:
    try:
        rows = _read(where, values, attempt_of, idempotency_key, left_out=left_out)
        if any(row.waited or _head(row).get("seq") != row.seq for row in rows):
            rows = _read(where, values, attempt_of, idempotency_key, left_out=left_out)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            raise AuthorityBusy from error
        raise
    return rows


def _locked(row: Any, now: dt.datetime | None) -> LockedToken | LedgerBroken:
    if not _is_fold(row):
        return LedgerBroken()
    clock = now or parse_clock(row.clock)
    return LockedToken(
        token=row,
        at=max(clock, row.last_at),
        suspended=not row.everyone_active,
        redemptions={r.slot: r for r in (_redemption(row, each) for each in _rows(row.slots))},
        attempt=_attempt(row.attempt_row),
        control=_control(row),
        sealed_size=row.sealed_size,
    )


def _read(
    where: str,
    values: Sequence[Any],
    attempt_of: ServiceClient | None,
    idempotency_key: str,
    *,
    lock: bool = True,
    left_out: AbstractSet[str] = frozenset(),
) -> list[Any]:
    """Return the rows as OperationTokens with the extra columns of `_statement`."""

    def key(value: Any) -> Any:
        return OperationToken._meta.pk.get_db_prep_value(value, connection)

    client = key(attempt_of.pk if attempt_of else None)
    keys: Any = [key(value) for value in values] if where == "id" else list(values)
    if connection.vendor == "sqlite":
        keys = json.dumps(keys)
    statement = _statement(connection.vendor, where, left_out, lock=lock)
    return list(OperationToken.objects.raw(statement, [client, idempotency_key, keys]))


def _columns(model: type[Model], left_out: AbstractSet[str]) -> list[str]:
    columns = (str(field.column) for field in model._meta.concrete_fields)
    return [column for column in columns if column not in left_out]


@cache
def _statement(vendor: str, where: str, left_out: AbstractSet[str], *, lock: bool) -> str:
    waited, aggregate, json_object, row_lock, is_one_of = _DIALECTS[vendor]

    def as_json(model: type[Model], alias: str) -> str:
        names = _columns(model, _LEFT_OUT)
        members = ", ".join(f"'{name}', {alias}.{name}" for name in names)
        return f"{json_object}({members})"

    own = ", ".join(f"t.{name}" for name in _columns(OperationToken, left_out))
    redemption, attempt = as_json(Redemption, "r"), as_json(RedemptionAttempt, "a")
    control = as_json(ExecutorControl, "k")
    # Only names of tables, columns and functions are put in; every value is a parameter.
    return f"""
        SELECT {own}, {CLOCK_TEXT[vendor]} AS clock, {waited} AS waited,
          (u.is_active AND x.is_active AND y.is_active AND coalesce(c.is_active, u.is_active))
            AS everyone_active,
          (SELECT l.entry FROM {LedgerEntry._meta.db_table} l
            WHERE l.operation_token_id = t.id ORDER BY l.seq DESC LIMIT 1) AS head_entry,
          (SELECT {aggregate}({redemption}) FROM {Redemption._meta.db_table} r
            WHERE r.operation_token_id = t.id) AS slots,
          (SELECT {attempt} FROM {RedemptionAttempt._meta.db_table} a
            WHERE a.client_id = %s AND a.endpoint = 'redemptions' AND a.idempotency_key = %s)
            AS attempt_row,
          CASE WHEN k.executor_id IS NOT NULL THEN {control} END AS control_row,
          (SELECT coalesce(max(p.size), 0) FROM {Checkpoint._meta.db_table} p) AS sealed_size
        FROM (SELECT * FROM {OperationToken._meta.db_table} WHERE {where} {is_one_of}
          ORDER BY id {row_lock if lock else ""}) t
        JOIN {User._meta.db_table} u ON u.id = t.user_id
        JOIN {ServiceClient._meta.db_table} x ON x.id = t.executor_id
        JOIN {OperationType._meta.db_table} y ON y.id = t.operation_type_id
        LEFT JOIN {ServiceClient._meta.db_table} c ON c.id = t.client_id
        LEFT JOIN {ExecutorControl._meta.db_table} k ON k.executor_id = t.executor_id
    """  # noqa: S608 - see above


def _rows(value: Any) -> list[dict[str, Any]]:
    """Return the JSON column as a list; SQLite hands it over as text."""
    rows = json.loads(value) if isinstance(value, str) else value
    return rows or []


def _object(value: Any) -> dict[str, Any] | None:
    """Return the JSON column of one object, None if it is NULL."""
    found: dict[str, Any] | None = json.loads(value) if isinstance(value, str) else value
    return found


def _head(row: Any) -> dict[str, Any]:
    """Return the chain's last entry, parsed once for each reading."""
    if not hasattr(row, "head"):
        row.head = _parsed_head(row)
    head: dict[str, Any] = row.head
    return head


def _parsed_head(row: Any) -> dict[str, Any]:
    try:
        head = json.loads(row.head_entry or "null")
    except ValueError:
        head = None
    return head if isinstance(head, dict) else {}


def _is_fold(row: Any) -> bool:
    """Say whether the row and its redemptions are what the chain's head says (I15)."""
    head = _head(row)
    taken = [r for r in _rows(row.slots) if r["status"] != RedemptionStatus.RELEASED]
    settled = [r for r in taken if r["status"] == RedemptionStatus.SETTLED]
    counted = (len(taken), sum(r["amount_minor"] for r in taken), len(settled))
    return (
        head.get("seq") == row.seq
        and head.get("state") == row.state()
        and entry_hash(row.head_entry) == row.head_hash
        and counted == (row.taken_count, row.taken_minor, row.settled_count)
    )


def _instants(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: parse_clock(value) if name in _INSTANTS and value else value
        for name, value in values.items()
    }


def _redemption(token: OperationToken, values: dict[str, Any]) -> Redemption:
    return Redemption(operation_token=token, **_instants(values))


def _control(row: Any) -> ExecutorControl | None:
    values = _object(row.control_row)
    return None if values is None else ExecutorControl(**_instants(values))


def _attempt(value: Any) -> RedemptionAttempt | None:
    values = _object(value)
    if values is None:
        return None
    if isinstance(values["remaining"], str):
        values["remaining"] = json.loads(values["remaining"])
    return RedemptionAttempt(**_instants(values))
