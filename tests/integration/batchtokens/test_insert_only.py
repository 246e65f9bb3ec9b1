"""What is insert-only stays so even for SQL: triggers on both databases."""

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from batchtokens.migrations import _guards
from batchtokens.models import (
    Checkpoint,
    HoldKind,
    LedgerEntry,
    LedgerLeaf,
    LedgerNode,
    OperationToken,
    Redemption,
    RedemptionAttempt,
)
from batchtokens.services.mandates.hold import hold_operation
from batchtokens.services.mandates.words import Words
from tests import mandates
from tests.guards import as_insider

pytestmark = pytest.mark.django_db

INSERT_ONLY = (LedgerEntry, LedgerLeaf, LedgerNode, Checkpoint, RedemptionAttempt)
NEVER_DELETED = (OperationToken, Redemption)


@pytest.fixture(autouse=True)
def history() -> OperationToken:
    """Put a row into each table."""
    world = mandates.savings()
    issued = mandates.issue(world)
    mandates.redeem(world, issued)
    hold_operation(operation_id=issued.row.pk, by=HoldKind.USER, words=Words(reason="away"))
    LedgerLeaf.objects.create(index=0, entry=LedgerEntry.objects.all()[0], hash="h")
    LedgerNode.objects.create(level=1, position=0, hash="h")
    Checkpoint.objects.create(size=1, root="r", token="t", at=timezone.now())
    return issued.row


def refused(sql: str) -> None:
    with (
        pytest.raises(IntegrityError, match="is refused"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


def changes(model: type[models.Model]) -> list[str]:
    """Return a change of each column."""
    fields = model._meta.concrete_fields
    numbers = {str(field.column) for field in fields if isinstance(field, models.IntegerField)}
    others = {str(field.column) for field in fields} - numbers - {"note"}
    return [
        *(f'"{column}" = "{column}" + 1' for column in sorted(numbers)),
        *(f'"{column}" = NULL' for column in sorted(others)),
        *(["note = 'b'"] if model is LedgerEntry else []),
    ]


@pytest.mark.parametrize("model", INSERT_ONLY)
def test_no_column_can_be_changed(model: type[models.Model]) -> None:
    for change in changes(model):
        refused(f"UPDATE {model._meta.db_table} SET {change}")


@pytest.mark.parametrize("model", [*INSERT_ONLY, *NEVER_DELETED])
def test_no_row_can_be_deleted(model: type[models.Model]) -> None:
    refused(f"DELETE FROM {model._meta.db_table}")


@pytest.mark.postgresql
@pytest.mark.parametrize("model", [*INSERT_ONLY, *NEVER_DELETED])
def test_no_table_can_be_truncated(model: type[models.Model]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # what waits for the commit forbids it, too
    refused(f"TRUNCATE {model._meta.db_table} CASCADE")


def test_a_note_can_be_emptied_and_nothing_beside_it() -> None:
    noted = LedgerEntry.objects.exclude(note="")
    refused(f"UPDATE {LedgerEntry._meta.db_table} SET note = '', kind = 'resumed'")

    assert noted.update(note="") == 1
    assert not noted.exists()


@pytest.mark.parametrize("model", INSERT_ONLY)
def test_every_guard_stands_after_an_insider(model: type[models.Model]) -> None:
    with as_insider():
        assert model.objects.all().count()  # type: ignore[attr-defined]  # every model has objects
    refused(f"DELETE FROM {model._meta.db_table}")


def test_the_last_migration_left_every_guard() -> None:
    names = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'",
    }
    with connection.cursor() as cursor:
        cursor.execute(names[connection.vendor])
        found = {name for (name,) in cursor.fetchall()}

    assert _guards.trigger_names(connection.vendor) <= found
