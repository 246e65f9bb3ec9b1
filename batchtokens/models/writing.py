"""Write several rows in one statement, PostgreSQL's data-modifying CTE; on SQLite one by one.

The parts share one snapshot and must not touch the same row twice. Call it inside a transaction.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, NoReturn, TypeVar

from django.db import connection, models
from django.db.models import sql
from django.db.models.base import ModelState

# What a statement of SQLite takes at least, since 3.32.
_SQLITE_VARIABLES = 32_766
_write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
M = TypeVar("M", bound=models.Model)
Statement = tuple[str, tuple[Any, ...]]


def new_row(model: type[M], *, related: Mapping[str, models.Model | None], **values: Any) -> M:
    """Return an unsaved row of these columns, as `model(…)` does in five times the time.

    related: what relations refer to. values: the other columns; what is not given has its default.
    """
    row = model.__new__(model)
    state = ModelState()
    state.fields_cache = dict(related)
    columns = vars(row)
    columns.update(_defaults(model), _state=state, **values)
    for name, default in _made_defaults(model):
        if name not in values:
            columns[name] = default()
    for name, instance in related.items():
        columns[f"{name}_id"] = None if instance is None else instance.pk
    return row


@cache
def _defaults(model: type[models.Model]) -> dict[str, Any]:
    fields = model._meta.concrete_fields
    return {field.attname: field.get_default() for field in fields}


@cache
def _made_defaults(model: type[models.Model]) -> list[tuple[str, Callable[[], Any]]]:
    """Return the columns whose default is made anew for each row."""
    fields = model._meta.concrete_fields
    made = (field for field in fields if field.has_default() and callable(field.default))
    return [(field.attname, field.default) for field in made]


def insertion(*instances: models.Model) -> Statement:
    """Return the INSERT of new rows of one model; the database numbers an automatic key."""
    model = type(instances[0])
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]
    if connection.vendor == "postgresql" and len(instances) > 1:
        listed = ", ".join(f'"{field.column}"' for field in fields)
        source, params = _recordset(instances, fields)
        return f'INSERT INTO "{model._meta.db_table}" ({listed}) SELECT {listed} {source}', params
    query = sql.InsertQuery(model)
    query.insert_values(fields, list(instances), raw=False)
    ((text, params),) = query.get_compiler(connection=connection).as_sql()
    return text, tuple(params)


def insert_all(model: type[M], rows: Iterable[M]) -> None:
    """Insert new rows of one model as they come, by COPY on PostgreSQL; call it in a transaction.

    While they come, nothing else may be asked of the database.
    """
    fields = [f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField)]
    if connection.vendor != "postgresql":
        most, left = _SQLITE_VARIABLES // len(fields), iter(rows)
        while some := list(islice(left, most)):
            write_together(insertion(*some))
        return
    names = ", ".join(f'"{field.column}"' for field in fields)
    columns = [(field.attname, isinstance(field, models.JSONField)) for field in fields]
    text = f'COPY "{model._meta.db_table}" ({names}) FROM STDIN'
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(text) as copy,
        connection.execute_wrapper(_refuse),  # who asked would wait for the copy, and it for them
    ):
        for row in rows:
            values = vars(row)
            copy.write_row(
                [_write(values[name]) if is_json else values[name] for name, is_json in columns]
            )


def _refuse(*_: object) -> NoReturn:
    raise RuntimeError("rows that are copied come without asking the database")


def addition(
    *instances: models.Model, key: Sequence[str], add: Sequence[str], replace: Sequence[str]
) -> Statement:
    """Return the INSERT of rows that, where their `key` is there already, adds to that row."""
    text, params = insertion(*instances)
    meta = type(instances[0])._meta

    def columns(names: Sequence[str]) -> list[str]:
        return [str(field.column) for field in meta.concrete_fields if field.name in names]

    sums = [f'"{name}" = "{meta.db_table}"."{name}" + EXCLUDED."{name}"' for name in columns(add)]
    news = [f'"{name}" = EXCLUDED."{name}"' for name in columns(replace)]
    unique = ", ".join(f'"{name}"' for name in columns(key))
    # Only names of tables and columns are put in; every value is a parameter.
    return f"{text} ON CONFLICT ({unique}) DO UPDATE SET {', '.join([*sums, *news])}", params


def change(instance: models.Model, fields: Iterable[str]) -> Statement:
    """Return the UPDATE that stores `fields` of one row."""
    query = sql.UpdateQuery(type(instance))
    query.add_q(models.Q(pk=instance.pk))
    query.add_update_values({name: getattr(instance, name) for name in fields})
    text, params = query.get_compiler(connection=connection).as_sql()
    return text, tuple(params)


def change_many(instances: Sequence[models.Model], fields: Iterable[str]) -> list[Statement]:
    """Return what stores `fields` of rows of one model: one UPDATE, on SQLite one for each row."""
    names = tuple(fields)
    if connection.vendor != "postgresql" or len(instances) == 1:
        return [change(instance, names) for instance in instances]
    meta = type(instances[0])._meta
    columns = [field for field in meta.concrete_fields if field.name in names]
    keyed = [field for field in meta.concrete_fields if field.primary_key or field in columns]
    source, params = _recordset(instances, keyed)
    # Only names of tables and columns are put in; every value is a parameter.
    changes = ", ".join(f'"{field.column}" = v."{field.column}"' for field in columns)
    key = next(f'"{field.column}"' for field in keyed if field.primary_key)
    text = f'UPDATE "{meta.db_table}" AS t SET {changes} {source} WHERE t.{key} = v.{key}'  # noqa: S608 - see above
    return [(text, params)]


def _recordset(
    instances: Sequence[models.Model], fields: Sequence[models.Field[Any, Any]]
) -> tuple[str, tuple[str]]:
    """Return a FROM clause `v` of these columns of unsaved rows: one parameter, however many."""
    names = [(field.column, field.attname) for field in fields]
    rows = [{column: getattr(each, name) for column, name in names} for each in instances]
    text = json.dumps(rows, default=_plain, ensure_ascii=False)
    return f'FROM jsonb_populate_recordset(NULL::"{instances[0]._meta.db_table}", %s) AS v', (text,)


def _plain(value: object) -> str:
    """Write what JSON has no form for as PostgreSQL reads it."""
    match value:
        case dt.datetime():
            return value.isoformat()
        case uuid.UUID():
            return str(value)
        case bytes() | memoryview():
            return f"\\x{bytes(value).hex()}"
        case _:
            raise TypeError(f"{type(value).__name__} has no plain form")


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
