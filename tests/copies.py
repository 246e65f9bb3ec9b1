"""Whole copies of the database, as a backup makes them, and the way back to one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection


@contextmanager
def copied(folder: Path) -> Iterator[Callable[[], None]]:
    """Copy the database as it is now; yields what puts the copy in its place.

    Needs a test without a transaction, and nobody else who is connected.
    """
    if connection.vendor == "postgresql":
        with _template() as restore:
            yield restore
        return
    with sqlite3.connect(folder / "backup.sqlite3") as backup:
        connection.connection.backup(backup)
        yield lambda: backup.backup(connection.connection)


@contextmanager
def _template() -> Iterator[Callable[[], None]]:
    values = connection.settings_dict
    name, copy = values["NAME"], f"{values['NAME']}_copy"
    url = {"host": values["HOST"], "port": values["PORT"], "user": values["USER"]}
    maintenance = psycopg.connect(
        **url, password=values["PASSWORD"], dbname="postgres", autocommit=True
    )

    def put(source: str, *, over: str) -> None:
        connection.close()
        maintenance.execute(f'DROP DATABASE IF EXISTS "{over}" WITH (FORCE)')
        maintenance.execute(f'CREATE DATABASE "{over}" TEMPLATE "{source}"')

    assert settings.DATABASES["default"]["NAME"] == name
    assert name.startswith("test_")
    with maintenance:
        put(name, over=copy)
        try:
            yield lambda: put(copy, over=name)
        finally:
            maintenance.execute(f'DROP DATABASE IF EXISTS "{copy}" WITH (FORCE)')
