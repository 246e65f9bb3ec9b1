"""Statement budgets: counts a request's own statements, with few and with many rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from accounts.models import SigningKey

# Neither transaction control nor a reload of the key ring is a request's own.
CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE SAVEPOINT")
# SQLite has no writing CTE, so that what is one statement on PostgreSQL may be two there.
SQLITE_FACTOR = 2
ROWS = (10, 100_000)
NEW_UUID = {"postgresql": "gen_random_uuid()", "sqlite": "lower(hex(randomblob(16)))"}


@contextmanager
def budget(statements: int) -> Iterator[None]:
    """Fail when the block needs more than so many statements of its own."""
    allowed = statements if connection.vendor == "postgresql" else statements * SQLITE_FACTOR
    with CaptureQueriesContext(connection) as captured:
        yield
    own = [sql for query in captured if is_own(sql := query["sql"])]
    assert len(own) <= allowed, f"{len(own)} statements, {allowed} allowed:\n" + "\n".join(own)


@contextmanager
def unhurried() -> Iterator[None]:
    """Let statements of this transaction take their time, as filling tables does."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL statement_timeout = 0")
        yield
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")


def is_own(sql: str) -> bool:
    return not sql.startswith(CONTROL) and SigningKey._meta.db_table not in sql


def multiply(row: models.Model, count: int, *, unique: Mapping[str, str]) -> None:
    """Copy a stored row so often, in one statement; its key is an `id` of UUID.

    unique: expressions of the other columns that must differ; `n` is the copy's number.
    """
    values = {str(field.column): f"t.{field.column}" for field in row._meta.concrete_fields}
    values |= {"id": NEW_UUID[connection.vendor], **unique}
    table = row._meta.db_table
    identity: Any = row._meta.get_field("id")
    with unhurried(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(values)})"
            " WITH RECURSIVE numbers(n) AS"
            f" (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
            f" SELECT {', '.join(values.values())} FROM {table} t, numbers WHERE t.id = %s",
            [identity.get_db_prep_value(row.pk, connection)],
        )
