"""Each connection is set up so that waiting ends and constraints hold."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

POSTGRESQL = {"lock_timeout": "2s", "statement_timeout": "15s", "TimeZone": "UTC"}
SQLITE = {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "synchronous": 2}


def asked(question: str, name: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(f"{question} {name}")
        return cursor.fetchone()[0]


def test_the_connection_is_set_up() -> None:
    on_sqlite = connection.vendor == "sqlite"
    wanted, question = (SQLITE, "PRAGMA") if on_sqlite else (POSTGRESQL, "SHOW")
    assert {name: asked(question, name) for name in wanted} == wanted


@pytest.mark.postgresql
def test_acknowledged_means_written() -> None:
    assert asked("SHOW", "synchronous_commit") == "on"
