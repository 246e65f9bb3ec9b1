"""Write several rows in one statement, PostgreSQL's data-modifying CTE; on SQLite one by one.

The parts share one snapshot and must not touch the same row twice. Call it inside a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, models
from django.db.models import sql

Statement = tuple[str, tuple[Any, ...]]


def insertion(*instances: models.Model) -> Statement:
    """Return the INSERT of new rows of one model; the database numbers an automatic key."""
    model = type(instances[0])
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]
    query = sql.InsertQuery(model)
    query.insert_values(fields, list(instances), raw=False)
    ((text, params),) = query.get_compiler(connection=connection).as_sql()
    return text, tuple(params)


def change(instance: models.Model, fields: Iterable[str]) -> Statement:
    """Return the UPDATE that stores `fields` of one row."""
    query = sql.UpdateQuery(type(instance))
    query.add_q(models.Q(pk=instance.pk))
    query.add_update_values({name: getattr(instance, name) for name in fields})
    text, params = query.get_compiler(connection=connection).as_sql()
    return text, tuple(params)


def write_together(*statements: Statement) -> None:
    """Execute all; each must be an insertion or a change of a locked row."""
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            for text, params in statements:
                cursor.execute(text, params)
            return
        *first, (last, last_params) = statements
        parts = ", ".join(f"w{number} AS ({text})" for number, (text, _) in enumerate(first))
        values = [value for _, params in first for value in params]
        cursor.execute(f"WITH {parts} {last}" if parts else last, [*values, *last_params])
