"""Triggers that refuse changes to insert-only tables, even to whoever speaks SQL.

They are the second line: on PostgreSQL the application's role has no right to change these tables
at all (docs/database-roles.md). A later migration that alters one of the tables must end with
`install` again, because SQLite loses a table's triggers when Django rebuilds it.
"""

from django.db.backends.base.schema import BaseDatabaseSchemaEditor

PREFIX = "insert_only_"
# Of a ledger entry, the note alone may go: the entry keeps its salted digest.
NOTED = "batchtokens_ledgerentry"
INSERT_ONLY = (
    NOTED,
    "batchtokens_ledgerleaf",
    "batchtokens_ledgernode",
    "batchtokens_checkpoint",
    "batchtokens_redemptionattempt",
)
NEVER_DELETED = ("batchtokens_operationtoken", "batchtokens_redemption")
_FUNCTION = """
CREATE OR REPLACE FUNCTION batchtokens_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'batchtokens_ledgerentry' THEN
    IF to_jsonb(NEW) = to_jsonb(OLD) || '{"note": ""}' THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION '% of % is refused: what is recorded there stays as it is', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation';
END $$
"""


def install(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Create the triggers, or create them anew."""
    remove(apps, schema_editor)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_FUNCTION, params=None)  # it has percent signs
        statements = _postgresql()
    else:
        statements = _sqlite(schema_editor)
    for statement in statements:
        schema_editor.execute(statement)


def remove(apps: object, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Drop the triggers."""
    for table, event in _guarded():
        on = f" ON {table}" if schema_editor.connection.vendor == "postgresql" else ""
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {_name(table, event)}{on}")


def trigger_names(vendor: str) -> set[str]:
    """Return what a database that is up to date has."""
    return {_name(table, event) for table, event in _guarded() if _has(vendor, event)}


def _has(vendor: str, event: str) -> bool:
    return vendor == "postgresql" or event != "truncate"


def _guarded() -> list[tuple[str, str]]:
    always = [(table, event) for table in INSERT_ONLY for event in ("update", "delete", "truncate")]
    return always + [(table, event) for table in NEVER_DELETED for event in ("delete", "truncate")]


def _name(table: str, event: str) -> str:
    return f"{PREFIX}{table.removeprefix('batchtokens_')}_{event}"


def _postgresql() -> list[str]:
    return [
        f"CREATE TRIGGER {_name(table, event)} BEFORE {event.upper()} ON {table}"
        f" FOR EACH {'STATEMENT' if event == 'truncate' else 'ROW'}"
        " EXECUTE FUNCTION batchtokens_insert_only()"
        for table, event in _guarded()
    ]


def _sqlite(schema_editor: BaseDatabaseSchemaEditor) -> list[str]:
    statements = []
    for table, event in _guarded():
        if event == "truncate":
            continue
        when = ""
        if (table, event) == (NOTED, "update"):
            with schema_editor.connection.cursor() as cursor:
                columns = schema_editor.connection.introspection.get_table_description(
                    cursor, table
                )
            same = [f"NEW.{c.name} IS OLD.{c.name}" for c in columns if c.name != "note"]
            when = f" WHEN NOT (NEW.note = '' AND {' AND '.join(same)})"
        said = f"{event.upper()} of {table} is refused: what is recorded there stays as it is"
        statements.append(
            f"CREATE TRIGGER {_name(table, event)} BEFORE {event.upper()} ON {table}{when}"
            f" BEGIN SELECT RAISE(ABORT, '{said}'); END"
        )
    return statements
