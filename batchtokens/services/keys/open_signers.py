"""Find the transactions that may still commit what they have signed.

Whoever signs an operation token has locked its person, or its operation, in the same transaction
before that. Readers, a vacuum, and whoever works in another database are not among them.
"""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from accounts.models import User
from batchtokens.models import OperationToken

_OPEN = """
    SELECT DISTINCT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND mode IN ('RowShareLock', 'RowExclusiveLock')
      AND pid <> pg_backend_pid()
      AND relation IN (%s::regclass, %s::regclass)
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def open_signers() -> set[str]:
    """Return the names of those that are open now."""
    if connection.vendor != "postgresql":  # SQLite's transaction is the only writer
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, [User._meta.db_table, OperationToken._meta.db_table])
        return {name for (name,) in cursor.fetchall()}


def still_open(among: Collection[str]) -> set[str]:
    """Keep those that have not ended yet."""
    return open_signers().intersection(among) if among else set()
