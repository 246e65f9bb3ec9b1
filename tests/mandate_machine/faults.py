"""What goes wrong around one call: a process ends or a connection breaks, inside of it or after it.

Inside, what it wrote is lost; after it, only the answer is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from django.db import DatabaseError, connection

from batchtokens.models import locking
from batchtokens.models.clock import CLOCK_TEXT, DatabaseClock

CLOCKS = dict(CLOCK_TEXT), "%(function)s(%(expressions)s)"


class Crashed(Exception):
    """What the end of a process looks like from inside: nothing of its transaction is kept."""


LOST = (Crashed, DatabaseError)


@dataclass(frozen=True)
class Fault:
    """kind: "crash", "drop" (of the connection) or "" for none; statement: 0 is after the call."""

    kind: str = ""
    statement: int = 0

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Strike once so many statements were sent, if ever so many are."""
        sent = 0

        def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal sent
            result = execute(sql, params, many, context)
            sent += 1
            if sent == self.statement:
                self.strike()
            return result

        with connection.execute_wrapper(count):
            yield

    def strike(self) -> None:
        if self.kind == "crash":
            raise Crashed
        connection.connection.close()


def any_fault(luck: Random, *, often: bool = True) -> Fault:
    """Return no fault, or any kind at any place; often: more than half of the times."""
    weights = [4, 3, 3] if often else [12, 3, 2]
    kind = luck.choices(["", "crash", "drop"], weights)[0]
    return Fault(kind, luck.choice([0, 0, 1, 2, 2, 3, 4])) if kind else Fault()


def reconnect() -> None:
    """Do what Django does between two requests. No host goes down here: no commit need wait."""
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")


def show(clock: datetime | None) -> None:
    """Let the database's clock, which decides (I8), show this; None: what it is."""
    texts, template = CLOCKS
    locking._statement.cache_clear()  # it has the clock's text in it
    if clock is None:
        CLOCK_TEXT.update(texts)
        DatabaseClock.template = template
    else:
        CLOCK_TEXT.update(dict.fromkeys(CLOCK_TEXT, f"'{clock.isoformat()}'"))
        DatabaseClock.template = f"CAST('{clock.isoformat()}' AS timestamp with time zone)"
