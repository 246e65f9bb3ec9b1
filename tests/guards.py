"""The way around the triggers of insert-only tables: for insiders, and to empty a database."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connection

from batchtokens.migrations import _guards


@contextmanager
def as_insider() -> Iterator[None]:
    """Let the block change what is insert-only, as who owns the database can.

    On PostgreSQL foreign keys are not checked either; its tests connect as a superuser.
    """
    guards = _switched_off() if connection.vendor == "postgresql" else _dropped()
    with guards:
        yield


@contextmanager
def _switched_off() -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            with suppress(DatabaseError):  # a transaction that failed undoes it by itself
                cursor.execute("SET session_replication_role = DEFAULT")


@contextmanager
def _dropped() -> Iterator[None]:
    guards = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE %s"
    with connection.cursor() as cursor:
        cursor.execute(guards, [f"{_guards.PREFIX}%"])
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        try:
            yield
        finally:
            for _, sql in triggers:
                cursor.execute(sql)
