"""The database's clock: the one clock that decides (I8).

It gives the instant of reading, not the statement's or the transaction's start.
"""

import datetime as dt
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func
from django.utils.dateparse import parse_datetime

# RFC 3339 text, so that raw SQL reads the same on both databases.
# "%%": the texts go through parameter substitution.
CLOCK_TEXT = {
    "postgresql": "to_json(clock_timestamp())#>>'{}'",
    "sqlite": "strftime('%%Y-%%m-%%dT%%H:%%M:%%fZ', 'now')",
}


class DatabaseClock(Func):
    """The clock as an expression of a query."""

    function = "clock_timestamp"
    arity = 0
    output_field = DateTimeField()

    def as_sqlite(self, *args: Any, **context: Any) -> tuple[str, tuple[str | int, ...]]:
        return "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')", ()


def database_now() -> dt.datetime:
    """Ask the database for the instant. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {CLOCK_TEXT[connection.vendor]}", [])
        (text,) = cursor.fetchone()
    return parse_clock(text)


def parse_clock(text: str) -> dt.datetime:
    at = parse_datetime(text)
    if at is None:
        raise ValueError(f"not an instant: {text!r}")
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)
