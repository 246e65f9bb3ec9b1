"""What measurements start from: a fresh database on a real PostgreSQL, and mandates in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.test.utils import setup_databases, teardown_databases

from accounts.services.rotate_signing_keys import ensure_signing_keys
from batchtokens.models.clock import database_now
from batchtokens.services.consent.draft_operation import draft_operation
from batchtokens.services.issuing.issue import Origin, issue_operation_token
from tests import mandates


@contextmanager
def fresh_database() -> Iterator[None]:
    """Make and migrate a database of its own, which goes with the block."""
    made = setup_databases(verbosity=0, interactive=False)
    try:
        ensure_signing_keys()
        yield
    finally:
        connection.close()
        teardown_databases(made, verbosity=0)


def issue_many(world: mandates.Savings, count: int) -> list[str]:
    """Issue mandates of one deposit a day for a month; return their tokens."""
    tokens = []
    with transaction.atomic():
        at = database_now()
        draft = draft_operation(
            world.kind, operation=mandates.OPERATION, constraints=mandates.constraints(), at=at
        )
        places: dict[str, Any] = {}
        for _ in range(count):
            issued = issue_operation_token(
                draft=draft,
                user=world.alice,
                client=world.trigger.client,
                at=at,
                origin=Origin(),
                **places,
            )
            places["status_list_id"] = issued.row.status_list_id
            tokens.append(issued.token)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum would have, in a database that is older
    return tokens


def cpu_seconds(group: int) -> float:
    """Return the processor time that a process group has used so far."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
