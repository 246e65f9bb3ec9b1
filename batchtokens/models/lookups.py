"""`__among`: one of a list, which is one parameter however long it is.

Of `__in` with a thousand values, a thousand marks are read before anything runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Lookup
from django.db.models.sql.compiler import SQLCompiler


@Field.register_lookup
class Among(Lookup):
    """`column__among=values`; of none, nothing is found."""

    lookup_name = "among"
    prepare_rhs = False

    def __init__(self, lhs: Any, rhs: Iterable[Any]) -> None:
        super().__init__(lhs, list(rhs))

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[Any, ...]]:
        """Compare with an array on PostgreSQL, with a JSON list on SQLite."""
        column, params = self.process_lhs(compiler, connection)
        prepare = self.lhs.output_field.get_db_prep_value
        values = [prepare(value, connection, prepared=False) for value in self.rhs]
        if connection.vendor == "postgresql":
            return f"{column} = ANY(%s)", (*params, values)
        text = f"{column} IN (SELECT value FROM json_each(%s))"  # noqa: S608 - a column's name
        return text, (*params, json.dumps(values))
